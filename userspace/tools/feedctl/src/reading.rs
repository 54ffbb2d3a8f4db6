// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What `cat` and `tail` share: a reader that stops where it is told, and entries as JSON.

use std::time::{Duration, Instant};

use feed::{EntryInfo, Name, Reader, ReaderOptions};
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::output::Hex;
use crate::range::Range;

/// Reads the entries of a range, one after the other.
pub struct Source {
    reader: Reader,
    range: Range,
    next: u64,
    /// Entries that exist, as the head of a while ago says.
    known: u64,
    /// How long the socket waits for what does not exist yet.
    patience: Option<Duration>,
    timeout: Duration,
    wait: Duration,
}

/// How long one entry took to come.
pub struct Taken {
    pub info: EntryInfo,
    pub time: Duration,
}

impl Source {
    /// Finds the feed. `timeout` bounds the waiting for what exists, `wait` the waiting for a
    /// newer head at the end of what is known.
    pub fn open(name: Name, range: Range, timeout: u64, wait: u64) -> Result<Source> {
        let timeout = Duration::from_millis(timeout);
        let reader = ReaderOptions::new()
            .from(range.start)
            .timeout(timeout)
            .open(name)?;
        Ok(Source {
            known: reader.info()?.known,
            reader,
            range,
            next: range.start,
            patience: None,
            timeout,
            wait: Duration::from_millis(wait),
        })
    }

    /// Entries that are known and meant, from the next on.
    pub fn expected(&self) -> u64 {
        let end = self.range.end.unwrap_or(self.known).min(self.known);
        end.saturating_sub(self.next)
    }

    /// The next entry of the range into `data`; `None` when there is no more.
    pub fn next_into(&mut self, data: &mut Vec<u8>) -> Result<Option<Taken>> {
        if self.range.end.is_some_and(|end| self.next >= end) {
            return Ok(None);
        }
        let begin = Instant::now();
        if self.next >= self.known {
            self.known = self.reader.info()?.known;
        }
        // An entry that exists is waited for by the socket's time-out; one that does not, only as
        // long as somebody may still tell us of it.
        let exists = self.next < self.known;
        let patience = match self.range.end {
            _ if exists => None,
            Some(_) => Some(self.timeout),
            None => Some(self.wait),
        };
        if self.patience != patience {
            self.reader.set_patience(patience)?;
            self.patience = patience;
        }
        match self.reader.next_into(data) {
            Ok(Some(info)) => {
                self.next = info.seq + 1;
                Ok(Some(Taken {
                    info,
                    time: begin.elapsed(),
                }))
            }
            Ok(None) => self.stop(),
            Err(e) if e.is_would_block() && !exists => self.stop(),
            Err(e) => Err(Failure::Said(format!("entry {}: {e}", self.next))),
        }
    }

    /// Whoever named an end wants everything before it.
    fn stop(&self) -> Result<Option<Taken>> {
        match self.range.end {
            None => Ok(None),
            Some(end) => Err(Failure::Said(format!(
                "{} has only {} entries, so not up to {end}; leave out the end of the range, or wait for \
                 more with feedctl tail -f",
                self.reader.name(),
                self.next
            ))),
        }
    }
}

/// An entry as one line of JSON.
#[derive(Serialize)]
pub struct EntryJson<'a> {
    pub seq: u64,
    pub time: u64,
    pub bytes: u32,
    pub hops: u16,
    pub network: bool,
    pub stale: bool,
    /// ms; absent when this node's clock is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_age: Option<u128>,
    pub bits: u16,
    pub blob: Hex<'a>,
    /// The payload, when it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    /// The payload, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<Hex<'a>>,
}

impl<'a> EntryJson<'a> {
    /// The entry with its payload.
    pub fn new(info: &'a EntryInfo, data: &'a [u8]) -> EntryJson<'a> {
        let text = std::str::from_utf8(data).ok();
        EntryJson {
            seq: info.seq,
            time: info.time,
            bytes: info.len,
            hops: info.hops,
            network: info.network,
            stale: info.stale,
            head_age: info.head_age.map(|age| age.as_millis()),
            bits: info.app_flags,
            blob: Hex(&info.blob),
            text,
            hex: text.is_none().then_some(Hex(data)),
        }
    }
}
