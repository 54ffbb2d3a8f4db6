// SPDX-License-Identifier: GPL-2.0
//! Where processors are, seen from inside of the machine: what perf does from outside of User-Mode
//! Linux, an emulator does not let it see.
//!
//! A timer of the kernel takes down where its processor is, and who has called. It waits while
//! interrupts are off, so what is done without them is found where they go on again.

use std::fs;

use anyhow::{Context, Result, bail};
use perf_event::events::Software;
use perf_event::{Builder, SampleFlag};

/// Between samples, ns: seldom enough not to be much of what is seen, and no multiple of what else the
/// kernel does by the clock.
const PERIOD_NS: u64 = 1_987_000;
/// Bytes for the samples of one processor: more than ten seconds' worth.
const RING: usize = 1 << 21;
/// Callers that are taken down, the place itself included: enough to see who waits for a lock.
const DEPTH: u16 = 8;
/// Of `enum perf_event_type`.
const RECORD_LOST: u32 = 2;
const RECORD_SAMPLE: u32 = 9;
/// Numbers among callers that are no addresses: see `enum perf_callchain_context`.
const CONTEXT_MAX: u64 = -4095i64 as u64;

/// Where a processor was: the place, its caller, the caller's, …; nothing if it was in a program.
pub(crate) type Place = Vec<u64>;

/// Has all processors that are there sampled while it exists.
pub(crate) struct Sampler(Vec<perf_event::Sampler>);

impl Sampler {
    /// Begins.
    pub(crate) fn start() -> Result<Sampler> {
        let online = fs::read_to_string("/sys/devices/system/cpu/online")?;
        let mut clocks = Vec::new();
        for range in online.trim().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            for cpu in first.parse()?..=last.parse()? {
                clocks.push(clock(cpu)?);
            }
        }
        Ok(Sampler(clocks))
    }

    /// Ends; where the processors were.
    pub(crate) fn stop(mut self) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for clock in &mut self.0 {
            clock.disable()?;
            while let Some(record) = clock.next_record() {
                // Not `parse_record`, which fails where nobody has called: in a program.
                match record.ty() {
                    RECORD_SAMPLE => places.push(place(&record.to_contiguous())),
                    RECORD_LOST => bail!("no room for all samples"),
                    _ => {}
                }
            }
        }
        Ok(places)
    }
}

/// The clock of one processor.
fn clock(cpu: usize) -> Result<perf_event::Sampler> {
    let counter = Builder::new(Software::CPU_CLOCK)
        .any_pid()
        .one_cpu(cpu)
        .include_kernel()
        .sample_period(PERIOD_NS)
        .sample(SampleFlag::CALLCHAIN)
        .exclude_callchain_user(true)
        .sample_max_stack(DEPTH)
        .enabled(true)
        .build();
    counter
        .and_then(|counter| counter.sampled(RING))
        .context("perf_event_open")
}

/// What a sample says: how many words there are, and the words.
fn place(sample: &[u8]) -> Place {
    let words = sample
        .chunks_exact(8)
        .filter_map(|word| word.try_into().ok());
    let callers = words.map(u64::from_le_bytes).skip(1);
    callers.filter(|at| *at < CONTEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_from_what_is_between_them() {
        let bytes = |words: &[u64]| {
            words
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            place(&bytes(&[4, -128i64 as u64, 7, 8, -512i64 as u64])),
            [7, 8]
        );
        assert!(place(&bytes(&[0])).is_empty());
    }
}
