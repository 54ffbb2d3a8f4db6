// SPDX-License-Identifier: GPL-2.0
//! Lines 3 and 4: verified bulk over one hop, beside TCP over the same kind of cable.
//!
//! A program appends the content once and another reads it with nothing stored at its node. What
//! TCP does is not verified: beside it stands what it could do if BLAKE3 checked the same bytes.
//! iperf3 sends one buffer that stays in the processor's cache; what TCP does with the same content
//! is shown, too.

use anyhow::{Context, Result};
use feed::Name;

use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::machine::{load_feed, sh};
use crate::transfer::{Chain, Tcp, content, hash, sample};

/// Lengths of entries, and what they are called.
const SIZES: [(usize, &str); 3] = [(1 << 20, "1 MiB"), (64 << 10, "64 KiB"), (1 << 10, "1 KiB")];

const TCP: usize = 0;
/// Where those of the first size begin, and how many each size has.
const SIZES_AT: usize = 2;
const PER_SIZE: usize = 2;
/// Of a size.
const OURS: usize = 0;
const BLAKE3: usize = 1;

/// See the head of this file.
pub(crate) struct Bulk {
    number: u32,
    mtu: u32,
    content: Vec<u8>,
    chain: Option<Chain>,
    tcp: Option<Tcp>,
    names: Vec<Name>,
}

impl Bulk {
    fn new(number: u32, mtu: u32) -> Bulk {
        Bulk {
            number,
            mtu,
            content: Vec::new(),
            chain: None,
            tcp: None,
            names: Vec::new(),
        }
    }

    /// Line 3: frames as large as a good network has them, and TCP with all its help.
    pub(crate) fn jumbo() -> Bulk {
        Bulk::new(3, 9000)
    }

    /// Line 4: ordinary frames, and TCP that has to make them, too.
    pub(crate) fn ordinary() -> Bulk {
        Bulk::new(4, 1500)
    }

    fn is_jumbo(&self) -> bool {
        self.number == 3
    }
}

impl Line for Bulk {
    fn number(&self) -> u32 {
        self.number
    }

    fn title(&self) -> &'static str {
        if self.is_jumbo() {
            "verified bulk over one hop, MTU 9000"
        } else {
            "verified bulk over one hop, MTU 1500"
        }
    }

    fn cases(&self) -> Vec<Case> {
        let unit = "MB/s";
        let tcp = if self.is_jumbo() {
            "TCP with TSO (iperf3)"
        } else {
            "TCP without TSO (iperf3)"
        };
        let rival = |name| Case::rate(Role::Rival, name, unit).natively(Native::Counts);
        let mut cases = vec![rival(tcp), rival("TCP of the same content")];
        for (_, name) in SIZES {
            let (ours, alone) = (
                format!("entries of {name}"),
                format!("BLAKE3 alone, pieces of {name}"),
            );
            cases.push(Case::rate(Role::Ours, &ours, unit));
            cases.push(Case::rate(Role::Floor, &alone, unit).natively(Native::Counts));
        }
        cases
    }

    fn reaches(&self) -> Vec<Reach> {
        let at = |size| SIZES_AT + size * PER_SIZE;
        let mut reaches = Vec::new();
        for size in [0, 1] {
            let ours = at(size) + OURS;
            if self.is_jumbo() {
                reaches.push(Reach::over_both(ours, [TCP, at(size) + BLAKE3], 0.85));
                reaches.push(Reach::told(ours, TCP));
            } else {
                reaches.push(Reach::new(ours, TCP, 1.0));
            }
        }
        reaches.push(Reach::told(at(2) + OURS, TCP));
        reaches
    }

    fn set_up(&mut self, how: How) -> Result<()> {
        self.content = content(how.work(256 << 20, 32 << 20, 2 << 20));
        self.tcp = Some(Tcp::new(self.mtu, self.is_jumbo())?);
        if how.native {
            return Ok(());
        }
        load_feed()?;
        if !how.check {
            sh(&["feedctl", "store", "set", "cap", "1700M"])?;
        }
        let nodes = ["bench-author", "bench-reader"];
        let chain = self.chain.insert(Chain::new(&nodes, self.mtu)?);
        for (len, _) in SIZES {
            self.names.push(chain.append(&self.content, len)?);
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        if case < SIZES_AT {
            let tcp = self.tcp.as_ref().context("there is no TCP")?;
            return if case == TCP {
                tcp.send()
            } else {
                tcp.send_content(&self.content)
            };
        }
        let (size, what) = ((case - SIZES_AT) / PER_SIZE, (case - SIZES_AT) % PER_SIZE);
        let (len, _) = SIZES[size];
        let time = match what {
            OURS => {
                let chain = self.chain.as_ref().context("there is no chain")?;
                chain.flush(1)?;
                chain.read(self.names[size], &self.content, len)?
            }
            _ => hash(&self.content, len),
        };
        Ok(sample(self.content.len(), time))
    }

    fn tear_down(&mut self) -> Result<()> {
        self.chain = None;
        self.tcp = None;
        self.names.clear();
        self.content = Vec::new();
        Ok(())
    }
}
