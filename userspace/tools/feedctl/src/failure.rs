// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! How a command ends when it does not succeed: a sentence that says what to do.

use std::fmt;
use std::io;
use std::path::Path;

pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// A sentence for the person who typed the command.
    Said(String),
    /// The kernel or a format said no; the text has the advice.
    Feed(feed::Error),
    /// As above, of ports, routes and tables.
    Control(feed_netlink::Error),
    /// Nobody reads our output any more: no failure worth a word.
    Pipe,
}

impl Failure {
    /// A failure to do something with a file, named.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Failure {
        Failure::Said(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// A failure to write to standard output.
    pub fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Pipe,
            _ => Failure::Said(format!("cannot write the output: {error}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Said(text) => f.write_str(text),
            Failure::Feed(error) => error.fmt(f),
            Failure::Control(error) => error.fmt(f),
            Failure::Pipe => f.write_str("nobody reads the output"),
        }
    }
}

impl From<feed::Error> for Failure {
    fn from(error: feed::Error) -> Failure {
        Failure::Feed(error)
    }
}

impl From<feed_netlink::Error> for Failure {
    fn from(error: feed_netlink::Error) -> Failure {
        Failure::Control(error)
    }
}
