// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Pure policies: who is evicted, whose signature is checked next.
#![allow(non_snake_case)]

mod harness;

use std::collections::{HashMap, HashSet, VecDeque};

use feed_core::engine::budget::{Rate, VerifyQueue, JOBS_PER_PORT};
use feed_core::engine::evict::{Class, Policy, Victim};
use feed_core::engine::{Mac, PortId, SignedKind, VerifyJob};
use feed_core::id::DiscoveryId;
use feed_core::sign::PublicKey;
use harness::{Host, Rng, Vectors};

fn job(id: u64, port: u32, known: bool, suspect: bool) -> VerifyJob {
    VerifyJob {
        id,
        port: PortId(port),
        mac: Mac([2; 6]),
        feed: DiscoveryId([0; 32]),
        known,
        suspect,
        patient: false,
        kind: SignedKind::Head,
        key: PublicKey([0; 32]),
        bytes: [0; 192],
    }
}

#[test]
fn queue__is_bounded_per_port() {
    let Ok(mut queue) = VerifyQueue::<Host>::lend(256, &mut Vectors);
    for id in 0..200 {
        assert_eq!(
            queue.push(&job(id, 1, true, false)),
            id < u64::from(JOBS_PER_PORT)
        );
    }
    assert!(
        queue.push(&job(900, 2, true, false)),
        "another port is not hurt"
    );
    assert_eq!(queue.len(), 65);
    queue.forget(PortId(1));
    assert_eq!(queue.pop().map(|job| job.id), Some(900));
    assert!(queue.pop().is_none() && queue.is_empty());
}

#[test]
fn queue__ports_take_turns() {
    let Ok(mut queue) = VerifyQueue::<Host>::lend(256, &mut Vectors);
    for id in 0..60 {
        queue.push(&job(id, 1, true, false));
    }
    for id in 100..110 {
        queue.push(&job(id, 2, true, false));
    }
    let first: Vec<u32> = (0..20).map(|_| queue.pop().unwrap().port.0).collect();
    assert_eq!(
        first.iter().filter(|port| **port == 2).count(),
        10,
        "{first:?}"
    );
}

#[test]
fn queue__known_feeds_three_to_one() {
    let Ok(mut queue) = VerifyQueue::<Host>::lend(256, &mut Vectors);
    for id in 0..30 {
        queue.push(&job(id, 1, false, false));
        queue.push(&job(100 + id, 1, true, false));
    }
    let first: Vec<bool> = (0..20).map(|_| queue.pop().unwrap().known).collect();
    assert_eq!(first.iter().filter(|known| **known).count(), 15);
    let rest = std::iter::from_fn(|| queue.pop()).count();
    assert_eq!(rest, 40, "nothing is lost");
}

#[test]
fn queue__a_suspect_gets_half() {
    let Ok(mut queue) = VerifyQueue::<Host>::lend(256, &mut Vectors);
    for id in 0..60 {
        queue.push(&job(id, 1, true, true));
        queue.push(&job(100 + id, 2, true, false));
    }
    let first: Vec<u32> = (0..30).map(|_| queue.pop().unwrap().port.0).collect();
    let suspect = first.iter().filter(|port| **port == 1).count();
    assert!((9..=11).contains(&suspect), "{suspect} of 30");
    assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 90);
}

#[test]
fn rate__a_quarter_of_a_core() {
    let mut rate = Rate::new(64);
    let (mut now, mut worked) = (0u64, 0u64);
    while now < 10_000_000 {
        if rate.may_work(now) {
            rate.spend(42);
            worked += 42;
            now += 42;
        } else {
            now = rate.next().max(now + 1);
        }
    }
    let share = worked as f64 / now as f64;
    assert!((0.2..0.3).contains(&share), "{share}");
}

/// A store of segments with the policy, as the store's worker uses it.
struct Store {
    policy: Policy<Host>,
    per_segment: usize,
    limit: usize,
    place: HashMap<u64, u32>,
    content: HashMap<u32, Vec<u64>>,
    hot: HashSet<u64>,
    open: HashMap<bool, u32>,
    free: Vec<u32>,
}

impl Store {
    fn new(segments: usize, per_segment: usize) -> Self {
        let Ok(policy) = Policy::lend(segments + 8, segments * per_segment, &mut Vectors);
        Store {
            policy,
            per_segment,
            limit: segments,
            place: HashMap::new(),
            content: HashMap::new(),
            hot: HashSet::new(),
            open: HashMap::new(),
            free: (0..segments as u32 + 8).collect(),
        }
    }

