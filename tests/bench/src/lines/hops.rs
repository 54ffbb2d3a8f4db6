// SPDX-License-Identifier: GPL-2.0
//! Line 5: verified bulk through three caches, cold, and warm at the last of them, beside one hop.

use anyhow::{Context, Result};
use feed::Name;

use crate::line::{Case, How, Line, Reach, Role, Sample};
use crate::machine::{load_feed, sh};
use crate::transfer::{Chain, content, sample};

const MTU: u32 = 9000;
const ENTRY: usize = 64 << 10;

const ONE_HOP: usize = 0;
const COLD: usize = 1;
const WARM: usize = 2;
const ONE_HOP_COST: usize = 3;
const COLD_COST: usize = 4;

/// From the author to the first cache, and so on to the reader.
const LINKS: f64 = 4.0;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Hops {
    content: Vec<u8>,
    /// One hop, and through the caches.
    chains: Vec<(Chain, Name)>,
    /// What this round has seen over one hop, and cold through the caches.
    seen: [Option<Sample>; 2],
}

impl Hops {
    /// Reads through a chain with nothing stored at its last `cold` nodes.
    fn read(&self, chain: usize, cold: usize) -> Result<Sample> {
        let (chain, name) = self.chains.get(chain).context("there is no chain")?;
        chain.flush(cold)?;
        let time = chain.read(*name, &self.content, ENTRY)?;
        Ok(sample(self.content.len(), time))
    }

    /// CPU time of a GB and hop, s.
    fn cost(&self, case: usize, links: f64) -> Result<Sample> {
        let seen = self.seen.get(case).copied().flatten();
        let seen = seen.context("a case that this one is made of was not measured")?;
        let value = 1e3 / seen.value / links;
        Ok(Sample {
            value,
            cpu_ns: Some(value * 1e9),
        })
    }
}

impl Line for Hops {
    fn number(&self) -> u32 {
        5
    }

    fn title(&self) -> &'static str {
        "verified bulk through three caches, entries of 64 KiB, MTU 9000; links deliver by NAPI"
    }

    fn cases(&self) -> Vec<Case> {
        let (rate, cost) = ("MB/s", "CPU s per GB and hop");
        vec![
            Case::rate(Role::Floor, "one hop, no cache (line 3)", rate),
            Case::rate(Role::Ours, "three caches, cold", rate),
            Case::rate(Role::Ours, "three caches, the last one warm", rate),
            Case::cost(Role::Floor, "both ends of one hop (line 3)", cost),
            Case::cost(Role::Ours, "three caches, cold, each hop", cost),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        vec![
            Reach::new(COLD_COST, ONE_HOP_COST, 1.25),
            Reach::new(WARM, ONE_HOP, 1.0),
        ]
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        load_feed()?;
        self.content = content(if how.quick { 32 << 20 } else { 128 << 20 });
        sh(&["feedctl", "store", "set", "cap", "1700M"])?;
        let far = [
            "bench-author",
            "bench-1",
            "bench-2",
            "bench-3",
            "bench-reader",
        ];
        let near = ["bench-near-author", "bench-near-reader"];
        for nodes in [&near[..], &far[..]] {
            let mut chain = Chain::polled(nodes, MTU)?;
            let name = chain.append(&self.content, ENTRY)?;
            self.chains.push((chain, name));
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let sample = match case {
            ONE_HOP => self.read(0, 1)?,
            COLD => self.read(1, 4)?,
            WARM => self.read(1, 1)?,
            ONE_HOP_COST => self.cost(ONE_HOP, 1.0)?,
            _ => self.cost(COLD, LINKS)?,
        };
        if let Some(seen) = self.seen.get_mut(case) {
            *seen = Some(sample);
        }
        Ok(sample)
    }

    fn tear_down(&mut self) -> Result<()> {
        self.chains.clear();
        self.content = Vec::new();
        Ok(())
    }
}
