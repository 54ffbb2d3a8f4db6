// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Property: whatever happens to a small network, readers get right bytes or none; and once it is
//! well again, they get all of them and no work is left behind.
#![allow(non_snake_case)]

mod harness;
#[path = "harness/property.rs"]
mod property;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Mac, PortInfo, Role, Route, Rx};
use harness::{ms, s, Author, Net, Rng};
use property::property;
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    Append {
        size: usize,
        count: usize,
    },
    Read {
        reader: usize,
        count: usize,
        time_ms: u64,
    },
    Head {
        reader: usize,
    },
    Follow {
        reader: usize,
        on: bool,
    },
    Flush {
        node: usize,
    },
    Power {
        node: usize,
        on: bool,
    },
    Loss {
        link: usize,
        permille: u64,
    },
    Jitter {
        link: usize,
        us: u64,
    },
    Damage {
        link: usize,
        one_in: u64,
    },
    Port {
        link: usize,
    },
    Garbage {
        link: usize,
        seed: u64,
    },
    Replay {
        link: usize,
        back: usize,
    },
    Crowd {
        node: usize,
        fail_every: u64,
    },
    Wait {
        time_ms: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (prop_oneof![Just(0usize), 1usize..1200, 30_000usize..70_000], 1usize..4).prop_map(|(size, count)| Op::Append { size, count }),
        4 => (0usize..2, 1usize..8, 1u64..2000).prop_map(|(reader, count, time_ms)| Op::Read { reader, count, time_ms }),
        2 => (0usize..2).prop_map(|reader| Op::Head { reader }),
        1 => (0usize..2, any::<bool>()).prop_map(|(reader, on)| Op::Follow { reader, on }),
        1 => (1usize..5).prop_map(|node| Op::Flush { node }),
        1 => (0usize..5, any::<bool>()).prop_map(|(node, on)| Op::Power { node, on }),
        1 => (0usize..5, 0u64..400).prop_map(|(link, permille)| Op::Loss { link, permille }),
        1 => (0usize..5, 0u64..20_000).prop_map(|(link, us)| Op::Jitter { link, us }),
        1 => (0usize..5, 2u64..20).prop_map(|(link, one_in)| Op::Damage { link, one_in }),
        1 => (0usize..5).prop_map(|link| Op::Port { link }),
        1 => (0usize..5, any::<u64>()).prop_map(|(link, seed)| Op::Garbage { link, seed }),
        1 => (0usize..5, 0usize..50).prop_map(|(link, back)| Op::Replay { link, back }),
        1 => (1usize..5, 0u64..9).prop_map(|(node, fail_every)| Op::Crowd { node, fail_every }),
        2 => (1u64..3000).prop_map(|time_ms| Op::Wait { time_ms }),
    ]
}

/// author(0) — cache(1) — cache(2) — reader(3), reader(4); a second way from 2 to the author.
struct Lab {
    net: Net,
    feed: Author,
    follows: [bool; 2],
}

const READERS: [usize; 2] = [3, 4];

impl Lab {
    fn new(seed: u64, mtu: usize) -> Self {
        let mut net = Net::new(seed);
        net.add(Role::Host);
        net.add(Role::Cache);
        net.add(Role::Cache);
        net.add(Role::Host);
        net.add(Role::Host);
        let links = [
            net.link(&[0, 1], mtu),
            net.link(&[1, 2], mtu),
            net.link(&[2, 3], mtu),
            net.link(&[2, 4], mtu),
            net.link(&[0, 2], mtu),
        ];
        for link in &links {
            net.links[*link].capture = Some(Vec::new());
        }
        let mut lab = Lab {
            net,
            feed: Author::new(40),
            follows: [false; 2],
        };
        for link in links {
            lab.routes(link);
        }
        let now = lab.net.now;
        lab.feed.publish(now, &mut lab.net.nodes[0], false);
        lab
    }

    fn routes(&mut self, link: usize) {
        match link {
            0 => self.net.route(1, 0, None),
            1 => self.net.route(2, 1, Some(1)),
            2 => self.net.route(3, 2, None),
            3 => self.net.route(4, 3, Some(2)),
            _ => self.net.route_cost(2, 4, Some(0), 5),
        }
    }

    fn check(&self, got: &[(Vec<u8>, u8)], from: u64) {
        for (index, (bytes, _)) in got.iter().enumerate() {
            assert!(
                *bytes == self.feed.payloads[from as usize + index],
                "entry {} is wrong",
                from as usize + index
            );
        }
    }

