// SPDX-License-Identifier: GPL-2.0
//! The floor of a chain of nodes: packet handlers in a row, each of which hands all frames on without
//! a look at them, and at the end one that answers them.

use anyhow::{Context, Result};
use feed_core::id::DiscoveryId;

use crate::generator::{self, Access, Asked, Generator, Holds};
use crate::machine::{cable, mac, sh};

const MTU: u32 = 1500;

/// What is asked for is not looked at.
const ASKED: Asked = Asked {
    entries: 1,
    holds: Holds::Nothing,
    access: Access::Uniform,
};

/// See the head of this file.
pub(crate) struct Relays {
    name: &'static str,
    hops: usize,
    to: u64,
    /// `None` when it has gone: what it has at the devices goes before them.
    generator: Option<Generator>,
}

impl Relays {
    /// With so many cables, whose answers have `answer` bytes. Names are short: devices have them,
    /// too.
    pub(crate) fn new(name: &'static str, hops: usize, answer: u64) -> Result<Relays> {
        generator::load()?;
        let mut relays = Relays {
            name,
            hops,
            to: 0,
            generator: Some(Generator::new()?),
        };
        for at in 0..hops {
            cable(&relays.near(at), &relays.far(at), None, MTU)?;
        }
        relays.to = mac(&relays.far(0), None)?;
        let generator = relays.generator()?;
        generator.feeds(&[DiscoveryId([1; 32])])?;
        for at in 1..hops {
            let (near, far) = (relays.far(at - 1), relays.near(at));
            generator.relay(&near, &far, mac(&relays.far(at), None)?)?;
            generator.relay(&far, &near, mac(&relays.near(at - 1), None)?)?;
        }
        generator.echo(&relays.far(hops - 1), answer)?;
        Ok(relays)
    }

    fn near(&self, at: usize) -> String {
        format!("{}-n{at}", self.name)
    }

    fn far(&self, at: usize) -> String {
        format!("{}-f{at}", self.name)
    }

    fn generator(&self) -> Result<&Generator> {
        self.generator.as_ref().context("there is no generator")
    }

    /// Frames like a lookup there and like its answer back, one after the other: ns for each pair.
    pub(crate) fn there_and_back(&self, count: u64) -> Result<f64> {
        let answered = self.generator()?;
        let answered = answered.lookups_by(&self.near(0), self.to, ASKED, count, 1)?;
        Ok(answered.ns as f64 / answered.lookups as f64)
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        self.generator = None;
        for at in 0..self.hops {
            // What was not made need not go.
            let _ = sh(&["ip", "link", "del", &self.near(at)]);
        }
    }
}
