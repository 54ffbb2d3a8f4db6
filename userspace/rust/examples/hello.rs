// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! A feed with one entry, and a reader of any feed.
//!
//! `cargo run -p feed --example hello "some words"` appends them to a new feed and prints its name;
//! `cargo run -p feed --example hello feed:HEX` prints the entries of that feed.

use feed::{AuthorOptions, Name, Reader, Result, Seed};

fn say(words: &str) -> Result<()> {
    let author = AuthorOptions::new().new_feed().open(&Seed::generate()?)?;
    author.append(words.as_bytes())?;
    println!("{}", author.name());
    Ok(())
}

fn hear(name: Name) -> Result<()> {
    for entry in Reader::open(name)?.entries() {
        let entry = entry?;
        let text = String::from_utf8_lossy(&entry.data);
        println!("{} ({} hops): {text}", entry.info.seq, entry.info.hops);
    }
    Ok(())
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let result = match what.parse() {
        Ok(name) => hear(name),
        Err(_) => say(&what),
    };
    if let Err(error) = result {
        eprintln!("hello: {error}");
        std::process::exit(1);
    }
}
