// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! A machine of the network: its engines, and the world that they see.

use feed_core::engine::{Engine, Rx, Shards};
use feed_core::id::DiscoveryId;

use super::{Behind, Host, World};

/// A machine.
pub struct Node {
    /// The only engine, or the first of those that share the node's feeds.
    pub engine: Engine<Host, World>,
    pub others: Vec<Engine<Host, World>>,
    pub shards: Shards,
    pub world: World,
    pub on: bool,
    /// How long a signature takes, µs.
    pub verify_us: u64,
}

impl Node {
    /// With these engines, of which there is one at least.
    pub fn new(mut engines: Vec<Engine<Host, World>>, shards: Shards, world: World) -> Self {
        let others = engines.split_off(1);
        Node {
            engine: engines.remove(0),
            others,
            shards,
            world,
            on: true,
            verify_us: 60,
        }
    }

    pub fn engines(&mut self) -> impl Iterator<Item = &mut Engine<Host, World>> {
        [&mut self.engine].into_iter().chain(&mut self.others)
    }

    /// The engine of a feed.
    pub fn of(&mut self, feed: &DiscoveryId) -> (&mut Engine<Host, World>, &mut World) {
        let shard = self.shards.of(feed);
        self.shard(shard)
    }

    fn shard(&mut self, shard: usize) -> (&mut Engine<Host, World>, &mut World) {
        let engine = match shard.checked_sub(1) {
            None => &mut self.engine,
            Some(other) => &mut self.others[other],
        };
        (engine, &mut self.world)
    }

    pub fn next_deadline(&self) -> Option<u64> {
        let engines = [&self.engine].into_iter().chain(&self.others);
        engines.filter_map(Engine::next_deadline).min()
    }

    pub fn on_timer(&mut self, now: u64) {
        for engine in self.others.iter_mut().chain([&mut self.engine]) {
            engine.on_timer(now, &mut self.world);
        }
    }

    /// As a shell does it: where the first message points to, then to whom that engine names; the head
    /// first, the payload where it is to stay. Every fourth frame is copied whole.
    pub fn on_frame(&mut self, now: u64, rx: Rx, bytes: &[u8]) {
        self.world.taken += 1;
        let is_whole = self.world.taken % 4 == 0;
        let (head, behind) = if is_whole {
            (bytes, Behind::new(&[]))
        } else {
            Behind::split(bytes)
        };
        let (engine, world) = self.shard(self.shards.of_frame(head));
        let mut rest = engine.on_frame_head(now, rx, head, &behind, world);
        while let Some(shard) = rest.pop() {
            let (engine, world) = self.shard(shard);
            engine.on_frame_again(now, rx, head, &behind, world);
        }
    }
}
