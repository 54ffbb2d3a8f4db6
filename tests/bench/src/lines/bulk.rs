// SPDX-License-Identifier: GPL-2.0
//! Lines 3 and 4: verified bulk over one hop, beside TCP over the same kind of cable.
//!
//! A program appends the content once and another reads it with nothing stored at its node. What
//! TCP does is not verified: beside it stands what it could do if BLAKE3 checked the same bytes.
//! iperf3 sends one buffer that stays in the processor's cache; what TCP does with the same content
//! is shown, too.

use anyhow::{Context, Result};
use feed::Name;

use crate::line::{Case, Line, Reach, Role, Sample};
use crate::machine::{load_feed, sh};
use crate::transfer::{Chain, Tcp, both, content, hash, sample};

/// Lengths of entries, and what they are called.
const SIZES: [(usize, &str); 3] = [(1 << 20, "1 MiB"), (64 << 10, "64 KiB"), (1 << 10, "1 KiB")];

const TCP: usize = 0;
/// Where those of the first size begin, and how many each size has.
const SIZES_AT: usize = 2;
const PER_SIZE: usize = 3;
/// Of a size.
const OURS: usize = 0;
const BLAKE3: usize = 1;
const FLOOR: usize = 2;

/// See the head of this file.
pub(crate) struct Bulk {
    number: u32,
    mtu: u32,
    content: Vec<u8>,
    chain: Option<Chain>,
    tcp: Option<Tcp>,
    names: Vec<Name>,
    /// What this round has seen of each case.
    seen: Vec<Option<Sample>>,
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
            seen: Vec::new(),
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

    fn seen(&self, case: usize) -> Result<&Sample> {
        let sample = self.seen.get(case).and_then(Option::as_ref);
        sample.context("a case that this one is made of was not measured")
    }

    fn look(&self, case: usize) -> Result<Sample> {
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
            BLAKE3 => hash(&self.content, len),
            _ => return Ok(both(self.seen(TCP)?, self.seen(case - FLOOR + BLAKE3)?)),
        };
        Ok(sample(self.content.len(), time))
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
        let mut cases = vec![
            Case::rate(Role::Rival, tcp, unit),
            Case::rate(Role::Rival, "TCP of the same content", unit),
        ];
        for (_, name) in SIZES {
            cases.extend([
                Case::rate(Role::Ours, &format!("entries of {name}"), unit),
                Case::rate(
                    Role::Floor,
                    &format!("BLAKE3 alone, pieces of {name}"),
                    unit,
                ),
                Case::rate(
                    Role::Floor,
                    &format!("TCP, then BLAKE3, pieces of {name}"),
                    unit,
                ),
            ]);
        }
        cases
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = |size: usize| {
            let at = SIZES_AT + size * PER_SIZE;
            let (over, bound) = if self.is_jumbo() {
                (at + FLOOR, 0.85)
            } else {
                (TCP, 1.0)
            };
            Reach {
                of: at + OURS,
                over,
                bound,
            }
        };
        vec![reach(0), reach(1)]
    }

    fn set_up(&mut self, quick: bool) -> Result<()> {
        load_feed()?;
        self.content = content(if quick { 32 << 20 } else { 256 << 20 });
        self.seen = vec![None; self.cases().len()];
        sh(&["feedctl", "store", "set", "cap", "1700M"])?;
        self.tcp = Some(Tcp::new(self.mtu, self.is_jumbo())?);
        let nodes = ["bench-author", "bench-reader"];
        let chain = self.chain.insert(Chain::new(&nodes, self.mtu)?);
        for (len, _) in SIZES {
            self.names.push(chain.append(&self.content, len)?);
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let sample = self.look(case)?;
        self.seen[case] = Some(sample);
        Ok(sample)
    }

    fn tear_down(&mut self) -> Result<()> {
        self.chain = None;
        self.tcp = None;
        self.names.clear();
        self.content = Vec::new();
        Ok(())
    }
}
