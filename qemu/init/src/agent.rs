// SPDX-License-Identifier: GPL-2.0

//! The agent: one loop that moves bytes between the host's channel and the
//! commands that run, and never blocks on either.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::config::{Configure, Configured, Exit, Hello, Interface};
use crate::port::Port;
use crate::proto::{self, Frame, agent, host};
use crate::reaper::Reaper;
use crate::session::Session;
use crate::{boot, modules};

/// While this much waits for the channel, commands are not read from.
const BACKLOG_BYTES_MAX: usize = 256 << 10;

struct Agent {
    port: Port,
    input: Vec<u8>,
    output: Vec<u8>,
    sessions: BTreeMap<u32, Session>,
    reaper: Reaper,
    /// The host has said something.
    greeted: bool,
    power_off: bool,
}

/// Serve the host until it says "power off".
pub fn serve(port: Port) -> io::Result<()> {
    let mut agent = Agent {
        port,
        input: Vec::new(),
        output: proto::MAGIC.to_vec(),
        sessions: BTreeMap::new(),
        reaper: Reaper::start()?,
        greeted: false,
        power_off: false,
    };
    agent.hello()?;
    while !agent.power_off {
        agent.wait()?;
        agent.receive()?;
        agent.reap();
        agent.pump()?;
        agent.send()?;
    }
    Ok(())
}

impl Agent {
    fn hello(&mut self) -> io::Result<()> {
        let uptime = fs::read_to_string("/proc/uptime")?;
        let seconds = uptime
            .split(' ')
            .next()
            .and_then(|word| word.parse::<f64>().ok());
        let hello = Hello {
            protocol: proto::PROTOCOL,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .into(),
            uptime_ms: (seconds.unwrap_or_default() * 1000.0) as u64,
            window: self.port.is_line.then_some(proto::LINE_WINDOW_BYTES),
        };
        proto::put_json(&mut self.output, agent::HELLO, 0, &hello)
    }

