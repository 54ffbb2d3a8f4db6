// SPDX-License-Identifier: GPL-2.0
//! Line 13: BLAKE3 and Ed25519 inside of the kernel, beside the same crates in a program.
//!
//! Both run natively on the same processor: programs of User-Mode Linux do, too. Both check what
//! they make: the module tells the first bytes of its result.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use ed25519_compact::{KeyPair, Noise, Seed};

use crate::line::{Case, How, Line, Reach, Role, Sample};
use crate::machine::bench_module;

/// A blob of so many bytes, hashed as feed.ko does: by windows of 32 KiB.
const HASH: u64 = 1;
const SIGN: u64 = 2;
const VERIFY: u64 = 3;

/// What is measured, here and in the module; bytes that are hashed.
const WORK: [(u64, usize); 7] = [
    (HASH, 1 << 10),
    (HASH, 4 << 10),
    (HASH, 32 << 10),
    (HASH, 64 << 10),
    (HASH, 1 << 20),
    (SIGN, 0),
    (VERIFY, 0),
];
/// Time that one case takes, about, ns.
const QUICK_NS: f64 = 1e8;
const FULL_NS: f64 = 3e8;

/// As the module has them.
const MESSAGE: [u8; 128] = [7; 128];
const SEED: [u8; 32] = [9; 32];

/// See the head of this file.
pub(crate) struct Crypto {
    keys: KeyPair,
    bytes: Vec<u8>,
    goal_ns: f64,
}

impl Crypto {
    pub(crate) fn new() -> Crypto {
        let largest = WORK.iter().map(|(_, size)| *size).max().unwrap_or(0);
        Crypto {
            keys: KeyPair::from_seed(Seed::new(SEED)),
            bytes: (0..largest).map(|index| (index % 251) as u8).collect(),
            goal_ns: FULL_NS,
        }
    }

    /// How often it is to be done.
    fn count(&self, work: u64, size: usize) -> u64 {
        let each = if work == HASH {
            // A guess: 2 GB/s.
            100.0 + size as f64 / 2.0
        } else {
            40_000.0
        };
        (self.goal_ns / each) as u64
    }

    /// Seconds for one, and the first bytes of the result.
    fn in_program(&self, work: u64, size: usize, count: u64) -> Result<(f64, u64)> {
        let bytes = self.bytes.get(..size).context("no such size")?;
        let signature = self.keys.sk.sign(MESSAGE, None::<Noise>);
        let mut first = [0; 8];
        let begun = Instant::now();
        for _ in 0..count {
            let result: [u8; 32] = match work {
                HASH => *blake3::hash(black_box(bytes)).as_bytes(),
                SIGN => half(&self.keys.sk.sign(black_box(MESSAGE), None)),
                _ => {
                    let checked = self.keys.pk.verify(black_box(MESSAGE), &signature);
                    checked.map_err(|error| anyhow!("{error}"))?;
                    half(&signature)
                }
            };
            first.copy_from_slice(&result[..8]);
        }
        let each = begun.elapsed().as_secs_f64() / count as f64;
        Ok((each, u64::from_be_bytes(first)))
    }
}

fn half(signature: &[u8; 64]) -> [u8; 32] {
    std::array::from_fn(|at| signature[at])
}

/// Seconds for one in the kernel, and the first bytes of the result.
fn in_kernel(work: u64, size: usize, count: u64) -> Result<(f64, u64)> {
    let seen = bench_module(&[("mode", work), ("size", size as u64), ("count", count)])?;
    let figure = |name: &str| {
        seen[name]
            .as_u64()
            .with_context(|| format!("no {name} in {seen}"))
    };
    let each = figure("ns")? as f64 / 1e9 / figure("count")? as f64;
    Ok((each, figure("first")?))
}

/// Seconds for one Ed25519 signature inside of the kernel.
pub(crate) fn signature_in_kernel(count: u64) -> Result<f64> {
    Ok(in_kernel(SIGN, 0, count)?.0)
}

impl Line for Crypto {
    fn number(&self) -> u32 {
        13
    }

    fn title(&self) -> &'static str {
        "BLAKE3 and Ed25519 inside of the kernel"
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (work, size) in WORK {
            let (name, unit) = match work {
                HASH => (format!("BLAKE3 of {} KiB", size >> 10), "B/s"),
                SIGN => ("Ed25519 sign".into(), "/s"),
                _ => ("Ed25519 verify".into(), "/s"),
            };
            cases.push(Case::rate(Role::Ours, &format!("{name}, kernel"), unit));
            cases.push(Case::rate(Role::Floor, &format!("{name}, program"), unit));
        }
        cases
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = |at| Reach::new(2 * at, 2 * at + 1, 0.9);
        (0..WORK.len()).map(reach).collect()
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.goal_ns = if how.quick { QUICK_NS } else { FULL_NS };
        // What both make has to be the same.
        for (work, size) in WORK {
            let (kernel, program) = (
                in_kernel(work, size, 1)?.1,
                self.in_program(work, size, 1)?.1,
            );
            ensure!(
                kernel == program,
                "{size} bytes, work {work}: {kernel:x} in the kernel, {program:x} in a program"
            );
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let (work, size) = *WORK.get(case / 2).context("no such case")?;
        let count = self.count(work, size);
        let (seconds, _) = if case % 2 == 0 {
            in_kernel(work, size, count)?
        } else {
            self.in_program(work, size, count)?
        };
        let units = if work == HASH { size as f64 } else { 1.0 };
        Ok(Sample {
            value: units / seconds,
            cpu_ns: Some(seconds * 1e9),
        })
    }

    fn tear_down(&mut self) -> Result<()> {
        Ok(())
    }
}
