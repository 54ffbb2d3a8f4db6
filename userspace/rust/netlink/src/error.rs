// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What went wrong, and what to do about it.

use std::fmt;
use std::io;

use netlink_packet_core::DecodeError;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to talk to the kernel, or its refusal.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no generic netlink family `feed`: the module is not loaded.
    NoFamily,
    /// The kernel refused a request.
    Refused {
        /// What was asked for.
        doing: &'static str,
        /// Why not, as an errno.
        source: io::Error,
        /// Why not, in the kernel's own words.
        message: Option<String>,
    },
    /// The socket failed.
    Socket(io::Error),
    /// There is no device of that name.
    NoDevice(String),
    /// An answer that is none.
    Garbled(DecodeError),
}

impl Error {
    /// The errno, when it was the kernel that said no.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Error::Refused { source, .. } | Error::Socket(source) => source.raw_os_error(),
            _ => None,
        }
    }
}

/// What to do about an errno of this family; `None` where the errno says it all.
fn advice(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM | libc::EACCES => "this needs CAP_NET_ADMIN; run it with sudo",
        libc::ENODEV => "there is no such port; feedctl port show lists them",
        libc::EEXIST => "it is there already",
        libc::ENOENT | libc::ESRCH => "there is no such thing; show lists what there is",
        libc::ENOSPC => "the table is full; take something away first",
        libc::EOPNOTSUPP => {
            "the running module does not know this; load the one that came with feedctl"
        }
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoFamily => f.write_str(
                "this kernel has no AF_FEED; load the module: sudo insmod feed.ko (or sudo modprobe feed)",
            ),
            Error::Refused { doing, source, message } => {
                write!(f, "cannot {doing}: ")?;
                match message {
                    Some(message) => f.write_str(message)?,
                    None => write!(f, "{source}")?,
                }
                match source.raw_os_error().and_then(advice) {
                    // The kernel's own words are better than a guess from the errno.
                    Some(advice) if message.is_none() => write!(f, "; {advice}"),
                    _ => Ok(()),
                }
            }
            Error::Socket(source) => write!(f, "cannot talk to the kernel by netlink: {source}"),
            Error::NoDevice(name) => write!(f, "there is no device {name}; ip link lists them"),
            Error::Garbled(source) => write!(f, "the kernel's answer cannot be read: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Refused { source, .. } | Error::Socket(source) => Some(source),
            Error::Garbled(source) => Some(source),
            _ => None,
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Error {
        Error::Garbled(error)
    }
}
