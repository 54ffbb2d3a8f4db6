// SPDX-License-Identifier: GPL-2.0
//! Line 1: lookups of 1 KiB entries that are answered from the store, in softirq.
//!
//! Frames come from a NAPI poll, some at a time, to us and to the floor alike.
//!
//! nginx answers programs, not frames: what it does is set beside by its own CPU time, without that
//! of who asks.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::generator::{Access, Asked, Holds};
use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::lookups::{Bed, Stored};
use crate::rivals::{Root, Web};
use crate::wire::Wire;

/// What NFD, the NDN forwarder, does in one second of CPU for the same: Data of 1 KiB from its store.
const NFD_PER_S: f64 = 45_000.0;
const ENTRIES: u64 = 8_192 + 17;

const PROVED: usize = 0;
const FLOOR_PROVED: usize = 1;
const BARE: usize = 2;
const FLOOR_BARE: usize = 3;
const NFD: usize = 4;
const NGINX: usize = 5;
const NGINX_CPU: usize = 6;

/// Bytes of an entry, and of nginx's page.
const SIZE: usize = 1024;
/// Room for an answer with its proof, and for nginx's, in one frame.
const MTU: u32 = 9000;
/// How long wrk asks, s.
const ASKED_S: u32 = 1;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Hits {
    bed: Option<Bed>,
    lookups: u64,
    /// Bytes of our answers, which the floor's have, too.
    proved: u64,
    bare: u64,
    rivals: Option<PathBuf>,
    web: Option<(Web, Wire)>,
    /// What this round has seen of nginx in a second of its own time.
    nginx_cpu: f64,
}

impl Hits {
    /// Hits of nginx, which is started when it is first needed, and stays.
    fn nginx(&mut self) -> Result<Sample> {
        let (web, _) = match &mut self.web {
            Some(web) => web,
            none => {
                let wire = Wire::new(MTU, true)?;
                let root = Root::enter(self.rivals.as_deref())?;
                none.insert((Web::new(root, SIZE)?, wire))
            }
        };
        let (rate, of_cpu) = web.hits(ASKED_S)?;
        self.nginx_cpu = of_cpu;
        Ok(Sample {
            value: rate,
            cpu_ns: Some(1e9 / rate),
        })
    }
}

/// So many in a second of CPU time.
fn per_cpu_second(value: f64) -> Sample {
    Sample {
        value,
        cpu_ns: Some(1e9 / value),
    }
}

impl Line for Hits {
    fn number(&self) -> u32 {
        1
    }

    fn title(&self) -> &'static str {
        "lookups of 1 KiB entries, answered from the store in softirq; links deliver by NAPI, as drivers do"
    }

    fn cases(&self) -> Vec<Case> {
        let unit = "lookups/s";
        vec![
            Case::rate(Role::Ours, "entry with its proof", unit),
            Case::rate(Role::Floor, "echo of frames of that size", unit),
            Case::rate(Role::Ours, "entry, proof held by the asker", unit),
            Case::rate(Role::Floor, "echo of frames of that size", unit),
            Case::rate(Role::Quoted, "NFD, per second of CPU", unit),
            Case::of_rival("nginx and wrk on the same core", "hits/s").natively(Native::Shown),
            Case::of_rival("nginx alone, per second of its CPU", "hits/s").natively(Native::Shown),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = Reach::new;
        vec![
            reach(PROVED, FLOOR_PROVED, 0.5),
            reach(BARE, FLOOR_BARE, 0.5),
            reach(PROVED, NFD, 20.0),
            reach(BARE, NFD, 20.0),
            Reach::told(PROVED, NGINX_CPU),
            Reach::told(BARE, NGINX_CPU),
        ]
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.lookups = how.work(500_000, 50_000, 2_000);
        self.rivals.clone_from(&how.rivals);
        if !how.native {
            let stored = Stored {
                feeds: 1,
                entries: ENTRIES,
                size: SIZE,
            };
            self.bed = Some(Bed::new("hits", stored)?);
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        match case {
            NFD => return Ok(per_cpu_second(NFD_PER_S)),
            NGINX => return self.nginx(),
            NGINX_CPU => return Ok(per_cpu_second(self.nginx_cpu)),
            _ => {}
        }
        let bed = self.bed.as_ref().context("there is no bed")?;
        let asked = |holds| Asked {
            entries: ENTRIES,
            holds,
            access: Access::Uniform,
        };
        let ours = |holds| {
            let (sample, answer) = bed.ours(asked(holds), self.lookups)?;
            ensure!(
                answer > SIZE as u64,
                "answers of {answer} bytes have no payload"
            );
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
            _ => bed.floor(asked(Holds::PathAndPage), self.bare, self.lookups)?,
        })
    }

    fn tear_down(&mut self) -> Result<()> {
        self.bed = None;
        self.web = None;
        Ok(())
    }
}
