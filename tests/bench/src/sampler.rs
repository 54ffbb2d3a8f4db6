// SPDX-License-Identifier: GPL-2.0
//! Where processors are, seen from inside of the machine: what perf does from outside of User-Mode
//! Linux, an emulator does not let it see.
//!
//! A timer of the kernel (`PERF_COUNT_SW_CPU_CLOCK`) takes down where its processor is, and who has
//! called. It waits while interrupts are off, so what is done without them is found where they go on
//! again.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd};

use anyhow::{Context, Result, ensure};
use memmap2::{MmapMut, MmapOptions};
use nix::errno::Errno;
use nix::libc;

/// Between samples, ns: seldom enough not to be much of what is seen, and no multiple of what else the
/// kernel does by the clock.
const PERIOD_NS: u64 = 1_987_000;
/// Bytes for the samples of one processor, a power of two: more than ten seconds' worth.
const RING: usize = 1 << 21;
/// Callers that are taken down, the place itself included: enough to see who waits for a lock.
const DEPTH: u64 = 8;

/// Of include/uapi/linux/perf_event.h: `struct perf_event_attr` as far as the depth of callers; what is
/// sampled, and that the callers in programs are not; the word of the first page that says how far
/// samples go; what is a sample; numbers among callers that are no addresses.
const ATTR_WORDS: usize = 14;
const TYPE_SOFTWARE: u64 = 1;
const CPU_CLOCK: u64 = 0;
const SAMPLE_CALLCHAIN: u64 = 1 << 5;
const EXCLUDE_CALLCHAIN_USER: u64 = 1 << 22;
const HEAD_AT: usize = 1024;
const RECORD_SAMPLE: u32 = 9;
const CONTEXT_MAX: u64 = -4095i64 as u64;
const PAGE: usize = 4096;

/// Where a processor was: the place, its caller, the caller's, …; nothing if it was in a program.
pub(crate) type Place = Vec<u64>;

nix::ioctl_none!(disable, b'$', 1);

/// Has all processors that are there sampled while it exists.
pub(crate) struct Sampler(Vec<Clock>);

impl Sampler {
    /// Begins.
    pub(crate) fn start() -> Result<Sampler> {
        let online = fs::read_to_string("/sys/devices/system/cpu/online")?;
        let mut clocks = Vec::new();
        for range in online.trim().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            for cpu in first.parse()?..=last.parse()? {
                clocks.push(Clock::start(cpu)?);
            }
        }
        Ok(Sampler(clocks))
    }

    /// Ends; where the processors were.
    pub(crate) fn stop(self) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for clock in &self.0 {
            places.extend(clock.stop()?);
        }
        Ok(places)
    }
}

/// The clock of one processor.
struct Clock {
    event: File,
    ring: MmapMut,
}

impl Clock {
    fn start(cpu: u32) -> Result<Clock> {
        let mut attr = [0; ATTR_WORDS];
        attr[0] = (8 * ATTR_WORDS as u64) << 32 | TYPE_SOFTWARE;
        attr[1] = CPU_CLOCK;
        attr[2] = PERIOD_NS;
        attr[3] = SAMPLE_CALLCHAIN;
        attr[5] = EXCLUDE_CALLCHAIN_USER;
        attr[13] = DEPTH << 32;
        let (anybody, no_group, close_on_exec) = (-1, -1, 1 << 3);
        // SAFETY: `attr` has as many bytes as it says, and lives until the call returns.
        let event = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                attr.as_ptr(),
                anybody,
                cpu,
                no_group,
                close_on_exec,
            )
        };
        let event = Errno::result(event).context("perf_event_open")?;
        // SAFETY: The call has made this descriptor for nobody else.
        let event = unsafe { File::from_raw_fd(i32::try_from(event)?) };
        // SAFETY: It is read when the kernel writes to it no more.
        let ring = unsafe { MmapOptions::new().len(PAGE + RING).map_mut(&event) }?;
        Ok(Clock { event, ring })
    }

    /// Ends; where the processor was.
    fn stop(&self) -> Result<Vec<Place>> {
        // SAFETY: It has no argument.
        unsafe { disable(self.event.as_raw_fd()) }?;
        let (head, ring) = self.ring.split_at(PAGE);
        let head = usize::try_from(word(head, HEAD_AT)?)?;
        samples(ring.get(..head).context("no room for all samples")?)
    }
}

/// What a ring holds, from its beginning on.
fn samples(ring: &[u8]) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut at = 0;
    while at < ring.len() {
        let header = word(ring, at)?;
        let (kind, len) = (header as u32, usize::from((header >> 48) as u16));
        ensure!(len >= 8, "a record without a length");
        if kind == RECORD_SAMPLE {
            let count = usize::try_from(word(ring, at + 8)?)?;
            let words = (0..count).map(|index| word(ring, at + 16 + 8 * index));
            let is_address = |word: &Result<u64>| !matches!(word, Ok(CONTEXT_MAX..));
            places.push(words.filter(is_address).collect::<Result<_>>()?);
        }
        at += len;
    }
    Ok(places)
}

fn word(bytes: &[u8], at: usize) -> Result<u64> {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    Ok(u64::from_le_bytes(*word.context("a record is cut off")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u64, words: &[u64]) -> Vec<u8> {
        let header = kind | (8 + 8 * words.len() as u64) << 48;
        let words = [&[header], words].concat();
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn samples_are_told_from_other_records() {
        let callers = record(9, &[3, -128i64 as u64, 7, 8]);
        let ring = [callers, record(2, &[1, 2]), record(9, &[0])].concat();
        assert_eq!(samples(&ring).unwrap(), [vec![7, 8], vec![]]);
        assert!(samples(&ring[..ring.len() - 1]).is_err());
        assert!(samples(&[0; 8]).is_err());
    }
}
