// SPDX-License-Identifier: GPL-2.0

//! AF_FEED: a socket family that asks the network for data by name.
//!
//! This file is the order of birth and death, nothing else. Fields of [`FeedModule`] are dropped
//! from top to bottom: what was published last goes first.

mod af_feed;
mod control;
mod egress;
mod ingress;
mod mm;
mod net;
mod node;
mod pairs;
mod simd;
mod stats;
mod store;
mod sync;
mod trace;
mod verifier;

use feed_bindings as bindings;
use kernel::prelude::*;

use crate::{
    af_feed::FeedSocket,
    control::Control,
    egress::BlobCut,
    net::{
        cut::Offload,
        namespace::{
            Registered,
            Registration, //
        },
        notifier::{
            self,
            DeviceWatch, //
        },
        sock::Family, //
    },
    node::{
        admin::Devices,
        Node, //
    },
    pairs::Account,
    sync::shared::{
        self,
        RcuBarrier,
        Shared, //
    }, //
};

module! {
    type: FeedModule,
    name: "feed",
    authors: ["The AF_FEED authors"],
    description: "AF_FEED: verified feeds from whoever is nearest",
    license: "GPL",
    alias: ["net-pf-18"],
}

/// What is registered, in the order in which it is taken back.
struct FeedModule {
    _family: Family<FeedSocket>,
    _control: Control,
    _devices: DeviceWatch<Devices>,
    _nodes: Registration<Node>,
    _shared: Shared,
    // Frames of ours may wait in queues until the last port has gone, and longer: then they are dropped.
    _offload: Pin<KBox<Offload<BlobCut>>>,
    // RCU callbacks of ours must not outlive the code.
    _barrier: RcuBarrier,
    // Last: what is not gone by then is lost.
    _account: Account,
}

impl kernel::Module for FeedModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // The debugging kernels check the cryptography on every load; see rust/core/selftest.rs.
        if cfg!(CONFIG_KUNIT) {
            if let Err(what) = feed_core::selftest::run() {
                pr_err!("self test failed: {}\n", what);
                return Err(EINVAL);
            }
        }
        shared::group().inspect_err(|_| pr_err!("parameter group is no multicast address\n"))?;
        let account = Account::open();
        let barrier = RcuBarrier::new();
        let offload = Offload::register(shared::ethertype())?;
        let shared = Shared::new()?;
        let nodes = Node::register()?;
        let devices = notifier::watch()?;
        let control = Control::register()?;
        let family = Family::register(c"FEED").inspect_err(|_| {
            pr_err!(
                "socket family {} is taken: load with family=N (see feed(7))\n",
                shared::family()
            )
        })?;
        pr_info!("loaded, socket family {}\n", shared::family());
        Ok(Self {
            _family: family,
            _control: control,
            _devices: devices,
            _nodes: nodes,
            _shared: shared,
            _offload: offload,
            _barrier: barrier,
            _account: account,
        })
    }
}