    fn ask(&mut self, key: u64) -> bool {
        if let Some(segment) = self.place.get(&key) {
            self.policy.touch(*segment, PortId(2));
            self.hot.insert(key);
            return true;
        }
        let class = self.policy.admit(hash(key));
        self.write(key, class);
        while self.policy.len() > self.limit {
            self.evict();
        }
        false
    }

    fn write(&mut self, key: u64, class: Class) {
        let main = class == Class::Main;
        let open = self.open.get(&main).copied().filter(|segment| {
            self.content
                .get(segment)
                .is_some_and(|c| c.len() < self.per_segment)
        });
        let segment = open.unwrap_or_else(|| {
            let segment = self.free.pop().expect("a free segment");
            self.policy.insert(segment, class, PortId(1));
            self.content.insert(segment, Vec::new());
            self.open.insert(main, segment);
            segment
        });
        self.content.get_mut(&segment).unwrap().push(key);
        self.place.insert(key, segment);
    }

    fn evict(&mut self) {
        let (segment, rescue) = match self.policy.victim().expect("a victim") {
            Victim::Evict(segment) => (segment, false),
            Victim::Rescue(segment) => (segment, true),
        };
        self.policy.remove(segment);
        self.open.retain(|_, open| *open != segment);
        let keys = self.content.remove(&segment).unwrap();
        self.free.push(segment);
        for key in keys {
            self.place.remove(&key);
            if self.hot.remove(&key) && rescue {
                self.write(key, Class::Main);
            } else {
                self.policy.remember(hash(key));
            }
        }
    }
}

fn hash(key: u64) -> u64 {
    Rng(key).next()
}

/// Hits of the least-recently-used rule on the same trace.
fn lru_hits(trace: &[u64], capacity: usize) -> usize {
    let mut order: VecDeque<u64> = VecDeque::new();
    let mut hits = 0;
    for key in trace {
        match order.iter().position(|other| other == key) {
            Some(at) => {
                order.remove(at);
                hits += 1;
            }
            None if order.len() >= capacity => {
                order.pop_front();
            }
            None => {}
        }
        order.push_back(*key);
    }
    hits
}

/// A hot set that is asked for all the time while scans of ten times the store pass by.
fn scan_and_hot(seed: u64, hot: u64, capacity: u64, scan_per_hot: u64) -> Vec<u64> {
    let mut rng = Rng(seed);
    let mut next = 1_000_000;
    let mut trace = Vec::new();
    for _ in 0..capacity * 6 {
        trace.push(rng.below(hot));
        for _ in 0..scan_per_hot {
            trace.push(next);
            next += 1;
        }
    }
    trace
}

#[test]
fn evict__keeps_the_hot_set_better_than_lru() {
    for (seed, hot, scan) in [(1, 200, 4), (2, 240, 6), (3, 100, 10)] {
        let (segments, per_segment) = (32, 16);
        let trace = scan_and_hot(seed, hot, (segments * per_segment) as u64, scan);
        let mut store = Store::new(segments, per_segment);
        let hits = trace.iter().filter(|key| store.ask(**key)).count();
        let lru = lru_hits(&trace, segments * per_segment);
        eprintln!(
            "hot {hot}, {scan} of a scan per ask: {hits} hits, LRU {lru}, asks {}",
            trace.len() / (scan as usize + 1)
        );
        assert!(hits > lru + lru / 4, "{hits} against {lru}");
        assert!(store.policy.len() <= segments);
    }
}

#[test]
fn evict__uses_all_space_for_probation_while_it_is_free() {
    let mut store = Store::new(16, 4);
    for key in 0..64 {
        assert!(!store.ask(key));
    }
    assert!(
        (0..64).all(|key| store.ask(key)),
        "nothing was evicted below the limit"
    );
}

#[test]
fn evict__a_port_cannot_promote_its_own() {
    let Ok(mut policy) = Policy::<Host>::lend(4, 16, &mut Vectors);
    policy.insert(0, Class::Probation, PortId(1));
    policy.touch(0, PortId(1));
    assert_eq!(policy.victim(), Some(Victim::Evict(0)));
    policy.touch(0, PortId(2));
    assert_eq!(policy.victim(), Some(Victim::Rescue(0)));
    policy.remove(0);
    assert_eq!(policy.victim(), None);
}
