// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Many nodes and links in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use feed_core::engine::fetch::{Credit, Reader, Status};
use feed_core::engine::{
    Config, Dest, Engine, Mac, PortId, PortInfo, Role, Route, Rx, Shards, Sizes, Tables,
};
use feed_core::id::DiscoveryId;
use feed_core::siphash::SipKey;
use feed_core::wire::ANY_AGE;

use super::behind::pieces;
use super::{ms, Host, Link, Node, Rng, Vectors, World};

enum Happening {
    Frame {
        node: usize,
        rx: Rx,
        bytes: Vec<u8>,
    },
    Verdict {
        node: usize,
        feed: DiscoveryId,
        job: u64,
        ok: bool,
    },
}

pub struct Net {
    pub now: u64,
    pub nodes: Vec<Node>,
    pub links: Vec<Link>,
    pub rng: Rng,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Happening>,
    serial: u64,
}

pub fn mac_of(node: usize, port: PortId) -> Mac {
    Mac([2, 0, 0, node as u8, (port.0 >> 8) as u8, port.0 as u8])
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Net {
            now: 1_000_000,
            nodes: Vec::new(),
            links: Vec::new(),
            rng: Rng(seed),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            serial: 0,
        }
    }

    pub fn add(&mut self, role: Role) -> usize {
        self.add_sized(role, &Sizes::NAMESPACE)
    }

    pub fn add_sized(&mut self, role: Role, sizes: &Sizes) -> usize {
        let secret = SipKey([self.rng.next(), self.rng.next()]);
        let Ok(tables) = Tables::lend(sizes, &mut Vectors);
        let mut engine = Engine::new(Config::new(secret, sizes), tables);
        engine.set_role(role);
        let world = World::new(self.rng.next());
        let shards = Shards::new(secret, 1);
        self.nodes.push(Node::new(vec![engine], shards, world));
        self.nodes.len() - 1
    }

    /// A node with several engines. Ports and routes go to all of them.
    pub fn add_sharded(&mut self, role: Role, cpus: usize) -> usize {
        let secret = SipKey([self.rng.next(), self.rng.next()]);
        let shards = Shards::new(secret, cpus);
        let engines = (0..shards.count()).map(|shard| {
            let Ok(tables) = Tables::lend(&Sizes::NAMESPACE, &mut Vectors);
            let config = Config::new(secret, &Sizes::NAMESPACE).of_shard(shards, shard);
            let mut engine = Engine::new(config, tables);
            engine.set_role(role);
            engine
        });
        let engines = engines.collect();
        let world = World::new(self.rng.next());
        self.nodes.push(Node::new(engines, shards, world));
        self.nodes.len() - 1
    }

    /// Restarts a node with nothing but its ports; routes must be set again.
    pub fn reboot(&mut self, node: usize, role: Role) {
        let secret = SipKey([self.rng.next(), self.rng.next()]);
        let Ok(tables) = Tables::lend(&Sizes::NAMESPACE, &mut Vectors);
        let mut engine = Engine::new(Config::new(secret, &Sizes::NAMESPACE), tables);
        engine.set_role(role);
        for link in &self.links {
            for (member, port) in &link.members {
                if *member == node {
                    engine
                        .port_add(
                            *port,
                            PortInfo {
                                mac: mac_of(node, *port),
                                mtu: link.mtu as u16,
                                up: true,
                                uncut: false,
                            },
                        )
                        .unwrap();
                }
            }
        }
        let world = World::new(self.rng.next());
        self.nodes[node] = Node::new(vec![engine], Shards::new(secret, 1), world);
    }

    /// Connects nodes; each gets a port whose id is the link's index + 1.
    pub fn link(&mut self, nodes: &[usize], mtu: usize) -> usize {
        let port = PortId(self.links.len() as u32 + 1);
        for node in nodes {
            let info = PortInfo {
                mac: mac_of(*node, port),
                mtu: mtu as u16,
                up: true,
                uncut: false,
            };
            for engine in self.nodes[*node].engines() {
                engine.port_add(port, info).unwrap();
            }
        }
        let members = nodes.iter().map(|node| (*node, port)).collect();
        self.links.push(Link::new(members, mtu));
        self.links.len() - 1
    }

    /// Lets the ports of a link send a window in one frame.
    pub fn allow_uncut(&mut self, link: usize) {
        for (node, port) in self.links[link].members.clone() {
            for engine in self.nodes[node].engines() {
                let info = engine.port_info(port).unwrap();
                let info = PortInfo {
                    uncut: true,
                    ..info
                };
                engine.port_set(port, info).unwrap();
            }
        }
    }

    pub fn port(&self, link: usize) -> PortId {
        PortId(link as u32 + 1)
    }

    /// A default route of `node` over `link`, to a neighbour or to the group.
    pub fn route(&mut self, node: usize, link: usize, to: Option<usize>) {
        self.route_cost(node, link, to, 0);
    }

    pub fn route_cost(&mut self, node: usize, link: usize, to: Option<usize>, cost: u32) {
        let port = self.port(link);
        let route = Route {
            feed: None,
            port,
            mac: to.map(|to| mac_of(to, port)),
            cost,
        };
        for engine in self.nodes[node].engines() {
            engine.route_add(route).unwrap();
        }
    }

    fn schedule(&mut self, at: u64, what: Happening) {
        self.serial += 1;
        self.queue.push(Reverse((at, self.serial)));
        self.events.insert(self.serial, what);
    }

    /// Puts what a node said on the wire.
    pub fn flush(&mut self, node: usize) {
        let out = std::mem::take(&mut self.nodes[node].world.out);
        let jobs = std::mem::take(&mut self.nodes[node].world.jobs);
        let verify_us = self.nodes[node].verify_us;
        for (index, job) in jobs.into_iter().enumerate() {
            let at = self.now + verify_us * (index as u64 + 1);
            self.schedule(
                at,
                Happening::Verdict {
                    node,
                    feed: job.feed,
                    job: job.id,
                    ok: job.check(),
                },
            );
        }
        for (dest, bytes) in out {
            self.transmit(node, dest, bytes);
        }
    }

    fn transmit(&mut self, node: usize, dest: Dest, bytes: Vec<u8>) {
        let index = dest.port.0 as usize - 1;
        let link = &mut self.links[index];
        let is_uncut = |(member, port): &(usize, PortId)| {
            let info = self.nodes[*member].engine.port_info(*port);
            *member == node && info.is_some_and(|info| info.uncut)
        };
        if bytes.len() > link.mtu && link.members.iter().any(is_uncut) {
            if !link.uncut {
                for piece in pieces(&bytes, link.mtu) {
                    self.transmit(node, dest, piece);
                }
                return;
            }
        } else {
            assert!(
                bytes.len() <= link.mtu,
                "a frame of {} B on an MTU of {}",
                bytes.len(),
                link.mtu
            );
        }
        assert!(bytes.len() >= 46, "a frame too short for Ethernet");
        link.seen.add(&bytes);
        if let Some(capture) = &mut link.capture {
            capture.push(bytes.clone());
        }
        if !link.up || (link.polices && bytes.len() > link.mtu) {
            return;
        }
        let Some(through) = link.carry(node, bytes.len(), self.now) else {
            return;
        };
        let source = mac_of(node, dest.port);
        let to: Vec<_> = link
            .members
            .iter()
            .filter(|(member, port)| {
                *member != node && dest.mac.is_none_or(|mac| mac == mac_of(*member, *port))
            })
            .copied()
            .collect();
        let (delay, jitter, loss, repeat) = (link.delay_us, link.jitter_us, link.loss, link.repeat);
        for (member, port) in to {
            let copies = 1 + usize::from(self.rng.chance(repeat));
            for _ in 0..copies {
                if self.rng.chance(loss) {
                    continue;
                }
                let mut bytes = bytes.clone();
                let link = &mut self.links[index];
                if let Some(damage) = &mut link.damage {
                    damage(&mut bytes, &mut self.rng);
                }
                let at = through + delay + self.rng.below(jitter + 1);
                let rx = Rx {
                    port,
                    mac: source,
                    group: dest.mac.is_none(),
                };
                self.schedule(
                    at,
                    Happening::Frame {
                        node: member,
                        rx,
                        bytes,
                    },
                );
            }
        }
    }

    /// Hands a frame to a node at once.
    pub fn inject(&mut self, node: usize, rx: Rx, bytes: &[u8]) {
        self.nodes[node].on_frame(self.now, rx, bytes);
        self.flush(node);
    }

    /// Does the next thing at or before `until`; false if there is none.
    pub fn step(&mut self, until: u64) -> bool {
        let event = self.queue.peek().map(|Reverse((at, _))| *at);
        let timers = self.nodes.iter().enumerate().filter(|(_, node)| node.on);
        let timer = timers
            .filter_map(|(index, node)| Some((node.next_deadline()?, index)))
            .min();
        let first = event
            .unwrap_or(u64::MAX)
            .min(timer.map_or(u64::MAX, |(at, _)| at));
        if first > until {
            self.now = self.now.max(until);
            return false;
        }
        self.now = self.now.max(first);
        let node = match timer {
            Some((at, node)) if Some(at) < event || event.is_none() => {
                self.nodes[node].on_timer(self.now);
                node
            }
            _ => {
                let Some(Reverse((_, serial))) = self.queue.pop() else {
                    return false;
                };
                match self.events.remove(&serial).unwrap() {
                    Happening::Frame { node, rx, bytes } => {
                        if self.nodes[node].on {
                            self.nodes[node].on_frame(self.now, rx, &bytes);
                        }
                        node
                    }
                    Happening::Verdict {
                        node,
                        feed,
                        job,
                        ok,
                    } => {
                        let (engine, world) = self.nodes[node].of(&feed);
                        engine.on_verdict(self.now, job, ok, world);
                        node
                    }
                }
            }
        };
        self.flush(node);
        true
    }

    pub fn run(&mut self, for_us: u64) {
        let until = self.now + for_us;
        while self.step(until) {}
    }

    /// Runs until `done` or the time is over; says whether it was done.
    pub fn run_until(&mut self, for_us: u64, mut done: impl FnMut(&mut Net) -> bool) -> bool {
        let until = self.now + for_us;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(until) {
                return done(self);
            }
        }
    }

    /// Calls an engine as a syscall would.
    pub fn with<T>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Engine<Host, World>, u64, &mut World) -> T,
    ) -> T {
        let Node { engine, world, .. } = &mut self.nodes[node];
        let result = call(engine, self.now, world);
        self.flush(node);
        result
    }

    /// As [`Net::with`], for the engine of a feed.
    pub fn with_feed<T>(
        &mut self,
        node: usize,
        feed: &DiscoveryId,
        call: impl FnOnce(&mut Engine<Host, World>, u64, &mut World) -> T,
    ) -> T {
        let now = self.now;
        let (engine, world) = self.nodes[node].of(feed);
        let result = call(engine, now, world);
        self.flush(node);
        result
    }

    /// Waits until `node` holds a head of at least `n` entries.
    pub fn get_head(&mut self, node: usize, id: DiscoveryId, n: u64, for_us: u64) -> bool {
        let until = self.now + for_us;
        loop {
            let wanted = self.with_feed(node, &id, |engine, now, world| {
                engine.want_head(now, &id, (0, n), ANY_AGE, 1000, world)
            });
            if wanted == feed_core::engine::Wanted::Present {
                return true;
            }
            if self.now >= until {
                return false;
            }
            let next = (self.now + ms(500)).min(until);
            self.wait(node, id, next);
        }
    }

    /// Runs until the feed's readers on `node` are woken.
    fn wait(&mut self, node: usize, id: DiscoveryId, until: u64) {
        let left = until.saturating_sub(self.now);
        self.run_until(left, |net| net.nodes[node].world.woken.remove(&id));
    }

    /// Reads one entry after the other, with the hops of each, until `count` are read or the time
    /// is over.
    pub fn read(
        &mut self,
        node: usize,
        reader: &mut Reader,
        id: DiscoveryId,
        count: usize,
        for_us: u64,
    ) -> Vec<(Vec<u8>, u8)> {
        self.read_with(
            node,
            reader,
            id,
            count,
            for_us,
            Credit {
                windows: 16,
                bytes: 1 << 20,
            },
        )
    }

    pub fn read_with(
        &mut self,
        node: usize,
        reader: &mut Reader,
        id: DiscoveryId,
        count: usize,
        for_us: u64,
        credit: Credit,
    ) -> Vec<(Vec<u8>, u8)> {
        let until = self.now + for_us;
        let mut out = Vec::new();
        let mut part = Vec::new();
        while out.len() < count {
            match self.with_feed(node, &id, |engine, now, world| {
                reader.pump(engine, now, &credit, world)
            }) {
                Status::Ready { leaf, hops, .. } => {
                    let (_, offset) = reader.position();
                    let (window, start) = ((offset >> 15) as u16, offset & 0x7fff);
                    let len = (leaf.len - offset).min((32 << 10) - start);
                    let mut bytes = vec![0; len as usize];
                    if len > 0 {
                        let world = &mut self.nodes[node].world;
                        assert!(feed_core::engine::Env::blob_read(
                            world,
                            &leaf.blob_name(),
                            window,
                            start,
                            &mut bytes
                        ));
                    }
                    part.extend_from_slice(&bytes);
                    reader.advance(len, leaf.len);
                    if part.len() == leaf.len as usize {
                        out.push((std::mem::take(&mut part), hops));
                    }
                }
                _ if self.now >= until => {
                    // An entry that was read in part is read again from its start.
                    let (seq, _) = reader.position();
                    if !part.is_empty() {
                        reader.seek(seq, 0);
                    }
                    break;
                }
                _ => {
                    let next = (self.now + ms(1000)).min(until);
                    self.wait(node, id, next);
                }
            }
        }
        out
    }
}
