// SPDX-License-Identifier: GPL-2.0

//! One command that the host asked for: its process group, its pipes or its
//! terminal, and the credit in both directions.
//!
//! A session ends when the command itself has ended and what it wrote until
//! then is on its way. Processes that it left in the background live on, but
//! without the pipes: they must have redirected their output.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitStatus, kill_process_group};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::config::{Exec, Exit, Window};
use crate::proto;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub struct Session {
    pub pid: i32,
    stdin: Option<OwnedFd>,
    input: Vec<u8>,
    input_ended: bool,
    outputs: [Output; 2],
    credit: usize,
    status: Option<WaitStatus>,
    terminal: bool,
}

struct Output {
    kind: u8,
    fd: Option<OwnedFd>,
}

impl Session {
    pub fn start(exec: &Exec) -> io::Result<Self> {
        let (program, arguments) = exec
            .argv
            .split_first()
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "empty command"))?;
        match exec.pty {
            None => Self::start_piped(exec, program, arguments),
            Some(window) => Self::start_terminal(exec, window),
        }
    }

    fn start_piped(exec: &Exec, program: &str, arguments: &[String]) -> io::Result<Self> {
        let mut child = command(exec, program)
            .args(arguments)
            .process_group(0)
            .stdin(if exec.stdin {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().map(OwnedFd::from);
        let stdout = child.stdout.take().map(OwnedFd::from);
        let stderr = child.stderr.take().map(OwnedFd::from);
        Self::new(exec, child.id(), stdin, stdout, stderr)
    }

    fn start_terminal(exec: &Exec, window: Window) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        unlockpt(&master)?;
        resize(&master, window)?;
        let path = ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(path, flags, Mode::empty())?;
        // setsid(1) makes the terminal the controlling one, so that ^C works.
        let child = command(exec, "setsid")
            .arg("--ctty")
            .args(&exec.argv)
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave)
            .spawn()?;
        let stdin = Some(master.try_clone()?);
        Self::new(exec, child.id(), stdin, Some(master), None)
    }

    fn new(
        exec: &Exec,
        pid: u32,
        stdin: Option<OwnedFd>,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
    ) -> io::Result<Self> {
        for fd in [&stdin, &stdout, &stderr].into_iter().flatten() {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(Self {
            pid: i32::try_from(pid).map_err(io::Error::other)?,
            stdin,
            input: Vec::new(),
            input_ended: false,
            outputs: [
                Output {
                    kind: proto::agent::STDOUT,
                    fd: stdout,
                },
                Output {
                    kind: proto::agent::STDERR,
                    fd: stderr,
                },
            ],
            credit: exec.credit,
            status: None,
            terminal: exec.pty.is_some(),
        })
    }

    /// Where the session waits for room to write its input.
    pub fn wants_write(&self) -> Option<BorrowedFd<'_>> {
        self.stdin
            .as_ref()
            .filter(|_| !self.input.is_empty())
            .map(AsFd::as_fd)
    }

    /// What the session wants to read, while it may send. Nothing is waited for
    /// once the command has ended: `pump` then takes what is there.
    pub fn wants_read(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.outputs
            .iter()
            .filter(|_| self.credit > 0 && self.status.is_none())
            .filter_map(|output| output.fd.as_ref().map(AsFd::as_fd))
    }

    /// There is something to send without waiting for a file descriptor.
    pub fn is_draining(&self) -> bool {
        self.status.is_some() && self.credit > 0
    }

    pub fn add_credit(&mut self, bytes: u32) {
        self.credit = self.credit.saturating_add(bytes as usize);
    }

    pub fn add_input(&mut self, bytes: &[u8]) {
        // A command that closed its input does not care for more.
        if self.stdin.is_some() {
            self.input.extend_from_slice(bytes);
        }
    }

    pub fn end_input(&mut self) {
        self.input_ended = true;
    }

    pub fn ended(&mut self, status: WaitStatus) {
        self.status = Some(status);
    }

    /// Signal the whole process group.
    pub fn signal(&self, number: u32) {
        let signal = i32::try_from(number).ok().and_then(Signal::from_named_raw);
        if let (Some(signal), Some(pid), None) = (signal, Pid::from_raw(self.pid), self.status) {
            // It may have ended this very moment.
            let _ = kill_process_group(pid, signal);
        }
    }

    pub fn resize(&self, window: Window) {
        if let Some(master) = self.stdin.as_ref().filter(|_| self.terminal) {
            let _ = resize(master, window);
        }
    }

    /// Move bytes both ways as far as they go now. Frames go to `out`.
    pub fn pump(&mut self, stream: u32, out: &mut Vec<u8>) {
        self.pump_input(stream, out);
        self.pump_output(stream, out);
    }

    fn pump_input(&mut self, stream: u32, out: &mut Vec<u8>) {
        let mut taken = 0;
        if let Some(stdin) = &self.stdin {
            while taken < self.input.len() {
                match rustix::io::write(stdin, &self.input[taken..]) {
                    Ok(count) => taken += count,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break,
                    Err(_) => {
                        self.stdin = None;
                        taken = self.input.len();
                        break;
                    }
                }
            }
        }
        self.input.drain(..taken);
        if taken > 0 {
            proto::put(
                out,
                proto::agent::STDIN_CREDIT,
                stream,
                &(taken as u32).to_be_bytes(),
            );
        }
        if self.input_ended && self.input.is_empty() {
            self.stdin = None;
        }
    }

    fn pump_output(&mut self, stream: u32, out: &mut Vec<u8>) {
        let mut buffer = [0; proto::CHUNK_BYTES];
        for output in &mut self.outputs {
            while let Some(fd) = &output.fd {
                let room = self.credit.min(buffer.len());
                if room == 0 {
                    return;
                }
                match rustix::io::read(fd, &mut buffer[..room]) {
                    Ok(count) if count > 0 => {
                        self.credit -= count;
                        proto::put(out, output.kind, stream, &buffer[..count]);
                        // One piece a turn keeps a noisy command from starving the others.
                        if self.status.is_none() {
                            break;
                        }
                    }
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) if self.status.is_none() => break,
                    // End of file, a terminal without its slave (EIO), or
                    // nothing more from a command that has ended.
                    _ => output.fd = None,
                }
            }
        }
    }

    /// How the command ended, once all it wrote has been sent.
    pub fn exit(&self) -> Option<Exit> {
        let status = self.status?;
        if self.outputs.iter().any(|output| output.fd.is_some()) {
            return None;
        }
        Some(Exit {
            code: status.exit_status(),
            signal: status.terminating_signal(),
            error: None,
        })
    }
}