    /// Sleep until something can move.
    fn wait(&self) -> io::Result<()> {
        let mut port = PollFlags::IN;
        if !self.output.is_empty() {
            port |= PollFlags::OUT;
        }
        let mut fds = vec![
            PollFd::new(&self.port.fd, port),
            PollFd::new(&self.reaper.wake, PollFlags::IN),
        ];
        let mut timeout = None;
        for session in self.sessions.values() {
            if self.output.len() < BACKLOG_BYTES_MAX {
                fds.extend(
                    session
                        .wants_read()
                        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
                );
                if session.is_draining() {
                    timeout = Some(Timespec {
                        tv_sec: 0,
                        tv_nsec: 0,
                    });
                }
            }
            fds.extend(
                session
                    .wants_write()
                    .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)),
            );
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; proto::CHUNK_BYTES];
        let mut received = 0;
        loop {
            match rustix::io::read(&self.port.fd, &mut buffer) {
                // Nobody holds the other end any more. Before the first word
                // of the host it only means that QEMU has not said so yet.
                Ok(0) => {
                    self.power_off = self.greeted;
                    break;
                }
                Ok(count) => {
                    self.greeted = true;
                    received += count as u32;
                    self.input.extend_from_slice(&buffer[..count]);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.port.is_line && received > 0 {
            let count = received.to_be_bytes();
            proto::put(&mut self.output, agent::RECEIVED, 0, &count);
        }
        while let Some(frame) = proto::take(&mut self.input)? {
            self.handle(&frame)?;
        }
        Ok(())
    }

    fn handle(&mut self, frame: &Frame) -> io::Result<()> {
        match frame.kind {
            host::CONFIGURE => {
                let error = configure(&frame.json()?)
                    .err()
                    .map(|error| error.to_string());
                proto::put_json(
                    &mut self.output,
                    agent::CONFIGURED,
                    0,
                    &Configured { error },
                )
            }
            host::EXEC => self.exec(frame),
            host::POWER_OFF => {
                self.power_off = true;
                Ok(())
            }
            kind => self.tell_session(kind, frame),
        }
    }

    fn exec(&mut self, frame: &Frame) -> io::Result<()> {
        match Session::start(&frame.json()?) {
            Ok(session) => {
                self.reaper.spawned();
                self.sessions.insert(frame.stream, session);
                Ok(())
            }
            Err(error) => {
                let exit = Exit {
                    error: Some(error.to_string()),
                    ..Exit::default()
                };
                proto::put_json(&mut self.output, agent::EXIT, frame.stream, &exit)
            }
        }
    }

    fn tell_session(&mut self, kind: u8, frame: &Frame) -> io::Result<()> {
        // The command may have ended while the message was on its way.
        let Some(session) = self.sessions.get_mut(&frame.stream) else {
            return Ok(());
        };
        match kind {
            host::STDIN => session.add_input(&frame.payload),
            host::STDIN_END => session.end_input(),
            host::CREDIT => session.add_credit(frame.number()?),
            host::SIGNAL => session.signal(frame.number()?),
            host::WINDOW => session.resize(frame.json()?),
            _ => {
                let said = format!("unknown message {} from the host", char::from(kind));
                return Err(io::Error::new(io::ErrorKind::InvalidData, said));
            }
        }
        Ok(())
    }

    fn reap(&mut self) {
        let mut buffer = [0; 256];
        while matches!(rustix::io::read(&self.reaper.wake, &mut buffer), Ok(count) if count > 0) {}
        while let Ok(reaped) = self.reaper.ended.try_recv() {
            let ended = self
                .sessions
                .values_mut()
                .find(|session| session.pid == reaped.pid);
            if let Some(session) = ended {
                session.ended(reaped.status);
            }
        }
    }

    fn pump(&mut self) -> io::Result<()> {
        let mut exits = Vec::new();
        for (&stream, session) in &mut self.sessions {
            if self.output.len() < BACKLOG_BYTES_MAX {
                session.pump(stream, &mut self.output);
            }
            exits.extend(session.exit().map(|exit| (stream, exit)));
        }
        for (stream, exit) in exits {
            self.sessions.remove(&stream);
            proto::put_json(&mut self.output, agent::EXIT, stream, &exit)?;
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.output.len() {
            match rustix::io::write(&self.port.fd, &self.output[sent..]) {
                Ok(count) => sent += count,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.output.drain(..sent);
        Ok(())
    }
}

fn configure(wanted: &Configure) -> io::Result<()> {
    fs::write("/proc/sys/kernel/hostname", &wanted.hostname)?;
    for share in &wanted.shares {
        boot::make(
            &share.fstype,
            &share.source,
            &share.path,
            MountFlags::empty(),
            &share.options,
        )?;
    }
    for interface in &wanted.interfaces {
        bring_up(interface)?;
    }
    for load in &wanted.load {
        modules::insert(&modules::find(&load.module)?, &load.parameters)?;
    }
    Ok(())
}

/// The kernel names interfaces in the order of the bus, which is the order of
/// the topology. The address proves that it did.
fn bring_up(interface: &Interface) -> io::Result<()> {
    let dir = PathBuf::from("/sys/class/net").join(&interface.name);
    let said =
        |error: io::Error| io::Error::other(format!("interface {}: {error}", interface.name));
    let mac = fs::read_to_string(dir.join("address")).map_err(said)?;
    if mac.trim() != interface.mac {
        return Err(said(io::Error::other(format!(
            "has the address {} instead of {}",
            mac.trim(),
            interface.mac
        ))));
    }
    fs::write(dir.join("mtu"), interface.mtu.to_string()).map_err(said)?;
    let flags = fs::read_to_string(dir.join("flags")).map_err(said)?;
    let flags =
        u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).map_err(io::Error::other)?;
    fs::write(dir.join("flags"), format!("{:#x}", flags | IFF_UP)).map_err(said)
}

const IFF_UP: u32 = 1;
