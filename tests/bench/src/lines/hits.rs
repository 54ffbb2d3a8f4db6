// SPDX-License-Identifier: GPL-2.0
//! Line 1: lookups of 1 KiB entries that are answered from the store, in softirq.

use anyhow::{Context, Result, ensure};

use crate::generator::{Access, Asked, Holds};
use crate::line::{Case, How, Line, Reach, Role, Sample};
use crate::lookups::{Bed, Stored};

/// What NFD, the NDN forwarder, does in one second of CPU for the same: Data of 1 KiB from its store.
const NFD_PER_S: f64 = 45_000.0;
const ENTRIES: u64 = 8_192 + 17;

const PROVED: usize = 0;
const FLOOR_PROVED: usize = 1;
const BARE: usize = 2;
const FLOOR_BARE: usize = 3;
const NFD: usize = 4;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Hits {
    bed: Option<Bed>,
    lookups: u64,
    /// Bytes of our answers, which the floor's have, too.
    proved: u64,
    bare: u64,
}

impl Line for Hits {
    fn number(&self) -> u32 {
        1
    }

    fn title(&self) -> &'static str {
        "lookups of 1 KiB entries, answered from the store in softirq"
    }

    fn cases(&self) -> Vec<Case> {
        let unit = "lookups/s";
        vec![
            Case::rate(Role::Ours, "entry with its proof", unit),
            Case::rate(Role::Floor, "echo of frames of that size", unit),
            Case::rate(Role::Ours, "entry, proof held by the asker", unit),
            Case::rate(Role::Floor, "echo of frames of that size", unit),
            Case::rate(Role::Quoted, "NFD, per second of CPU", unit),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = Reach::new;
        vec![
            reach(PROVED, FLOOR_PROVED, 0.5),
            reach(BARE, FLOOR_BARE, 0.5),
            reach(PROVED, NFD, 20.0),
            reach(BARE, NFD, 20.0),
        ]
    }

    fn set_up(&mut self, how: How) -> Result<()> {
        self.lookups = how.work(500_000, 50_000, 2_000);
        self.bed = Some(Bed::new(
            "hits",
            Stored {
                feeds: 1,
                entries: ENTRIES,
                size: 1024,
            },
        )?);
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let bed = self.bed.as_ref().context("there is no bed")?;
        let asked = |holds| Asked {
            entries: ENTRIES,
            holds,
            access: Access::Uniform,
        };
        let ours = |holds| {
            let (sample, answer) = bed.ours(asked(holds), self.lookups)?;
            ensure!(answer > 1024, "answers of {answer} bytes have no payload");
            Ok((sample, answer))
        };
        Ok(match case {
            PROVED => {
                let (sample, answer) = ours(Holds::Nothing)?;
                self.proved = answer;
                sample
            }
            BARE => {
                let (sample, answer) = ours(Holds::PathAndPage)?;
                self.bare = answer;
                sample
            }
            FLOOR_PROVED => bed.floor(asked(Holds::Nothing), self.proved, self.lookups)?,
            FLOOR_BARE => bed.floor(asked(Holds::PathAndPage), self.bare, self.lookups)?,
            _ => Sample {
                value: NFD_PER_S,
                cpu_ns: Some(1e9 / NFD_PER_S),
            },
        })
    }

    fn tear_down(&mut self) -> Result<()> {
        self.bed = None;
        Ok(())
    }
}
