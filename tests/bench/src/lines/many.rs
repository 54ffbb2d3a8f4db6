// SPDX-License-Identifier: GPL-2.0
//! Line 2: what line 1 measures for small entries, and for so many that they fit no cache of the
//! processor. Entries whose proof the asker holds: all but the store is as in line 1.

use anyhow::{Context, Result, ensure};

use crate::generator::{Access, Asked, Holds};
use crate::line::{Case, How, Line, Reach, Role, Sample};
use crate::lookups::Bed;

const FEW: u64 = 8_192 + 17;

const LARGE: usize = 0;
const SMALL: usize = 1;
const UNIFORM: usize = 2;
const ZIPF: usize = 3;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Many {
    quick: bool,
    lookups: u64,
    /// The bed, and which case's: one at a time.
    bed: Option<(usize, Bed)>,
}

impl Many {
    fn entries(&self) -> u64 {
        if self.quick { 100_000 } else { 1_000_000 }
    }

    /// Cases of one bed follow one another, so that it is made once a round.
    fn bed(&mut self, case: usize) -> Result<(&Bed, u64)> {
        let wanted = case.min(UNIFORM);
        let (entries, size) = match wanted {
            LARGE => (FEW, 1024),
            SMALL => (FEW, 64),
            _ => (self.entries(), 64),
        };
        if self.bed.as_ref().is_none_or(|(made, _)| *made != wanted) {
            self.bed = None;
            self.bed = Some((wanted, Bed::new(entries, size)?));
        }
        let (_, bed) = self.bed.as_ref().context("there is no bed")?;
        Ok((bed, entries))
    }
}

impl Line for Many {
    fn number(&self) -> u32 {
        2
    }

    fn title(&self) -> &'static str {
        "small entries, and a million of them"
    }

    fn cases(&self) -> Vec<Case> {
        let unit = "lookups/s";
        vec![
            Case::rate(Role::Ours, "8 k entries of 1 KiB, as in line 1", unit),
            Case::rate(Role::Ours, "8 k entries of 64 B", unit),
            Case::rate(
                Role::Ours,
                "1 M entries of 64 B (quick: 100 k), uniform",
                unit,
            ),
            Case::rate(Role::Ours, "1 M entries of 64 B (quick: 100 k), Zipf", unit),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = |of| Reach::new(of, LARGE, 0.8);
        vec![reach(SMALL), reach(UNIFORM), reach(ZIPF)]
    }

    fn set_up(&mut self, how: How) -> Result<()> {
        self.quick = how.quick;
        self.lookups = if how.quick { 50_000 } else { 500_000 };
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let lookups = self.lookups;
        let (bed, entries) = self.bed(case)?;
        let asked = Asked {
            entries,
            holds: Holds::PathAndPage,
            access: if case == ZIPF {
                Access::Zipf
            } else {
                Access::Uniform
            },
        };
        let (sample, answer) = bed.ours(asked, lookups)?;
        let payload = if case == LARGE { 1024 } else { 64 };
        ensure!(
            answer > payload,
            "answers of {answer} bytes have no payload"
        );
        Ok(sample)
    }

    fn tear_down(&mut self) -> Result<()> {
        self.bed = None;
        Ok(())
    }
}
