// SPDX-License-Identifier: GPL-2.0
//! What the machine needs for the same at best: a UDP ping-pong over the hops of a [`Chain`], and
//! an Ed25519 signature made and checked.

use std::net::UdpSocket;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use feed_core::head::{Head, SignedHead};
use feed_core::id::{Hash, Name};
use feed_core::sign::{PublicKey, Seed};

use crate::chain::Chain;
use crate::line::How;
use crate::machine::inside;

/// Bytes of a ping: those of the entries that it stands beside.
pub(crate) const PING_BYTES: usize = 100;
const PORT: u16 = 7;

/// A chain, and pings over it.
pub(crate) struct Course {
    pub(crate) chain: Chain,
    ping: Option<Ping>,
}

impl Course {
    /// Over this chain; nothing is made yet.
    pub(crate) fn new(chain: Chain) -> Course {
        Course { chain, ping: None }
    }

    /// Makes both.
    pub(crate) fn set_up(&mut self, how: &How) -> Result<()> {
        self.chain.set_up(how)?;
        self.ping = Some(Ping::new(&self.chain)?);
        Ok(())
    }

    /// A ping there and back.
    pub(crate) fn ping(&self) -> Result<Duration> {
        self.ping.as_ref().context("there is no socket")?.once()
    }

    /// Takes both away, as far as they were made.
    pub(crate) fn remove(&mut self) {
        self.ping = None;
        self.chain.remove();
    }
}

/// A socket at the reader's end of a chain, and a thread that sends everything back at the other.
struct Ping {
    socket: UdpSocket,
    echo: Option<JoinHandle<()>>,
}

impl Ping {
    fn new(chain: &Chain) -> Result<Ping> {
        let there = inside(&chain.author(), || {
            Ok(UdpSocket::bind((chain.author_ip().as_str(), PORT))?)
        })?;
        let echo = thread::Builder::new().name("echo".into()).spawn(move || {
            let mut bytes = [0; PING_BYTES];
            // An empty datagram ends it.
            while let Ok((len @ 1.., from)) = there.recv_from(&mut bytes) {
                if there.send_to(&bytes[..len], from).is_err() {
                    break;
                }
            }
        })?;
        let socket = inside(&chain.reader(), || {
            let socket = UdpSocket::bind(("0.0.0.0", 0))?;
            socket.connect((chain.author_ip().as_str(), PORT))?;
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
            Ok(socket)
        })?;
        let ping = Ping {
            socket,
            echo: Some(echo),
        };
        // Neighbours are found by the first one.
        ping.once()?;
        Ok(ping)
    }

    /// There and back.
    fn once(&self) -> Result<Duration> {
        let mut bytes = [1; PING_BYTES];
        let begun = Instant::now();
        self.socket.send(&bytes)?;
        let len = self.socket.recv(&mut bytes)?;
        let took = begun.elapsed();
        ensure!(len == PING_BYTES, "a ping came back with {len} bytes");
        Ok(took)
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        let ended = self.socket.send(&[]).is_ok();
        if let Some(echo) = self.echo.take().filter(|_| ended) {
            let _ = echo.join();
        }
    }
}

/// A head to sign and to check, as each append has one.
pub(crate) struct Signing {
    seed: Seed,
    key: PublicKey,
    head: Head,
}

impl Signing {
    pub(crate) fn new() -> Result<Signing> {
        let failed = |e| anyhow!("cannot make a key: {e:?}");
        let seed = Seed::new(*feed::Seed::generate()?.as_bytes()).map_err(failed)?;
        let key = seed.public_key();
        let head = Head {
            flags: 0,
            epoch: 0,
            n: 1,
            time: 0,
            next_by: 0,
            name: Name(key.0),
            root: Hash([7; 32]),
        };
        Ok(Signing { seed, key, head })
    }

    pub(crate) fn sign(&mut self) -> Result<SignedHead> {
        self.head.n += 1;
        self.head
            .sign(&self.seed)
            .map_err(|e| anyhow!("cannot sign: {e:?}"))
    }

    pub(crate) fn check(&self, head: &SignedHead) -> Result<()> {
        head.verify(&self.key)
            .map_err(|e| anyhow!("a good signature is said to be wrong: {e:?}"))
    }
}
