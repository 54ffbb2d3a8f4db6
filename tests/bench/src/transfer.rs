// SPDX-License-Identifier: GPL-2.0
//! Bulk transfers: content that is appended once and read over a chain of nodes, copied to the program
//! or not, and BLAKE3 over the same bytes.

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use blake3::platform::Platform;
use feed::{Append, Author, AuthorOptions, Name, Reader, ReaderOptions, Seed};
use memmap2::MmapMut;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};
use nix::unistd::pipe;

use crate::line::Sample;
use crate::machine::{cable, inside, polled_cable, sh, sh_in};

/// Entries under one head, as the kernel takes them at most.
const BATCH: usize = 64;
/// What a reader may have in flight. A window is fetched in a piece, so this is 64 windows.
const CREDIT: usize = 2 << 20;
/// What one system call of a reader or of iperf3 moves, if entries are as large.
pub(crate) const CALL: usize = 1 << 20;
/// Frames that wait for a link at most, more than a reader's credit: a poll takes them later than they
/// are sent, and `veth` itself has room for 256.
const QUEUE: &str = "4000";
/// Messages of one call at most.
const MESSAGES: usize = 1 << 10;

/// A rate in MB/s. One processor does all: what passes is its time.
pub(crate) fn sample(bytes: usize, time: Duration) -> Sample {
    let rate = bytes as f64 / 1e6 / time.as_secs_f64();
    Sample {
        value: rate,
        cpu_ns: Some(1e9 / rate),
    }
}

/// Bytes that do not repeat: payloads of equal bytes would be one blob.
pub(crate) fn content(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Nodes in a row: the first is the author's, the last the reader's, those between are caches.
pub(crate) struct Chain {
    nodes: Vec<String>,
    authors: Vec<Author>,
}

impl Chain {
    /// Makes the nodes, and cables between neighbours.
    pub(crate) fn new(nodes: &[&str], mtu: u32) -> Result<Chain> {
        Chain::make(nodes, |lower, upper| {
            inside(lower, || cable("above", "below", Some(upper), mtu))
        })
    }

    /// The same with cables that deliver some frames at a time, see [`polled_cable`], from queues as
    /// network cards have them.
    pub(crate) fn polled(nodes: &[&str], mtu: u32) -> Result<Chain> {
        Chain::make(nodes, |lower, upper| {
            inside(lower, || polled_cable("above", "below", Some(upper), mtu))?;
            for (node, device) in [(lower, "above"), (upper, "below")] {
                let queue = ["root", "pfifo", "limit", QUEUE];
                let words = ["tc", "qdisc", "add", "dev", device];
                sh_in(node, &[&words[..], &queue].concat())?;
            }
            Ok(())
        })
    }

    /// `link` makes a cable between two nodes: "above" leads from the first one to the author, "below"
    /// from the second one to the reader.
    fn make(nodes: &[&str], link: impl Fn(&str, &str) -> Result<()>) -> Result<Chain> {
        let chain = Chain {
            nodes: nodes.iter().copied().map(String::from).collect(),
            authors: Vec::new(),
        };
        for node in nodes {
            sh(&["ip", "netns", "add", node])?;
        }
        for pair in nodes.windows(2) {
            let [upper, lower] = pair else { continue };
            link(lower, upper)?;
            sh_in(lower, &["feedctl", "port", "add", "above"])?;
            sh_in(upper, &["feedctl", "port", "add", "below"])?;
            sh_in(
                lower,
                &["feedctl", "route", "add", "default", "dev", "above"],
            )?;
        }
        for cache in nodes.iter().skip(1).rev().skip(1) {
            sh_in(cache, &["feedctl", "role", "set", "cache"])?;
        }
        Ok(chain)
    }

    /// Has no link carry a frame that is longer than its MTU.
    pub(crate) fn forbid_long_frames(&self) -> Result<()> {
        for pair in self.nodes.windows(2) {
            let [upper, lower] = pair else { continue };
            for (node, device) in [(lower, "above"), (upper, "below")] {
                let words = ["ethtool", "-K", device, "tx-sctp-segmentation", "off"];
                sh_in(node, &words)?;
            }
        }
        Ok(())
    }

    fn ends(&self) -> Result<(&str, &str)> {
        let (first, last) = (self.nodes.first(), self.nodes.last());
        first
            .zip(last)
            .map(|(first, last)| (first.as_str(), last.as_str()))
            .context("there is no node")
    }

    /// Appends `content` as entries of `len` bytes.
    pub(crate) fn append(&mut self, content: &[u8], len: usize) -> Result<Name> {
        let author = inside(self.ends()?.0, || {
            Ok(AuthorOptions::new().new_feed().open(&Seed::generate()?)?)
        })?;
        let entries = content.len() / len;
        for (seq, entry) in content.chunks_exact(len).enumerate() {
            let more = (seq + 1) % BATCH != 0 && seq + 1 < entries;
            author.append_with(
                entry,
                Append {
                    more,
                    ..Append::default()
                },
            )?;
        }
        let name = author.name();
        self.authors.push(author);
        Ok(name)
    }

    /// Makes the last `count` nodes forget what they have stored.
    pub(crate) fn flush(&self, count: usize) -> Result<()> {
        for node in self.nodes.iter().skip(1).rev().take(count) {
            sh_in(node, &["feedctl", "store", "flush"])?;
        }
        Ok(())
    }

    /// Reads a feed at the last node. The kernel has verified what a reader gets; of each entry the
    /// first bytes are compared with `content`.
    pub(crate) fn read(&self, name: Name, content: &[u8], len: usize) -> Result<Duration> {
        inside(self.ends()?.1, || {
            let begun = Instant::now();
            let reader = reader(name)?;
            let batch = (CALL / len).clamp(1, MESSAGES);
            // Begins a page, as iperf3's does: User-Mode Linux copies backwards, and more slowly, to an address
            // whose last byte is greater than that of where it copies from.
            let mut buffer = MmapMut::map_anon(batch * len)?;
            let mut headers: MultiHeaders<()> = MultiHeaders::preallocate(batch, None);
            let mut read = 0;
            while read < content.len() {
                let wanted = batch.min((content.len() - read) / len);
                let entries = {
                    let slices = buffer.chunks_exact_mut(len).take(wanted);
                    let mut slices: Vec<_> = slices.map(|part| [IoSliceMut::new(part)]).collect();
                    let fd = reader.as_fd().as_raw_fd();
                    let got = recvmmsg(fd, &mut headers, &mut slices, MsgFlags::empty(), None);
                    let mut got = match got {
                        // A signal came when some messages were there: the kernel keeps what it
                        // would have restarted the call for, a number that programs never see
                        // else, for the next call.
                        Err(Errno::EINTR | Errno::UnknownErrno) => continue,
                        got => got?,
                    };
                    got.try_fold(0, |count, message| {
                        ensure!(message.bytes == len, "{} of {len} bytes", message.bytes);
                        Ok(count + 1)
                    })?
                };
                ensure!(entries > 0, "the feed ends after {read} bytes");
                for (entry, text) in buffer
                    .chunks_exact(len)
                    .take(entries)
                    .zip(content[read..].chunks_exact(len))
                {
                    ensure!(entry[..8] == text[..8], "another entry than was appended");
                }
                read += entries * len;
            }
            Ok(begun.elapsed())
        })
    }

    /// The same through a pipe to nowhere: nothing is copied to a program.
    pub(crate) fn splice(&self, name: Name, content: &[u8], len: usize) -> Result<Duration> {
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        let (out, into) = pipe()?;
        fcntl(&into, FcntlArg::F_SETPIPE_SZ((2 * len).try_into()?))?;
        inside(self.ends()?.1, || {
            let begun = Instant::now();
            let reader = reader(name)?;
            let mut read = 0;
            let flags = SpliceFFlags::empty();
            while read < content.len() {
                let got = splice(&reader, None, &into, None, len, flags)?;
                ensure!(got > 0, "the feed ends after {read} bytes");
                read += got;
                let mut left = got;
                while left > 0 {
                    left -= splice(&out, None, &nowhere, None, left, flags)?;
                }
            }
            Ok(begun.elapsed())
        })
    }

    /// The same by mapping one entry after the other, of each of which the first bytes are compared
    /// with `content`.
    pub(crate) fn map(&self, name: Name, content: &[u8], len: usize) -> Result<Duration> {
        inside(self.ends()?.1, || {
            let begun = Instant::now();
            let reader = reader(name)?;
            for text in content.chunks_exact(len) {
                let entry = reader.map_entry()?.context("the feed ends early")?;
                ensure!(entry.len() == len, "{} of {len} bytes", entry.len());
                ensure!(entry[..8] == text[..8], "another entry than was appended");
            }
            Ok(begun.elapsed())
        })
    }
}

/// A reader with much credit.
fn reader(name: Name) -> Result<Reader> {
    let reader = ReaderOptions::new().open(name)?;
    setsockopt(&reader, sockopt::RcvBufForce, &(CREDIT / 2))?;
    Ok(reader)
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.authors.clear();
        for node in &self.nodes {
            // What was not made need not go.
            let _ = Command::new("ip").args(["netns", "del", node]).output();
        }
    }
}

