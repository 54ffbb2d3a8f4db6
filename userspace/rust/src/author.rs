// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The author's side of a feed.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::entry::Info;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::name::{Name, Seed};
use crate::{family, sys};

/// Payload bytes that one entry can have.
pub const ENTRY_MAX: usize = 16 << 20;

/// How to become the author of a feed.
///
/// A node must know how far the feed has got before it may sign, or it would sign two histories.
/// So say one of these: the feed is new ([`new_feed`](Self::new_feed)), or its last head is this
/// ([`head`](Self::head)). With neither, it works as long as this node's store still holds the
/// feed.
///
/// ```no_run
/// let seed = feed::Seed::generate()?;
/// let author = feed::AuthorOptions::new().new_feed().open(&seed)?;
/// author.append(b"first words")?;
/// std::fs::write("my.head", author.head()?.as_bytes())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AuthorOptions {
    new: bool,
    head: Option<Head>,
    nonblocking: bool,
}

impl AuthorOptions {
    /// For a feed that this node's store still holds.
    pub fn new() -> AuthorOptions {
        AuthorOptions::default()
    }

    /// No entry of the feed exists anywhere.
    pub fn new_feed(mut self) -> AuthorOptions {
        self.new = true;
        self
    }

    /// The head that was kept last. If this node's store lacks what it covers, that is fetched.
    pub fn head(mut self, head: Head) -> AuthorOptions {
        self.head = Some(head);
        self
    }

    /// As `O_NONBLOCK`.
    pub fn nonblocking(mut self) -> AuthorOptions {
        self.nonblocking = true;
        self
    }

    /// Becomes the author of the feed that `seed` is the secret of.
    pub fn open(&self, seed: &Seed) -> Result<Author> {
        let family = family();
        let fd = sys::socket(family, self.nonblocking)
            .map_err(|e| Error::os("open a feed socket", e))?;
        sys::set_option(fd.as_fd(), sys::OPT_SECRET_KEY, seed.as_bytes())
            .map_err(|e| Error::os("set the secret key", e))?;
        // The name is what the kernel derives, so it cannot be the wrong one.
        let key = sys::option(fd.as_fd(), sys::OPT_PUBLIC_KEY)
            .map_err(|e| Error::os("read the name", e))?;
        if let Some(head) = &self.head {
            sys::set_option(fd.as_fd(), sys::OPT_AUTHOR_HEAD, head.as_bytes())
                .map_err(|e| Error::os("give the last head", e))?;
        }
        let flags = if self.new { sys::BIND_NEW } else { 0 };
        let addr = sys::SockAddr {
            family,
            flags,
            reserved: 0,
            seq: 0,
            key,
        };
        sys::bind(fd.as_fd(), &addr).map_err(|e| Error::os("become the feed's author", e))?;
        Ok(Author {
            fd,
            name: Name(key),
        })
    }
}

/// How to append one entry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Append {
    /// ms since 1970, or 0 for unstated; `None` takes the clock's time.
    pub time: Option<u64>,
    /// 16 bits that the network keeps and never looks at.
    pub app_flags: u16,
    /// More entries follow at once: one head may cover them all. Until the next entry without
    /// this, or a millisecond has passed, the entry is provisional: [`Author::head`] tells what is
    /// covered.
    pub more: bool,
}

/// The author of one feed. In a network namespace there is one at a time.
#[derive(Debug)]
pub struct Author {
    fd: OwnedFd,
    name: Name,
}

impl Author {
    /// The feed.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Appends one entry, with the clock's time. When this returns it is signed and stored.
    pub fn append(&self, data: &[u8]) -> Result<()> {
        self.append_with(data, Append::default())
    }

    /// Appends one entry in a given way.
    pub fn append_with(&self, data: &[u8], how: Append) -> Result<()> {
        let mut flags = 0;
        if how.time.is_some() {
            flags |= sys::APPEND_TIME;
        }
        if data.is_empty() {
            // To the kernel an empty send is a mistake unless it is meant. Here it is.
            flags |= sys::APPEND_EMPTY;
        }
        let raw = sys::Append {
            time: how.time.unwrap_or(0),
            flags,
            app_flags: how.app_flags,
            reserved: 0,
        };
        let plain = flags == 0 && how.app_flags == 0;
        let more = if how.more { sys::MSG_MORE } else { 0 };
        sys::send(
            self.fd.as_fd(),
            &[IoSlice::new(data)],
            (!plain).then_some(&raw),
            more,
        )
        .map_err(|e| Error::os("append", e))?;
        Ok(())
    }

    /// Appends `len` bytes of a file, from its position on, as one entry. The pages go to the
    /// store without passing through this program.
    pub fn append_file(&self, file: &File, len: usize) -> Result<()> {
        let sent = sys::send_file(self.fd.as_fd(), file.as_fd(), len)
            .map_err(|e| Error::os("append", e))?;
        if sent != len {
            // The file got shorter; the entry ends where it did.
            return Err(Error::os(
                "append all of the file",
                io::Error::from(io::ErrorKind::UnexpectedEof),
            ));
        }
        Ok(())
    }

    /// The newest head: keep it, and give it back by [`AuthorOptions::head`].
    pub fn head(&self) -> Result<Head> {
        crate::held_head(self.fd.as_fd())
    }

    /// State and counters.
    pub fn info(&self) -> Result<Info> {
        crate::info(self.fd.as_fd())
    }

    /// Closes the feed for ever: signs a head that says so.
    pub fn finish(&self) -> Result<()> {
        sys::set_option(self.fd.as_fd(), sys::OPT_FINAL, &1_i32)
            .map_err(|e| Error::os("close the feed", e))
    }

    /// Promises the next head by `ms` since 1970; 0 takes the promise back.
    pub fn set_next_by(&self, ms: u64) -> Result<()> {
        sys::set_option(self.fd.as_fd(), sys::OPT_NEXT_BY, &ms)
            .map_err(|e| Error::os("promise a head", e))
    }
}

impl AsFd for Author {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Author> for OwnedFd {
    fn from(author: Author) -> OwnedFd {
        author.fd
    }
}
