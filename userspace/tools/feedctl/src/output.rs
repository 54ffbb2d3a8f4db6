// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Results on standard output, for people or (`-j`) for programs; progress on standard error.

use std::fmt::{self, Display};
use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::failure::{Failure, Result};

/// Where results go, and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
    pub quiet: bool,
}

impl Output {
    /// One result: a line of JSON, or the text that the value displays as.
    pub fn show<T: Serialize + Display>(&self, value: &T) -> Result<()> {
        let mut out = io::stdout().lock();
        let written = if self.json {
            json_line(&mut out, value)
        } else {
            write!(out, "{value}")
        };
        written
            .and_then(|()| out.flush())
            .map_err(|e| Failure::output(&e))
    }

    /// A bar over `total` bytes. Shown on a terminal only.
    pub fn progress(&self, total: u64, what: &str) -> ProgressBar {
        self.bar(
            total,
            what,
            "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        )
    }

    /// A bar over `total` entries. Shown on a terminal only.
    pub fn progress_entries(&self, total: u64, what: &str) -> ProgressBar {
        self.bar(
            total,
            what,
            "{msg} {wide_bar} {pos}/{len} entries {per_sec} {eta}",
        )
    }

    fn bar(&self, total: u64, what: &str, template: &str) -> ProgressBar {
        let target = if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(total), target)
            .with_style(style)
            .with_message(what.to_owned())
    }
}

/// Writes `value` and a newline.
pub fn json_line<T: Serialize + ?Sized>(out: &mut impl Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Bytes as hex digits.
pub struct Hex<'a>(pub &'a [u8]);

impl Hex<'_> {
    /// Whether there is nothing to show.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