/// BLAKE3 of all bytes, in pieces of `len`: the faster of the crate's choice of vector code and,
/// where vectors do not pay, its portable code.
pub(crate) fn hash(content: &[u8], len: usize) -> Duration {
    let begun = Instant::now();
    for piece in content.chunks_exact(len) {
        black_box(blake3::hash(piece));
    }
    let vector = begun.elapsed();
    if len > blake3::CHUNK_LEN {
        return vector;
    }
    let begun = Instant::now();
    for piece in content.chunks_exact(len) {
        black_box(portable(piece));
    }
    vector.min(begun.elapsed())
}

/// The hash of one whole chunk as words.
fn portable(chunk: &[u8]) -> [u32; 8] {
    const KEY: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    const CHUNK_START: u8 = 1;
    const CHUNK_END_ROOT: u8 = 2 | 8;
    let mut cv = KEY;
    let blocks = chunk.len() / blake3::BLOCK_LEN;
    for (index, block) in chunk.chunks_exact(blake3::BLOCK_LEN).enumerate() {
        let start = if index == 0 { CHUNK_START } else { 0 };
        let end = if index + 1 == blocks {
            CHUNK_END_ROOT
        } else {
            0
        };
        if let Ok(block) = block.try_into() {
            let len = blake3::BLOCK_LEN as u8;
            Platform::Portable.compress_in_place(&mut cv, block, len, 0, start | end);
        }
    }
    cv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_is_blake3() {
        let text = content(1024);
        let words = portable(&text);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(bytes, blake3::hash(&text).as_bytes());
    }
}
