// SPDX-License-Identifier: GPL-2.0
//! Two nodes with IP addresses and a cable between them, for rivals; and TCP over it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use memmap2::MmapMut;

use crate::line::Sample;
use crate::machine::{cable, inside, sh, sh_in};
use crate::transfer::{CALL, sample};

/// One end.
pub(crate) struct End {
    pub(crate) namespace: &'static str,
    pub(crate) address: &'static str,
    device: &'static str,
}

/// Who has what is sent.
pub(crate) const FAR: End = End {
    namespace: "bench-wire-far",
    address: "192.0.2.2",
    device: "below",
};

/// Who gets it.
pub(crate) const NEAR: End = End {
    namespace: "bench-wire-near",
    address: "192.0.2.1",
    device: "above",
};

/// Bytes of a frame before what the MTU counts.
const ETHERNET: u64 = 14;
/// How often iperf3's client looks for its server.
const TRIES: u32 = 100;

/// See the head of this file.
pub(crate) struct Wire {
    mtu: u32,
    segments: bool,
}

impl Wire {
    /// `segments`: the devices take segments that are longer than a frame.
    pub(crate) fn new(mtu: u32, segments: bool) -> Result<Wire> {
        let wire = Wire { mtu, segments };
        for end in [&FAR, &NEAR] {
            sh(&["ip", "netns", "add", end.namespace])?;
        }
        inside(NEAR.namespace, || {
            cable(NEAR.device, FAR.device, Some(FAR.namespace), mtu)
        })?;
        let tso = if segments { "on" } else { "off" };
        for end in [&FAR, &NEAR] {
            let address = format!("{}/30", end.address);
            sh_in(
                end.namespace,
                &["ip", "addr", "add", &address, "dev", end.device],
            )?;
            sh_in(end.namespace, &["ethtool", "-K", end.device, "tso", tso])?;
        }
        Ok(wire)
    }

    /// Bytes and frames that have come to the near end.
    fn received(&self) -> Result<(u64, u64)> {
        let figure = |name| {
            let path = format!("/sys/class/net/{}/statistics/{name}", NEAR.device);
            let said = sh_in(NEAR.namespace, &["cat", &path])?;
            Ok::<u64, anyhow::Error>(said.trim().parse()?)
        };
        Ok((figure("rx_bytes")?, figure("rx_packets")?))
    }

    /// Sends for a second with iperf3, which rounds what is shorter up.
    pub(crate) fn iperf(&self) -> Result<Sample> {
        let before = self.received()?;
        let sample = iperf()?;
        let after = self.received()?;
        let each = (after.0 - before.0) / (after.1 - before.1).max(1);
        ensure!(
            (each > u64::from(self.mtu) + ETHERNET) == self.segments,
            "{each} bytes in a frame, the MTU is {}",
            self.mtu
        );
        Ok(sample)
    }

    /// Sends the content itself, where iperf3 sends a buffer of a call's length again and again
    /// that never leaves the processor's cache.
    pub(crate) fn send_content(&self, content: &[u8]) -> Result<Sample> {
        let listener = inside(NEAR.namespace, || Ok(TcpListener::bind((NEAR.address, 0))?))?;
        let address = listener.local_addr()?;
        let send = || {
            inside(FAR.namespace, || {
                let mut stream = TcpStream::connect(address)?;
                for part in content.chunks(CALL) {
                    stream.write_all(part)?;
                }
                Ok(())
            })
        };
        let receive = || {
            let (mut stream, _) = listener.accept()?;
            let mut buffer = MmapMut::map_anon(CALL)?;
            let begun = Instant::now();
            let mut left = content.len();
            while left > 0 {
                let got = stream.read(&mut buffer)?;
                ensure!(got > 0, "the connection ends early");
                left = left.saturating_sub(got);
            }
            Ok(begun.elapsed())
        };
        let (sent, time) = thread::scope(|scope| {
            let sender = scope.spawn(send);
            let time = receive();
            (sender.join(), time)
        });
        sent.map_err(|_| anyhow!("the sender has panicked"))??;
        Ok(sample(content.len(), time?))
    }
}

fn iperf() -> Result<Sample> {
    let enter = ["ip", "netns", "exec", NEAR.namespace];
    let server = Command::new("ip")
        .args(&enter[1..])
        .args(["iperf3", "-4", "--server", "--one-off"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot run iperf3")?;
    let mut server = Killed(server);
    let call = CALL.to_string();
    let mut client = vec!["iperf3", "-4", "--json", "--client", NEAR.address];
    client.extend(["--time", "1", "--length", &call]);
    for _ in 0..TRIES {
        // The server listens a little later than it starts.
        let Ok(text) = sh_in(FAR.namespace, &client) else {
            ensure!(
                server.0.try_wait()?.is_none(),
                "iperf3's server has ended early"
            );
            sleep(Duration::from_millis(20));
            continue;
        };
        let said: serde_json::Value = serde_json::from_str(&text)?;
        let bits = said["end"]["sum_received"]["bits_per_second"].as_f64();
        let rate = bits.context("iperf3 has not said what was received")? / 8e6;
        return Ok(Sample {
            value: rate,
            cpu_ns: Some(1e9 / rate),
        });
    }
    bail!("iperf3 finds no server")
}

/// Ends with its owner.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for end in [&FAR, &NEAR] {
            // What was not made need not go.
            let _ = Command::new("ip")
                .args(["netns", "del", end.namespace])
                .output();
        }
    }
}
