// SPDX-License-Identifier: GPL-2.0

//! What a machine is told: by the kernel command line before it has a root,
//! and by the host's configure message afterwards.

use std::{fs, io};

use serde::{Deserialize, Serialize};

/// Where the read-only root file system comes from.
pub enum Root {
    /// An ext4 image on a block device.
    Block(String),
    /// A directory of the host, under User-Mode Linux.
    Hostfs(String),
}

/// The `lab.*` words of the kernel command line.
pub struct CommandLine {
    pub root: Root,
    pub port: String,
}

impl CommandLine {
    pub fn read() -> io::Result<Self> {
        Self::parse(&fs::read_to_string("/proc/cmdline")?)
    }

    fn parse(line: &str) -> io::Result<Self> {
        let missing = |word| io::Error::other(format!("no {word}= on the kernel command line"));
        let mut root = None;
        let mut port = None;
        for word in line.split_ascii_whitespace() {
            match word.split_once('=') {
                Some(("lab.block", device)) => root = Some(Root::Block(device.into())),
                Some(("lab.hostfs", path)) => root = Some(Root::Hostfs(path.into())),
                Some(("lab.port", name)) => port = Some(name.into()),
                _ => {}
            }
        }
        Ok(Self {
            root: root.ok_or_else(|| missing("lab.block= or lab.hostfs"))?,
            port: port.ok_or_else(|| missing("lab.port"))?,
        })
    }
}

/// The first message on the channel, sent by the machine.
#[derive(Serialize)]
pub struct Hello {
    pub protocol: u32,
    pub kernel: String,
    pub uptime_ms: u64,
    /// Bytes that the host may have in flight, if that is limited at all.
    pub window: Option<u32>,
}

/// The host's answer to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configure {
    pub hostname: String,
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    #[serde(default)]
    pub shares: Vec<Share>,
    #[serde(default)]
    pub load: Vec<Load>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    pub name: String,
    pub mac: String,
    pub mtu: u32,
}

/// A directory of the host, seen at `path`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub fstype: String,
    pub source: String,
    pub options: String,
    pub path: String,
}

/// A module to insert, with its parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub module: String,
    pub parameters: String,
}

/// The machine is as the host wants it, or why it is not.
#[derive(Serialize)]
pub struct Configured {
    pub error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    pub argv: Vec<String>,
    #[serde(default)]
    pub env: Vec<(String, String)>,
    #[serde(default)]
    pub cwd: Option<String>,
    /// Bytes of output that may be sent before the host grants more.
    pub credit: usize,
    /// Without it the command reads an empty input.
    #[serde(default)]
    pub stdin: bool,
    #[serde(default)]
    pub pty: Option<Window>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub rows: u16,
    pub columns: u16,
}

/// How a command ended. Exactly one of the three is set.
#[derive(Default, Serialize)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// The command could not be started at all.
    pub error: Option<String>,
}

#[cfg(test)]
#[allow(
    non_snake_case,
    clippy::unwrap_used,
    clippy::panic,
    reason = "function__case names; a test may fail"
)]
mod tests {
    use super::*;

    #[test]
    fn command_line__either_root() {
        let line =
            CommandLine::parse("quiet lab.block=/dev/vda lab.port=lab.agent panic=-1\n").unwrap();
        assert!(matches!(line.root, Root::Block(device) if device == "/dev/vda"));
        assert_eq!(line.port, "lab.agent");
        let line = CommandLine::parse("lab.hostfs=/srv/a=b lab.port=/dev/ttyS0").unwrap();
        assert!(matches!(line.root, Root::Hostfs(path) if path == "/srv/a=b"));
    }

    #[test]
    fn command_line__missing_word_is_named() {
        let Err(error) = CommandLine::parse("lab.block=/dev/vda") else {
            panic!("no port, and nothing said");
        };
        assert!(error.to_string().contains("lab.port"));
    }

    #[test]
    fn configure__unknown_field_is_refused() {
        assert!(serde_json::from_str::<Configure>(r#"{"hostname":"a"}"#).is_ok());
        assert!(serde_json::from_str::<Configure>(r#"{"hostname":"a","surprise":1}"#).is_err());
    }
}