fn command(exec: &Exec, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs([
            ("PATH", PATH),
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
            ("USER", "root"),
        ])
        .envs(exec.env.iter().map(|(name, value)| (name, value)))
        .current_dir(exec.cwd.as_deref().unwrap_or("/"));
    command
}

fn resize(master: &OwnedFd, window: Window) -> io::Result<()> {
    let size = Winsize {
        ws_row: window.rows,
        ws_col: window.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(master, size)?)
}

#[cfg(test)]
#[allow(
    non_snake_case,
    clippy::unwrap_used,
    reason = "function__case names; a test may fail"
)]
mod tests {
    use super::*;
    use rustix::process::{WaitOptions, waitpid};

    fn exec(script: &str, stdin: bool, credit: usize) -> Exec {
        Exec {
            argv: ["sh", "-c", script].map(String::from).to_vec(),
            env: Vec::new(),
            cwd: None,
            credit,
            stdin,
            pty: None,
        }
    }

    /// Pump until the end, granting `grant` bytes whenever credit is used up.
    /// Gives the end, the output by kind, and the input that was taken.
    fn finish(session: &mut Session, grant: u32) -> (Exit, Vec<u8>, Vec<u8>, usize) {
        let (mut stdout, mut stderr, mut taken) = (Vec::new(), Vec::new(), 0);
        loop {
            let mut wire = Vec::new();
            session.pump(1, &mut wire);
            while let Some(frame) = proto::take(&mut wire).unwrap() {
                match frame.kind {
                    proto::agent::STDOUT => stdout.extend(frame.payload),
                    proto::agent::STDERR => stderr.extend(frame.payload),
                    _ => taken += frame.number().unwrap() as usize,
                }
            }
            if let Some(exit) = session.exit() {
                return (exit, stdout, stderr, taken);
            }
            if session.credit == 0 {
                session.add_credit(grant);
            }
            if session.status.is_none() {
                let ended = waitpid(Pid::from_raw(session.pid), WaitOptions::NOHANG).unwrap();
                if let Some((_, status)) = ended {
                    session.ended(status);
                }
            }
        }
    }

    #[test]
    fn session__output_and_code() {
        let mut session =
            Session::start(&exec("echo out; echo err >&2; exit 3", false, 1 << 16)).unwrap();
        let (exit, stdout, stderr, _) = finish(&mut session, 1);
        assert_eq!((exit.code, exit.signal), (Some(3), None));
        assert_eq!(
            (stdout.as_slice(), stderr.as_slice()),
            (&b"out\n"[..], &b"err\n"[..])
        );
    }

    #[test]
    fn session__nothing_is_lost_with_little_credit() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i + 1)); done";
        let mut session = Session::start(&exec(script, false, 10)).unwrap();
        let (_, stdout, _, _) = finish(&mut session, 100);
        let expected: String = (0..20000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(stdout).unwrap(), expected);
    }

    #[test]
    fn session__input_is_taken_to_its_end() {
        let mut session = Session::start(&exec("cat", true, 1 << 16)).unwrap();
        let input: Vec<u8> = (0..1_000_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        session.add_input(&input);
        session.end_input();
        let (exit, stdout, _, taken) = finish(&mut session, 1 << 16);
        assert_eq!((exit.code, taken), (Some(0), input.len()));
        assert_eq!(stdout, input);
    }

    #[test]
    fn session__background_does_not_hold_it() {
        let mut session = Session::start(&exec("sleep 100 & echo $!", false, 1 << 16)).unwrap();
        let (exit, stdout, _, _) = finish(&mut session, 1);
        assert_eq!(exit.code, Some(0));
        let left: i32 = String::from_utf8(stdout).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(left).unwrap(), Signal::KILL).unwrap();
    }

    #[test]
    fn session__signal_reaches_the_group() {
        let mut session = Session::start(&exec("sleep 100; echo late", false, 1 << 16)).unwrap();
        session.signal(9);
        let (exit, stdout, _, _) = finish(&mut session, 1);
        assert_eq!((exit.code, exit.signal), (None, Some(9)));
        assert!(stdout.is_empty());
    }

    #[test]
    fn session__no_such_program() {
        let mut exec = exec("", false, 1);
        exec.argv = vec!["/no/such/program".into()];
        assert!(Session::start(&exec).is_err());
        exec.argv.clear();
        assert!(Session::start(&exec).is_err());
    }
}
