// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Pure policies: who is evicted, whose signature is checked next.
#![allow(non_snake_case)]

mod harness;

use std::collections::{HashMap, HashSet, VecDeque};

use feed_core::engine::budget::{Next, Rate, VerifyQueue, JOBS_PER_PORT};
use feed_core::engine::evict::{Class, Policy, Victim};
use feed_core::engine::{Mac, PortId, SignedKind, VerifyJob};
use feed_core::id::DiscoveryId;
use feed_core::sign::PublicKey;
use harness::{ms, s, Host, Rng, Vectors};

fn job(id: u64, port: u32, known: bool, suspect: bool) -> VerifyJob {
    VerifyJob {
        id,
        instead_of: 0,
        port: PortId(port),
        mac: Mac([2; 6]),
        feed: DiscoveryId([0; 32]),
        known,
        suspect,
        alone: false,
        patient: false,
        kind: SignedKind::Head,
        key: PublicKey([0; 32]),
        bytes: [0; 192],
    }
}

/// The next job of a queue that nothing holds back.
fn pop(queue: &mut VerifyQueue<Host>) -> Option<VerifyJob> {
    match queue.pop(0) {
        Next::Job(job) => Some(job),
        Next::At(then) => panic!("held back until {then}"),
        Next::None => None,
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
    assert_eq!(pop(&mut queue).map(|job| job.id), Some(900));
    assert!(pop(&mut queue).is_none() && queue.is_empty());
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
    let first: Vec<u32> = (0..20).map(|_| pop(&mut queue).unwrap().port.0).collect();
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
    let first: Vec<bool> = (0..20).map(|_| pop(&mut queue).unwrap().known).collect();
    assert_eq!(first.iter().filter(|known| **known).count(), 15);
    let rest = std::iter::from_fn(|| pop(&mut queue)).count();
    assert_eq!(rest, 40, "nothing is lost");
}

#[test]
fn queue__a_suspect_gets_half() {
    let Ok(mut queue) = VerifyQueue::<Host>::lend(256, &mut Vectors);
    for id in 0..60 {
        queue.push(&job(id, 1, true, true));
        queue.push(&job(100 + id, 2, true, false));
    }
    let first: Vec<u32> = (0..30).map(|_| pop(&mut queue).unwrap().port.0).collect();
    let suspect = first.iter().filter(|port| **port == 1).count();
    assert!((9..=11).contains(&suspect), "{suspect} of 30");
    assert_eq!(std::iter::from_fn(|| pop(&mut queue)).count(), 90);
}

/// A newer head of the same neighbour is judged when the older one's turn would have come, and that
/// one never: who sends ever newer ones fills no queue and wastes no signature.
#[test]
fn queue__a_newer_job_takes_the_olders_place() {
    let Ok(mut queue) = VerifyQueue::<Host>::lend(256, &mut Vectors);
    let count = u64::from(JOBS_PER_PORT);
    for id in 1..=count {
        assert!(queue.push(&job(id, 1, id % 2 == 0, false)));
    }
    for id in 1..=count {
        let newer = VerifyJob {
            instead_of: id,
            ..job(1000 + id, 1, id % 2 == 0, false)
        };
        assert!(queue.push(&newer), "{id}: no room for who replaces");
    }
    assert_eq!(queue.len() as u64, count);
    let mut ids: Vec<u64> = std::iter::from_fn(|| pop(&mut queue))
        .map(|job| job.id)
        .collect();
    assert_eq!(ids[..4], [1002, 1004, 1006, 1001], "not in their turns");
    ids.sort_unstable();
    assert!(ids.into_iter().eq(1001..=1000 + count));
    // What is being done cannot be replaced, nor is another port's job.
    assert!(queue.push(&job(5, 2, true, false)));
    let newer = VerifyJob {
        instead_of: 5,
        ..job(6, 1, true, false)
    };
    assert!(queue.push(&newer));
    assert_eq!(queue.len(), 2);
}

/// Engines share the queue, and each numbers its own jobs.
#[test]
fn queue__a_newer_job_takes_no_other_feeds_place() {
    let Ok(mut queue) = VerifyQueue::<Host>::lend(256, &mut Vectors);
    assert!(queue.push(&job(5, 1, true, false)));
    let newer = VerifyJob {
        instead_of: 5,
        feed: DiscoveryId([1; 32]),
        ..job(6, 1, true, false)
    };
    assert!(queue.push(&newer));
    let ids: Vec<u64> = std::iter::from_fn(|| pop(&mut queue))
        .map(|job| job.id)
        .collect();
    assert_eq!(ids, [5, 6]);
}

/// Ports come and go, and nobody says so: who has no job is forgotten for who has one.
#[test]
fn queue__ports_without_jobs_make_room() {
    let Ok(mut queue) = VerifyQueue::<Host>::lend(256, &mut Vectors);
    for port in 0..1000 {
        assert!(queue.push(&job(1, port, true, false)), "port {port}");
        assert_eq!(pop(&mut queue).map(|job| job.port), Some(PortId(port)));
    }
}

/// A port that always has jobs, of signatures that take 42 µs each.
struct Flooded {
    queue: VerifyQueue<Host>,
    now: u64,
    next_id: u64,
}

const SIGNATURE_US: u64 = 42;

impl Flooded {
    fn new() -> Self {
        let Ok(queue) = VerifyQueue::lend(256, &mut Vectors);
        Flooded {
            queue,
            now: s(5),
            next_id: 0,
        }
    }

    /// Fills what room the port has.
    fn fill(&mut self) {
        while self.queue.push(&job(self.next_id, 1, true, true)) {
            self.next_id += 1;
        }
    }

    /// Waits for the next job, of which `good` says whether its signature is.
    fn step(&mut self, good: impl Fn(&VerifyJob) -> bool) -> VerifyJob {
        loop {
            match self.queue.pop(self.now) {
                Next::Job(job) => {
                    self.now += SIGNATURE_US;
                    self.queue.judged(&job, good(&job), SIGNATURE_US, self.now);
                    return job;
                }
                Next::At(then) => {
                    assert!(then > self.now, "called too early");
                    self.now = then;
                }
                Next::None => panic!("there is no job"),
            }
        }
    }
}

/// Junk costs a thirty-third of a core, and no less: what waits at that port is checked, too, soon.
#[test]
fn queue__a_port_of_junk_loses_its_share() {
    let mut bed = Flooded::new();
    let (begun, mut done) = (bed.now, 0);
    while bed.now < begun + s(2) {
        bed.fill();
        bed.step(|_| false);
        done += 1;
    }
    let share = (done * SIGNATURE_US) as f64 / (bed.now - begun) as f64;
    assert!((0.025..0.035).contains(&share), "{share}");
    bed.step(|_| false);
    assert!(bed.queue.push(&job(u64::MAX, 1, true, false)));
    let pushed = bed.now;
    while bed.step(|job| job.id == u64::MAX).id != u64::MAX {}
    assert!(bed.now - pushed < ms(200), "{} µs", bed.now - pushed);
}

/// A port without junk waits for nobody, and neither does who was asked alone at the port with it.
#[test]
fn queue__junk_holds_nobody_else_up() {
    let other = job(u64::MAX, 2, true, false);
    let alone = VerifyJob {
        alone: true,
        ..job(u64::MAX, 1, true, false)
    };
    for good in [other, alone] {
        let mut bed = Flooded::new();
        for _ in 0..200 {
            bed.fill();
            bed.step(|_| false);
            assert!(bed.queue.push(&good), "no room beside junk");
            let pushed = bed.now;
            while bed.step(|job| job.id == u64::MAX).id != u64::MAX {}
            let waited = bed.now - pushed;
            assert!(waited <= 3 * SIGNATURE_US, "{waited} µs");
        }
    }
}

/// How long 64 good jobs take.
fn time_for_good_ones(bed: &mut Flooded) -> u64 {
    bed.fill();
    let begun = bed.now;
    for _ in 0..JOBS_PER_PORT {
        bed.step(|_| true);
    }
    bed.now - begun
}

/// The share comes back step by step, by good signatures or by time.
#[test]
fn queue__junk_is_forgiven() {
    let without_pause = u64::from(JOBS_PER_PORT) * SIGNATURE_US;
    let mut bed = Flooded::new();
    for quiet in [0, ms(3100)] {
        bed.fill();
        for _ in 0..JOBS_PER_PORT {
            bed.step(|_| false);
        }
        bed.now += quiet;
        let first = time_for_good_ones(&mut bed);
        if quiet == 0 {
            assert!(first > 4 * without_pause, "{first} µs: forgiven at once");
        }
        assert_eq!(time_for_good_ones(&mut bed), without_pause);
    }
}

/// One bad signature is no flood: it costs its port little.
#[test]
fn queue__a_single_bad_one_costs_little() {
    let mut bed = Flooded::new();
    let begun = bed.now;
    bed.fill();
    bed.step(|_| false);
    while bed.step(|_| true).id + 1 < u64::from(JOBS_PER_PORT) {}
    assert!(bed.now - begun < ms(7), "{} µs", bed.now - begun);
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
