// SPDX-License-Identifier: GPL-2.0
//! Line 2: what line 1 measures for small entries, for so many that they fit no cache of the
//! processor, and for as many that are spread over a hundred thousand feeds. Entries whose proof the
//! asker holds: all but the store is as in line 1.

use anyhow::{Context, Result, ensure};

use crate::generator::{Access, Asked, Holds};
use crate::line::{Case, How, Line, Reach, Role, Sample};
use crate::lookups::{Bed, Stored};
use crate::machine::{load_feed, sh};

const FEW: u64 = 8_192 + 17;
const MANY: u64 = 1_000_000;
const FEEDS: u64 = 100_000;

/// A case: of what kind of store, and in which order.
const CASES: [(usize, Access, &str); 6] = [
    (0, Access::Uniform, "8 k entries of 1 KiB, as in line 1"),
    (1, Access::Uniform, "8 k entries of 64 B"),
    (
        2,
        Access::Uniform,
        "1 M entries of 64 B (quick: 100 k), uniform",
    ),
    (2, Access::Zipf, "1 M entries of 64 B (quick: 100 k), Zipf"),
    (
        3,
        Access::Uniform,
        "the same in 100 k feeds (quick: 10 k), uniform",
    ),
    (
        3,
        Access::Zipf,
        "the same in 100 k feeds (quick: 10 k), Zipf",
    ),
];

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Many {
    lookups: u64,
    /// A node for each kind of store.
    beds: Vec<(Stored, Bed)>,
}

impl Line for Many {
    fn number(&self) -> u32 {
        2
    }

    fn title(&self) -> &'static str {
        "small entries, a million of them, a hundred thousand feeds; links deliver by NAPI, as drivers do"
    }

    fn cases(&self) -> Vec<Case> {
        let case = |(_, _, name): (usize, Access, &str)| Case::rate(Role::Ours, name, "lookups/s");
        CASES.map(case).into()
    }

    fn reaches(&self) -> Vec<Reach> {
        (1..CASES.len()).map(|of| Reach::new(of, 0, 0.8)).collect()
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.lookups = how.work(500_000, 50_000, 2_000);
        load_feed()?;
        // Whose feeds are their own keeps all of them.
        sh(&["feedctl", "store", "set", "cap", "1700M"])?;
        let (many, feeds) = how.work((MANY, FEEDS), (MANY / 10, FEEDS / 10), (FEW, FEW / 10));
        let kinds = [
            ("large", 1, FEW, 1024),
            ("small", 1, FEW, 64),
            ("many", 1, many, 64),
            ("feeds", feeds, many / feeds, 64),
        ];
        for (name, feeds, entries, size) in kinds {
            let stored = Stored {
                feeds,
                entries,
                size,
            };
            self.beds.push((stored, Bed::new(name, stored)?));
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let (kind, access, _) = *CASES.get(case).context("no such case")?;
        let (stored, bed) = self.beds.get(kind).context("there is no bed")?;
        let asked = Asked {
            entries: stored.entries,
            holds: Holds::PathAndPage,
            access,
        };
        let (sample, answer) = bed.ours(asked, self.lookups)?;
        ensure!(
            answer > stored.size as u64,
            "answers of {answer} bytes have no payload"
        );
        Ok(sample)
    }

    fn tear_down(&mut self) -> Result<()> {
        self.beds.clear();
        Ok(())
    }
}