    fn apply(&mut self, op: &Op) {
        let net = &mut self.net;
        match op {
            Op::Append { size, count } => {
                for _ in 0..*count {
                    let payload = net.rng.bytes(*size);
                    self.feed.append(net.now, &mut net.nodes[0], &payload);
                    net.flush(0);
                }
            }
            Op::Read {
                reader,
                count,
                time_ms,
            } => {
                let from = net.rng.below(self.feed.payloads.len() as u64 + 1);
                let mut cursor = Reader::new(self.feed.id, from);
                let got = net.read(
                    READERS[*reader],
                    &mut cursor,
                    self.feed.id,
                    *count,
                    ms(*time_ms),
                );
                self.check(&got, from);
            }
            Op::Head { reader } => {
                let n = self.feed.payloads.len() as u64;
                net.get_head(READERS[*reader], self.feed.id, n, ms(300));
            }
            Op::Follow { reader, on } => {
                if self.follows[*reader] != *on {
                    self.follows[*reader] = *on;
                    let id = self.feed.id;
                    net.with(READERS[*reader], |engine, now, world| {
                        engine.follow_local(now, &id, *on, world)
                    });
                }
            }
            Op::Flush { node } => net.nodes[*node].world.flush(),
            Op::Power { node, on } => net.nodes[*node].on = *on,
            Op::Loss { link, permille } => net.links[*link].loss = *permille,
            Op::Jitter { link, us } => net.links[*link].jitter_us = *us,
            Op::Damage { link, one_in } => {
                let one_in = *one_in;
                net.links[*link].damage = Some(Box::new(move |bytes, rng| {
                    if rng.below(one_in) == 0 {
                        let place = rng.below(bytes.len() as u64) as usize;
                        bytes[place] ^= 1 << rng.below(8);
                    }
                }));
            }
            Op::Port { link } => {
                let port = net.port(*link);
                for (node, _) in net.links[*link].members.clone() {
                    let info: PortInfo = net.nodes[node].engine.port_info(port).unwrap();
                    net.with(node, |engine, now, world| {
                        engine.port_remove(now, port, world)
                    });
                    net.nodes[node].engine.port_add(port, info).unwrap();
                }
                self.routes(*link);
            }
            Op::Garbage { link, seed } => {
                let mut rng = Rng(*seed);
                for _ in 0..20 {
                    let len = 24 + rng.below(1000) as usize;
                    let mut frame = rng.bytes(len);
                    frame[..8].copy_from_slice(&[
                        1,
                        0,
                        (len - 24) as u8,
                        ((len - 24) >> 8) as u8,
                        0,
                        0,
                        0,
                        0,
                    ]);
                    self.strange(*link, &frame, &mut rng);
                }
            }
            Op::Replay { link, back } => {
                let mut rng = Rng(*back as u64);
                let frames = net.links[*link].capture.as_ref().unwrap();
                let known: Vec<Vec<u8>> =
                    frames.iter().rev().skip(*back).take(5).cloned().collect();
                for frame in known {
                    self.strange(*link, &frame, &mut rng);
                }
            }
            Op::Crowd { node, fail_every } => {
                // Every write or every other one failing would be no store at all.
                net.nodes[*node].world.fail_every = if *fail_every < 3 { 0 } else { *fail_every };
            }
            Op::Wait { time_ms } => net.run(ms(*time_ms)),
        }
    }

    fn strange(&mut self, link: usize, frame: &[u8], rng: &mut Rng) {
        let port = self.net.port(link);
        let members = self.net.links[link].members.clone();
        let (node, _) = members[rng.below(members.len() as u64) as usize];
        let mac = Mac([2, 0, 0, rng.below(5) as u8, 0, port.0 as u8]);
        if self.net.nodes[node].on {
            self.net.inject(
                node,
                Rx {
                    port,
                    mac,
                    group: rng.chance(200),
                },
                frame,
            );
        }
    }

    fn heal(&mut self) {
        for node in &mut self.net.nodes {
            node.on = true;
            node.world.fail_every = 0;
        }
        for link in &mut self.net.links {
            link.loss = 0;
            link.jitter_us = 0;
            link.damage = None;
        }
    }

    fn finish(&mut self) {
        self.heal();
        let all = self.feed.payloads.len();
        for reader in READERS {
            assert!(
                self.net.get_head(reader, self.feed.id, all as u64, s(90)),
                "reader {reader} has no head"
            );
            let mut cursor = Reader::new(self.feed.id, 0);
            let got = self
                .net
                .read(reader, &mut cursor, self.feed.id, all, s(120));
            self.check(&got, 0);
            assert_eq!(
                got.len(),
                all,
                "reader {reader}: drops {:?}",
                self.net.nodes[reader].world.drops
            );
        }
        for (index, reader) in READERS.into_iter().enumerate() {
            if std::mem::take(&mut self.follows[index]) {
                let id = self.feed.id;
                self.net.with(reader, |engine, now, world| {
                    engine.follow_local(now, &id, false, world)
                });
            }
        }
        self.net.run(s(70));
        for (index, node) in self.net.nodes.iter().enumerate() {
            assert_eq!(
                node.engine.pending_len(),
                0,
                "node {index} left lookups behind"
            );
            assert_eq!(
                node.engine.waiting_len(),
                0,
                "node {index} left waiters behind"
            );
            node.world.check_blobs();
        }
        // Nothing wrong in any store: everything equals what the author wrote.
        for node in &self.net.nodes[1..] {
            for (key, (bytes, _)) in &node.world.blobs {
                assert!(self.net.nodes[0]
                    .world
                    .blobs
                    .get(key)
                    .is_some_and(|(right, _)| right == bytes));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 400, ..property(96) })]

    #[test]
    fn ops__right_bytes_or_none(seed in any::<u64>(), mtu in prop_oneof![Just(1280usize), Just(1500), Just(9000)], ops in prop::collection::vec(op(), 1..40)) {
        let mut lab = Lab::new(seed, mtu);
        for op in &ops {
            lab.apply(op);
        }
        lab.finish();
    }
}

/// Routes may come and go while lookups are in flight.
#[test]
fn routes__come_and_go() {
    let mut lab = Lab::new(1, 1500);
    for _ in 0..20 {
        lab.apply(&Op::Append {
            size: 20_000,
            count: 2,
        });
        let route = Route {
            feed: None,
            port: lab.net.port(1),
            mac: Some(Mac([2, 0, 0, 1, 0, 2])),
            cost: 0,
        };
        assert!(lab.net.nodes[2].engine.route_del(&route));
        lab.apply(&Op::Read {
            reader: 0,
            count: 5,
            time_ms: 50,
        });
        lab.net.nodes[2].engine.route_add(route).unwrap();
        lab.apply(&Op::Head { reader: 0 });
    }
    lab.finish();
}
