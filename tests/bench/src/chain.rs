// SPDX-License-Identifier: GPL-2.0
//! Nodes in a row: reader, caches, author, each a namespace, with a cable from each to the next.
//!
//! The same cables carry AF_FEED and IP, so that both go over the same hops.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use feed::{Author, AuthorOptions, Name, Reader, ReaderOptions, Seed};
use serde_json::Value;

use crate::line::How;
use crate::machine::{cable, inside, load_feed, sh, sh_in};

/// The device towards the author, and the one towards the reader.
const FAR: &str = "far";
const NEAR: &str = "near";
const MTU: u32 = 1500;

/// See the head of this file.
pub(crate) struct Chain {
    name: &'static str,
    /// Second byte of its IP addresses.
    net: u8,
    hops: usize,
}

impl Chain {
    /// One of so many hops; nothing is made yet.
    pub(crate) fn new(name: &'static str, net: u8, hops: usize) -> Chain {
        Chain { name, net, hops }
    }

    fn node(&self, at: usize) -> String {
        format!("{}{at}", self.name)
    }

    /// The namespace of the reader.
    pub(crate) fn reader(&self) -> String {
        self.node(0)
    }

    /// The namespace of the author.
    pub(crate) fn author(&self) -> String {
        self.node(self.hops)
    }

    /// The author's IP address.
    pub(crate) fn author_ip(&self) -> String {
        format!("10.{}.{}.2", self.net, self.hops - 1)
    }

    /// The author of a new feed, at the author's end.
    pub(crate) fn new_author(&self) -> Result<Author> {
        inside(&self.author(), || {
            Ok(AuthorOptions::new().new_feed().open(&Seed::generate()?)?)
        })
    }

    /// A reader of a feed from its beginning, at the reader's end.
    pub(crate) fn new_reader(&self, name: Name) -> Result<Reader> {
        inside(&self.reader(), || Ok(ReaderOptions::new().open(name)?))
    }

    /// Makes namespaces, cables, routes and addresses, and AF_FEED's ports unless only IP is measured.
    /// What there is of them when this fails goes by [`Chain::remove`].
    pub(crate) fn set_up(&self, how: &How) -> Result<()> {
        if !how.native {
            load_feed()?;
        }
        for at in 0..=self.hops {
            sh(&["ip", "netns", "add", &self.node(at)])?;
        }
        for at in 0..self.hops {
            let (here, there) = (self.node(at), self.node(at + 1));
            inside(&here, || cable(FAR, NEAR, Some(&there), MTU))?;
            self.address(&here, FAR, &format!("10.{}.{at}.1/24", self.net))?;
            self.address(&there, NEAR, &format!("10.{}.{at}.2/24", self.net))?;
        }
        for at in 0..=self.hops {
            let node = self.node(at);
            let (is_reader, is_author) = (at == 0, at == self.hops);
            if !how.native {
                add_ports(&node, is_reader, is_author)?;
            }
            if !is_author {
                let next = format!("10.{}.{at}.2", self.net);
                sh_in(&node, &["ip", "route", "add", "default", "via", &next])?;
            }
            if !is_reader && !is_author {
                inside(&node, || {
                    Ok(fs::write("/proc/sys/net/ipv4/ip_forward", "1")?)
                })?;
            }
            if at >= 2 {
                // Back to the reader: its network is further away than the next one.
                let (to, back) = (
                    format!("10.{}.0.0/24", self.net),
                    format!("10.{}.{}.1", self.net, at - 1),
                );
                sh_in(&node, &["ip", "route", "add", &to, "via", &back])?;
            }
        }
        Ok(())
    }

    fn address(&self, node: &str, device: &str, address: &str) -> Result<()> {
        sh_in(node, &["ip", "address", "add", address, "dev", device])?;
        Ok(())
    }

    /// Frames that the author's one port has sent and received so far.
    pub(crate) fn author_frames(&self) -> Result<(u64, u64)> {
        let said = sh_in(&self.author(), &["feedctl", "-j", "port", "show"])?;
        let port: Value = serde_json::from_str(&said)?;
        let figure = |way: &str| {
            port[way]["frames"]
                .as_u64()
                .with_context(|| format!("no frames {way} in {said}"))
        };
        Ok((figure("tx")?, figure("rx")?))
    }

    /// Takes it away, as far as it was made.
    pub(crate) fn remove(&self) {
        for at in 0..=self.hops {
            // What was not made need not go.
            let _ = Command::new("ip")
                .args(["netns", "del", &self.node(at)])
                .output();
        }
    }
}

/// AF_FEED on the cables of a node.
fn add_ports(node: &str, is_reader: bool, is_author: bool) -> Result<()> {
    if !is_author {
        sh_in(node, &["feedctl", "port", "add", FAR])?;
        sh_in(node, &["feedctl", "route", "add", "default", "dev", FAR])?;
    }
    if !is_reader {
        sh_in(node, &["feedctl", "port", "add", NEAR])?;
    }
    if !is_reader && !is_author {
        sh_in(node, &["feedctl", "role", "set", "cache"])?;
    }
    Ok(())
}
