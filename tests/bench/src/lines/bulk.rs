// SPDX-License-Identifier: GPL-2.0
//! Lines 3 and 4: verified bulk over one hop, beside TCP over the same kind of cable.
//!
//! A program appends the content once and another reads it with nothing stored at its node. What
//! TCP does is not verified: beside it stands what it could do if BLAKE3 checked the same bytes.
//! Our links deliver frames from a NAPI poll, as those of network cards do; with `veth` that means TSO
//! off at the sender, which our frames have no use for. TCP has links of its own. Where TCP has TSO a window
//! of ours may cross its link in one frame, where TCP has not it may not.
//! iperf3 sends one buffer that stays in the processor's cache; what TCP does with the same content
//! is shown, too. iroh-blobs and hypercore verify what they get, as we do; theirs is the first part
//! of the same content. Splice and mmap show what the copy to the program costs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use feed::Name;

use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::machine::{load_feed, sh};
use crate::rivals::{Root, Transfer};
use crate::transfer::{Chain, content, hash, sample};
use crate::wire::Wire;

/// Lengths of entries, and what they are called.
const SIZES: [(usize, &str); 3] = [(1 << 20, "1 MiB"), (64 << 10, "64 KiB"), (1 << 10, "1 KiB")];

/// What goes by iroh-blobs, and by hypercore.
const PORTIONS: [usize; 2] = [128 << 20, 64 << 20];
const QUICK_PORTIONS: [usize; 2] = [32 << 20, 32 << 20];

const TCP: usize = 0;
/// Where those of the first size begin, and how many each size has.
const SIZES_AT: usize = 2;
const PER_SIZE: usize = 2;
/// Behind them, in line 3 only.
const IROH: usize = SIZES_AT + PER_SIZE * SIZES.len();
const HYPERCORE: usize = IROH + 1;
/// The first size without a copy to the program.
const SPLICED: usize = HYPERCORE + 1;
const MAPPED: usize = SPLICED + 1;
/// Of a size.
const OURS: usize = 0;
const BLAKE3: usize = 1;

/// See the head of this file.
pub(crate) struct Bulk {
    number: u32,
    mtu: u32,
    content: Vec<u8>,
    chain: Option<Chain>,
    wire: Option<Wire>,
    names: Vec<Name>,
    rivals: Option<PathBuf>,
    root: Option<Root>,
    /// iroh-blobs and hypercore.
    transfers: [Option<Transfer>; 2],
    /// Of the content, what goes by each of them: as much as takes them a second or two.
    portions: [usize; 2],
}

impl Bulk {
    fn new(number: u32, mtu: u32) -> Bulk {
        Bulk {
            number,
            mtu,
            content: Vec::new(),
            chain: None,
            wire: None,
            names: Vec::new(),
            rivals: None,
            root: None,
            transfers: [None, None],
            portions: [0; 2],
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

    /// By iroh-blobs or hypercore. They are started when they are first needed, and stay.
    fn by_rival(&mut self, which: usize) -> Result<Sample> {
        if self.root.is_none() {
            self.root = Some(Root::enter(self.rivals.as_deref())?);
        }
        let root = self.root.as_ref().context("there are no rivals")?;
        let content = &self.content[..self.portions[which]];
        let transfer = match &mut self.transfers[which] {
            Some(transfer) => transfer,
            none => none.insert(if which == 0 {
                Transfer::iroh(root, self.mtu, content, SIZES[0].0)?
            } else {
                Transfer::hypercore(root, content, SIZES[1].0)?
            }),
        };
        transfer.run()
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
            "verified bulk over one hop, MTU 9000; our links deliver by NAPI, TCP's have TSO"
        } else {
            "verified bulk over one hop, MTU 1500, no frame longer; our links deliver by NAPI"
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
        if self.is_jumbo() {
            for name in ["iroh-blobs, blobs of 1 MiB", "hypercore, blocks of 64 KiB"] {
                cases.push(Case::of_rival(name, unit).natively(Native::Counts));
            }
            for name in ["spliced to /dev/null", "mapped"] {
                let name = format!("entries of {}, {name}", SIZES[0].1);
                cases.push(Case::rate(Role::Ours, &name, unit));
            }
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
        if self.is_jumbo() {
            reaches.push(Reach::new(at(0) + OURS, IROH, 5.0));
            reaches.push(Reach::new(at(1) + OURS, HYPERCORE, 8.0));
            for uncopied in [SPLICED, MAPPED] {
                reaches.push(Reach::told(uncopied, at(0) + OURS));
            }
        }
        reaches
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.content = content(how.work(256 << 20, 32 << 20, 2 << 20));
        self.portions = if how.quick { QUICK_PORTIONS } else { PORTIONS };
        self.rivals.clone_from(&how.rivals);
        self.wire = Some(Wire::new(self.mtu, self.is_jumbo())?);
        if how.native {
            return Ok(());
        }
        load_feed()?;
        if !how.check {
            sh(&["feedctl", "store", "set", "cap", "1700M"])?;
        }
        let nodes = ["bench-author", "bench-reader"];
        let chain = Chain::polled(&nodes, self.mtu)?;
        if !self.is_jumbo() {
            chain.forbid_long_frames()?;
        }
        let chain = self.chain.insert(chain);
        for (len, _) in SIZES {
            self.names.push(chain.append(&self.content, len)?);
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        if case < SIZES_AT {
            let wire = self.wire.as_ref().context("there is no wire")?;
            return if case == TCP {
                wire.iperf()
            } else {
                wire.send_content(&self.content)
            };
        }
        if matches!(case, SPLICED | MAPPED) {
            let chain = self.chain.as_ref().context("there is no chain")?;
            let (name, (len, _)) = (self.names[0], SIZES[0]);
            chain.flush(1)?;
            let time = if case == SPLICED {
                chain.splice(name, &self.content, len)?
            } else {
                chain.map(name, &self.content, len)?
            };
            return Ok(sample(self.content.len(), time));
        }
        if case >= IROH {
            return self.by_rival(case - IROH);
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
        self.transfers = [None, None];
        self.root = None;
        self.wire = None;
        self.names.clear();
        self.content = Vec::new();
        Ok(())
    }
}
