// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The engine compiled for a small world: generic code exists only where somebody uses it, and the
//! checks for panic paths and stack frames need an object that has all of it.

use std::ops::Range;

use feed_core::engine::budget::{Next, Rate, VerifyQueue};
use feed_core::engine::fetch::{Credit, Reader};
use feed_core::engine::*;
use feed_core::id::{BlobName, DiscoveryId, Hash, Name};
use feed_core::object::ObjectKey;
use feed_core::siphash::SipKey;

/// Boxed slices.
pub struct Boxes;

impl Memory for Boxes {
    type Of<T> = Box<[T]>;
}

impl Lend<Boxes> for Boxes {
    type Error = std::convert::Infallible;

    fn lend<T: Default>(&mut self, len: usize) -> Result<Box<[T]>, Self::Error> {
        Ok((0..len).map(|_| T::default()).collect())
    }
}

/// The rest of a frame that has none.
struct Short;

impl Rest for Short {
    fn bytes(&self) -> usize {
        0
    }

    fn copy(&self, _: usize, _: &mut [u8]) -> bool {
        false
    }
}

/// A world that has nothing and keeps nothing.
pub struct Void(u64);

impl Env for Void {
    type Extent = u32;

    fn random(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1);
        self.0
    }

    fn wall_ms(&mut self) -> Option<u64> {
        None
    }

    fn slot_get(&mut self, _: &ObjectKey, _: u8, _: &mut [u8]) -> bool {
        false
    }

    fn slot_put(&mut self, _: &ObjectKey, _: u8, _: &[u8], _: Charge) -> Result<(), Full> {
        Err(Full)
    }

    fn slot_clear(&mut self, _: &ObjectKey, _: u8) {}

    fn blob_find(&mut self, _: &BlobName, _: u16) -> Option<BlobInfo> {
        None
    }

    fn blob_share(&mut self, _: &BlobName, _: u16) {}

    fn blob_read(&mut self, _: &BlobName, _: u16, _: u32, _: &mut [u8]) -> bool {
        false
    }

    fn blob_reserve(&mut self, _: &BlobName, _: u16, len: u32, _: Charge) -> Result<u32, Full> {
        Ok(len)
    }

    fn extent_write(&mut self, _: &mut u32, _: u32, _: &[u8]) {}

    fn extent_take(&mut self, _: &mut u32, _: u32, len: u32, rest: &dyn Rest) -> bool {
        rest.bytes() >= len as usize
    }

    fn extent_cv(&mut self, _: &u32, _: Range<u8>, _: u64, _: bool) -> Hash {
        Hash::ZERO
    }

    fn blob_publish(&mut self, _: u32, _: u8) {}

    fn send(&mut self, _: Dest, linear: &[u8], _: Option<Payload>) -> bool {
        !linear.is_empty()
    }

    fn verify(&mut self, _: &VerifyJob) -> bool {
        true
    }

    fn wake(&mut self, _: &DiscoveryId) {}

    fn event(&mut self, _: Event<'_>) {}
}

type Small = Engine<Boxes, Void>;

macro_rules! entry_points {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? = $body:expr;)*) => {
        $(
            /// An entry point by its own symbol.
            #[no_mangle]
            pub extern "Rust" fn $name($($arg: $type),*) $(-> $out)? {
                $body
            }
        )*
    };
}

