// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Writes the golden vectors to tests/vectors/feed, or to the directory named.
//!
//! A change in what it writes is a change of the protocol.

#[path = "../tests/common/golden.rs"]
mod golden;
#[path = "../tests/common/samples.rs"]
mod samples;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/feed");
    let dir = std::env::args_os()
        .nth(1)
        .map_or_else(|| default.into(), PathBuf::from);
    for (file, document) in golden::documents() {
        std::fs::write(dir.join(file), golden::text(&document))?;
        println!("{file}");
    }
    Ok(())
}
