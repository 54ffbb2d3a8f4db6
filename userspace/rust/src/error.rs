// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What went wrong, and what to do about it.

use std::fmt;
use std::io;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: what was being done, why it failed, what mends it.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The kernel said no.
    Os {
        doing: &'static str,
        source: io::Error,
    },
    /// A text that is no name.
    Name { text: String },
    /// A seed that nothing can be signed with.
    Seed,
    /// Bytes that are no head, or a head that its name did not sign.
    Head { why: feed_core::Drop },
}

impl Error {
    pub(crate) fn os(doing: &'static str, source: io::Error) -> Error {
        Error {
            kind: Kind::Os { doing, source },
        }
    }

    pub(crate) fn name(text: &str) -> Error {
        Error {
            kind: Kind::Name {
                text: text.to_owned(),
            },
        }
    }

    pub(crate) fn seed() -> Error {
        Error { kind: Kind::Seed }
    }

    pub(crate) fn head(why: feed_core::Drop) -> Error {
        Error {
            kind: Kind::Head { why },
        }
    }

    /// The errno, when it was the kernel that said no.
    pub fn raw_os_error(&self) -> Option<i32> {
        match &self.kind {
            Kind::Os { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Whether a call without patience would have had to wait.
    pub fn is_would_block(&self) -> bool {
        self.raw_os_error() == Some(libc::EAGAIN)
    }

    /// Whether an author has to wait for, or show, a head before it may sign.
    pub fn is_stale(&self) -> bool {
        self.raw_os_error() == Some(libc::ESTALE)
    }

    /// What a person can do about it.
    pub fn advice(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Os { source, .. } => advice(source.raw_os_error()?),
            Kind::Name { .. } => {
                Some("a name is feed: and 64 lower-case hex digits, and /SEQ for one entry")
            }
            Kind::Seed => Some("make a new key"),
            Kind::Head { .. } => Some("take the head that was kept last, unchanged"),
        }
    }
}

/// What to do about an errno of this family; `None` where the errno says it all.
pub fn advice(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EAFNOSUPPORT => {
            "this kernel has no AF_FEED; load the module: sudo insmod feed.ko (or sudo modprobe feed)"
        }
        libc::ENETDOWN => "there is no port to ask on; add one: sudo feedctl port add DEV",
        libc::ENETUNREACH => {
            "there is no route to this feed; add one: sudo feedctl route add default dev DEV"
        }
        libc::ETIMEDOUT => {
            "nobody answered in time; check links and routes, or wait longer (--timeout MS)"
        }
        libc::EBADMSG => {
            "the feed is forked: its author signed two histories; feedctl head FEED shows the evidence"
        }
        libc::ESTALE => {
            "this node does not know how far the feed has got; give the head that was kept last, \
             or say that the feed is new"
        }
        libc::ENOKEY => "no secret key was set",
        libc::EKEYREJECTED => {
            "the name does not belong to the secret key, or a grant has handed the feed over to another key"
        }
        libc::EADDRINUSE => {
            "another program in this network namespace is this feed's author; wait until it ends"
        }
        libc::EMSGSIZE => "an entry is at most 16 MiB; split it (append --dir does)",
        libc::EPIPE => "the feed is closed for ever; go on under a new key",
        libc::ENOSPC => "the store is full; raise its limit: sudo feedctl store set limit SIZE",
        libc::EDQUOT => "the feeds of this user have reached their limit",
        libc::ENOBUFS => {
            "no room to pin more of it in memory; raise RLIMIT_MEMLOCK, drop other mapped entries, or read it"
        }
        libc::EPERM | libc::EACCES => "this needs CAP_NET_ADMIN; run it with sudo",
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Os { doing, source } => write!(f, "cannot {doing}: {source}")?,
            Kind::Name { text } => write!(f, "{text:?} is no name of a feed")?,
            Kind::Seed => f.write_str("nothing can be signed with this seed")?,
            Kind::Head { why } => write!(f, "not a genuine head ({why})")?,
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error.kind {
            Kind::Os { source, .. } => source,
            _ => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthorOptions, Name, Reader, Seed};

    #[test]
    fn error__without_the_module_says_how_to_load_it() {
        if std::path::Path::new("/sys/module/feed").exists() {
            return;
        }
        let seed = Seed::from_bytes([1; 32]);
        let failures = [
            Reader::open(Name([1; 32])).unwrap_err(),
            AuthorOptions::new().open(&seed).unwrap_err(),
        ];
        for error in failures {
            assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT));
            assert!(error.to_string().contains("sudo insmod feed.ko"), "{error}");
        }
    }

    #[test]
    fn error__keeps_the_errno() {
        let error = Error::os("append", io::Error::from_raw_os_error(libc::ESTALE));
        assert!(error.is_stale() && !error.is_would_block());
        assert!(
            error.to_string().contains("the head that was kept last"),
            "{error}"
        );
        assert_eq!(io::Error::from(error).raw_os_error(), Some(libc::ESTALE));
    }
}
