// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Feeds, signed append-only logs, from the network by `AF_FEED`.
//!
//! A feed is named by a public key. Only the key's holder can extend it; everybody can check it,
//! so it does not matter who hands it over: the kernel asks the network by name, checks what
//! comes, and keeps it. This crate wraps the calls and nothing else: no thread, no cache, no
//! runtime. A [`Reader`] or an [`Author`] *is* a file descriptor ([`AsFd`](std::os::fd::AsFd)).
//!
//! ```no_run
//! // Say something …
//! let seed = feed::Seed::generate()?;
//! let author = feed::AuthorOptions::new().new_feed().open(&seed)?;
//! author.append(b"hello")?;
//!
//! // … and read it, on this machine or any other that the network reaches.
//! let reader = feed::Reader::open(author.name())?;
//! let entry = reader.next_entry()?.ok_or("the feed has ended")?;
//! assert_eq!(entry.data, b"hello");
//! println!("from {} hops away", entry.info.hops);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Failures say what to do: without the module, `open` tells how to load it.
//!
//! ```
//! let name: feed::Name = format!("feed:{}", "17".repeat(32)).parse()?;
//! if let Err(error) = feed::Reader::open(name) {
//!     eprintln!("{error}");
//! }
//! # Ok::<(), feed::Error>(())
//! ```

#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]
#![cfg_attr(test, allow(non_snake_case))]

use std::os::fd::BorrowedFd;

mod author;
mod entry;
mod error;
mod head;
mod name;
mod reader;
#[allow(unsafe_code, reason = "system calls")]
mod sys;

pub use author::{Append, Author, AuthorOptions, ENTRY_MAX};
pub use entry::{Entry, EntryInfo, Info, MappedBytes, MappedEntry};
pub use error::{Error, Result, advice};
pub use head::{Fork, Head};
pub use name::{Address, Name, Seed};
pub use reader::{Entries, Piece, Reader, ReaderOptions};

/// The number of the address family in the running kernel: what the module says, else 18.
pub fn family() -> u16 {
    std::fs::read_to_string("/sys/module/feed/parameters/family")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(sys::AF_FEED)
}

fn held_head(fd: BorrowedFd<'_>) -> Result<Head> {
    let bytes = sys::option(fd, sys::OPT_HEAD).map_err(|e| Error::os("read the head", e))?;
    Head::from_bytes(&bytes)
}

fn info(fd: BorrowedFd<'_>) -> Result<Info> {
    let raw: sys::Info =
        sys::option(fd, sys::OPT_INFO).map_err(|e| Error::os("read the socket's state", e))?;
    Ok((&raw).into())
}
