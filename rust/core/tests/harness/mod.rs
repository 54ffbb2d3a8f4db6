// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Many nodes in virtual time around the real engine: memory stores, real signatures, links that
//! lose, delay, reorder, repeat and damage frames.
#![allow(dead_code)]

mod author;
mod behind;
pub mod besieged;
pub mod line;
mod link;
mod net;
mod node;
pub mod siege;
mod store;

pub use author::Author;
pub use behind::Behind;
pub use link::{Link, Seen};
pub use net::{mac_of, Net};
pub use node::Node;
pub use store::World;

use feed_core::engine::{Lend, Memory};

/// Tables are plain vectors.
pub struct Host;

impl Memory for Host {
    type Of<T> = Vec<T>;
}

/// Lends vectors.
pub struct Vectors;

impl Lend<Host> for Vectors {
    type Error = std::convert::Infallible;

    fn lend<T: Default>(&mut self, len: usize) -> Result<Vec<T>, Self::Error> {
        Ok((0..len).map(|_| T::default()).collect())
    }
}

/// Small deterministic random numbers (splitmix64).
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Milliseconds in the engine's µs.
pub const fn ms(n: u64) -> u64 {
    n * 1000
}

/// Seconds in the engine's µs.
pub const fn s(n: u64) -> u64 {
    n * 1_000_000
}
