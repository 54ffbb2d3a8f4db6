// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Formats, proofs and state machines of AF_FEED.
//!
//! Nothing here does I/O, allocates, reads a clock or draws a random number: time, randomness,
//! buffers and keys come in as arguments, decisions go out as values. The same source is compiled
//! by Kbuild for the module and by cargo for tests, libraries and the simulator.
//! `PROTOCOL.md` beside this file is the specification.

#![no_std]
// Tests are named function__case.
#![cfg_attr(test, allow(non_snake_case))]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
extern crate std;

pub mod error;

mod bytes;
pub mod siphash;

pub mod grant;
pub mod head;
pub mod id;
pub mod leaf;
pub mod sign;

pub mod blob;
pub mod object;
pub mod proof;
pub mod tree;
pub mod verify;

pub mod cookie;
pub mod token;
pub mod wire;

pub mod engine;

pub mod selftest;

pub use error::Drop;