entry_points! {
    engine_on_frame(e: &mut Small, now: u64, rx: Rx, frame: &[u8], env: &mut Void) -> ShardSet = e.on_frame(now, rx, frame, env);
    engine_on_frame_head(e: &mut Small, now: u64, rx: Rx, head: &[u8], env: &mut Void) -> ShardSet = e.on_frame_head(now, rx, head, &Short, env);
    engine_on_frame_again(e: &mut Small, now: u64, rx: Rx, head: &[u8], env: &mut Void) = e.on_frame_again(now, rx, head, &Short, env);
    shards_of_frame(shards: &Shards, start: &[u8]) -> usize = shards.of_frame(start);
    shards_of(shards: &Shards, id: &DiscoveryId) -> usize = shards.of(id);
    engine_on_verdict(e: &mut Small, now: u64, job: u64, ok: bool, env: &mut Void) = e.on_verdict(now, job, ok, env);
    engine_on_timer(e: &mut Small, now: u64, env: &mut Void) = e.on_timer(now, env);
    engine_next_deadline(e: &Small) -> Option<u64> = e.next_deadline();
    engine_port_add(e: &mut Small, port: PortId, info: PortInfo) -> Result<(), Refused> = e.port_add(port, info);
    engine_port_remove(e: &mut Small, port: PortId, env: &mut Void) -> bool = e.port_remove(0, port, env);
    engine_route_add(e: &mut Small, route: Route) -> Result<(), Refused> = e.route_add(route);
    engine_route_del(e: &mut Small, route: &Route) -> bool = e.route_del(route);
    engine_feed_keep(e: &mut Small, id: &DiscoveryId, name: Name) -> Result<(), Refused> = e.feed_keep(id, name);
    engine_feed_let_go(e: &mut Small, id: &DiscoveryId, env: &mut Void) = e.feed_let_go(id, env);
    engine_forget_unsigned(e: &mut Small, id: &DiscoveryId, env: &mut Void) = e.forget_unsigned(id, 0, env);
    engine_share_stored(e: &mut Small, id: &DiscoveryId, env: &mut Void) -> Option<u64> = e.share_stored(id, 0, env);
    engine_is_route_demoted(e: &mut Small, index: u32) -> bool = e.is_route_demoted(0, index);
    engine_has_feed_at(e: &mut Small, index: u32) -> bool = e.has_feed_at(index);
    engine_feed_open(e: &mut Small, id: &DiscoveryId) -> Result<(), Refused> = e.feed_open(id, None);
    engine_own_head(e: &mut Small, id: &DiscoveryId, head: &[u8; 160], env: &mut Void) -> bool = e.own_head(0, id, head, env).is_ok();
    engine_want_head(e: &mut Small, id: &DiscoveryId, env: &mut Void) -> Wanted = e.want_head(0, id, (0, 0), u64::MAX, 9, env);
    engine_follow_local(e: &mut Small, id: &DiscoveryId, env: &mut Void) -> Wanted = e.follow_local(0, id, true, env);
    engine_pump(r: &mut Reader, e: &mut Small, env: &mut Void) -> bool =
        r.pump(e, 0, &Credit { windows: 9, bytes: 1 << 20 }, env) == fetch::Status::Waiting;
    engine_feed_statement(e: &Small, id: &DiscoveryId) -> bool = e.feed_statement(id).is_some();
    engine_feed_freshness(e: &Small, id: &DiscoveryId) -> bool = e.feed_freshness(id, Some(1)).is_some();
    engine_feed_state(e: &Small, id: &DiscoveryId) -> bool = e.feed_state(id).is_some();
    queue_push(q: &mut VerifyQueue<Boxes>, job: &VerifyJob) -> bool = q.push(job);
    queue_pop(q: &mut VerifyQueue<Boxes>) -> bool = matches!(q.pop(0), Next::Job(_));
    queue_judged(q: &mut VerifyQueue<Boxes>, job: &VerifyJob) -> () = q.judged(job, true, 42, 0);
    rate_may_work(rate: &mut Rate, now: u64) -> bool = rate.may_work(now);
}

fn main() {
    let sizes = Sizes::NAMESPACE;
    let Ok(tables) = Tables::<Boxes, Void>::lend(&sizes, &mut Boxes);
    let mut engine = Engine::new(Config::new(SipKey([1, 2]), &sizes), tables);
    let mut env = Void(1);
    engine_on_timer(&mut engine, 1, &mut env);
    println!("an engine of {} B", std::mem::size_of_val(&engine));
}
