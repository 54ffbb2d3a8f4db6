// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What connects machines, and what passed over it.

use std::collections::BTreeMap;

use feed_core::engine::PortId;
use feed_core::wire::{FrameView, Message};

use super::Rng;

/// What passed over a link, by message.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub frames: u64,
    pub bytes: u64,
    pub kinds: BTreeMap<&'static str, u64>,
}

impl Seen {
    pub fn of(&self, kind: &str) -> u64 {
        self.kinds.get(kind).copied().unwrap_or(0)
    }

    pub fn add(&mut self, frame: &[u8]) {
        self.frames += 1;
        self.bytes += frame.len() as u64;
        let view = FrameView::parse(frame).expect("a node sent a frame that does not parse");
        for message in view.messages() {
            let message = message.expect("a node sent a message that does not parse");
            *self.kinds.entry(kind(&message)).or_default() += 1;
        }
    }
}

type Damage = Box<dyn FnMut(&mut Vec<u8>, &mut Rng)>;

/// An Ethernet segment of two or more ports.
pub struct Link {
    pub members: Vec<(usize, PortId)>,
    /// What it carries each way, bytes per second, and how much waits for that at most; `None`: all at once.
    pub rate: Option<(u64, u64)>,
    /// When what each member has said is through.
    busy_until: BTreeMap<usize, u64>,
    /// How long each frame waited for those before it, µs.
    pub waits: Vec<u64>,
    pub delay_us: u64,
    pub jitter_us: u64,
    pub loss: u64,
    pub repeat: u64,
    pub up: bool,
    pub mtu: usize,
    /// Whether it carries long frames as they are; else they are cut on their way.
    pub uncut: bool,
    /// Whether something on it drops all that is longer than the MTU.
    pub polices: bool,
    pub damage: Option<Damage>,
    pub seen: Seen,
    /// All frames, when wanted.
    pub capture: Option<Vec<Vec<u8>>>,
}

impl Link {
    pub fn new(members: Vec<(usize, PortId)>, mtu: usize) -> Self {
        Link {
            members,
            rate: None,
            busy_until: BTreeMap::new(),
            waits: Vec::new(),
            delay_us: 100,
            jitter_us: 0,
            loss: 0,
            repeat: 0,
            up: true,
            mtu,
            uncut: false,
            polices: false,
            damage: None,
            seen: Seen::default(),
            capture: None,
        }
    }

    /// When a frame that `from` sends now is on the cable; `None` if the queue before it is full.
    pub fn carry(&mut self, from: usize, len: usize, now: u64) -> Option<u64> {
        let Some((rate, queue)) = self.rate else {
            return Some(now);
        };
        let busy_until = self.busy_until.entry(from).or_default();
        let begins = now.max(*busy_until);
        if (begins - now) * rate / 1_000_000 > queue {
            return None;
        }
        self.waits.push(begins - now);
        // With the Ethernet header, preamble and gap.
        *busy_until = begins + (len as u64 + 38) * 1_000_000 / rate;
        Some(*busy_until)
    }
}

fn kind(message: &Message<'_>) -> &'static str {
    match message {
        Message::Refusal(_) => "refusal",
        Message::Head(_) => "head",
        Message::Grant(_) => "grant",
        Message::Cons(_) => "cons",
        Message::Path(_) => "path",
        Message::Page(_) => "page",
        Message::Entry(_) => "entry",
        Message::BlobPath(_) => "blob-path",
        Message::BlobPage(_) => "blob-page",
        Message::BlobData(_) => "blob-data",
        Message::LookupHead(_) => "lookup-head",
        Message::LookupRange(_) => "lookup-range",
        Message::LookupCons(_) => "lookup-cons",
        Message::LookupBlob(_) => "lookup-blob",
        Message::Follow(_) => "follow",
    }
}
