// SPDX-License-Identifier: GPL-2.0
//! Programs of others that users could pick instead: nginx, iroh-blobs, hypercore. They lie in a
//! Debian root of their own, which qemu/setup makes and which is entered for each of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::line::Sample;
use crate::machine::{inside, sh, sh_in};
use crate::transfer::sample;
use crate::wire::{End, FAR, NEAR};

/// What programs in the root need of the machine.
const SHOWN: [&str; 2] = ["dev", "proc"];
/// Where they may write, and how much.
const SCRATCH: &str = "tmp";
const SCRATCH_SIZE: &str = "size=1g";

/// The root, as long as it is in use.
pub(crate) struct Root {
    path: PathBuf,
}

impl Root {
    /// Makes a root at this place ready to be entered.
    pub(crate) fn enter(path: Option<&Path>) -> Result<Root> {
        let path = path.context("where the rivals are was not said: --rivals")?;
        let root = Root { path: path.into() };
        for shown in SHOWN {
            let here = format!("/{shown}");
            sh(&["mount", "--rbind", &here, &root.place(shown)?])?;
        }
        let scratch = root.place(SCRATCH)?;
        let options = ["-t", "tmpfs", "-o", SCRATCH_SIZE, "tmpfs", &scratch];
        sh(&[&["mount"], &options[..]].concat())?;
        Ok(root)
    }

    fn place(&self, name: &str) -> Result<String> {
        let place = self.path.join(name);
        let place = place.to_str().context("the rivals' path is no text")?;
        Ok(place.into())
    }

    /// A file that programs in the root find as /tmp/`name`.
    fn write(&self, name: &str, text: &[u8]) -> Result<()> {
        Ok(fs::write(self.path.join(SCRATCH).join(name), text)?)
    }

    /// Runs a command in the root, at an end of a wire; its words are seen from inside.
    fn command(&self, end: &End, words: &[&str]) -> Result<String> {
        let root = self.place("")?;
        sh_in(end.namespace, &[&["chroot", &root], words].concat())
    }

    /// Starts a program in the root, at an end of a wire if one is named.
    fn start(&self, end: Option<&End>, words: &[&str]) -> Result<Program> {
        let spawn = || {
            Command::new("chroot")
                .arg(&self.path)
                .args(words)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .with_context(|| format!("cannot run {}", words.join(" ")))
        };
        Program::new(match end {
            Some(end) => inside(end.namespace, spawn)?,
            None => spawn()?,
        })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for name in SHOWN.into_iter().chain([SCRATCH]) {
            // What was not mounted need not be unmounted.
            let unmounted = self
                .place(name)
                .map(|place| sh(&["umount", "--lazy", &place]));
            drop(unmounted);
        }
    }
}

/// A program that is told lines and says lines, until its input ends.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn new(mut child: Child) -> Result<Program> {
        let input = child.stdin.take();
        let output = child.stdout.take().context("a program without output")?;
        Ok(Program {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn tell(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().context("a program without input")?;
        input.write_all(bytes)?;
        Ok(input.flush()?)
    }

    /// The words of the next line that it says.
    fn hear(&mut self) -> Result<Vec<String>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a rival has ended early");
        Ok(line.split_whitespace().map(String::from).collect())
    }

    /// The words behind "ready", which it says when it is.
    fn ready(&mut self) -> Result<Vec<String>> {
        let mut words = self.hear()?;
        ensure!(
            !words.is_empty() && words.remove(0) == "ready",
            "a rival is not ready"
        );
        Ok(words)
    }

    /// CPU time that it has taken so far.
    fn cpu(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.child.id().try_into()?))?;
        Ok(clock_gettime(clock)?.into())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.input = None;
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two programs over a wire: one has the content, the other gets it, again and again.
pub(crate) struct Transfer {
    _server: Program,
    reader: Program,
    bytes: usize,
    digest: String,
}

impl Transfer {
    /// iroh-blobs: blobs of `piece` bytes each.
    pub(crate) fn iroh(root: &Root, mtu: u32, content: &[u8], piece: usize) -> Result<Transfer> {
        const PROGRAM: &str = "/opt/rivals/feed-rival-iroh";
        let (mtu, piece, bytes) = (
            mtu.to_string(),
            piece.to_string(),
            content.len().to_string(),
        );
        let words = [PROGRAM, "serve", FAR.address, &mtu, &piece, &bytes];
        let server = root.start(Some(&FAR), &words)?;
        Transfer::new(
            root,
            server,
            content,
            &[PROGRAM, "fetch", NEAR.address, &mtu],
        )
    }

    /// hypercore: blocks of `piece` bytes each.
    pub(crate) fn hypercore(root: &Root, content: &[u8], piece: usize) -> Result<Transfer> {
        let (piece, bytes) = (piece.to_string(), content.len().to_string());
        let words = ["serve", "/tmp/hypercore-serve", FAR.address, &piece, &bytes];
        let server = root.start(Some(&FAR), &[&HYPERCORE[..], &words].concat())?;
        let words = ["fetch", "/tmp/hypercore-fetch", FAR.address];
        Transfer::new(root, server, content, &[&HYPERCORE[..], &words].concat())
    }

    /// What the server says of the content is what the reader is started with.
    fn new(root: &Root, mut server: Program, content: &[u8], fetch: &[&str]) -> Result<Transfer> {
        server.tell(content)?;
        let mut said = server.ready()?;
        let digest = said.pop().context("no digest was said")?;
        let mut words = fetch.to_vec();
        words.extend(said.iter().map(String::as_str));
        let mut reader = root.start(Some(&NEAR), &words)?;
        reader.ready()?;
        let mut transfer = Transfer {
            _server: server,
            reader,
            bytes: content.len(),
            digest,
        };
        // Connections find the link's frames, and code is compiled when it has run often.
        transfer.run()?;
        Ok(transfer)
    }

    /// All of the content once; it has come as it was sent.
    pub(crate) fn run(&mut self) -> Result<Sample> {
        self.reader.tell(b"again\n")?;
        Ok(sample(
            self.bytes,
            came(&self.reader.hear()?, self.bytes, &self.digest)?,
        ))
    }
}

/// How long it took, if these words say that it was all of this.
fn came(words: &[String], bytes: usize, digest: &str) -> Result<Duration> {
    let [seconds, got, found] = words else {
        bail!("a rival said: {}", words.join(" "));
    };
    ensure!(
        *got == bytes.to_string() && found == digest,
        "a rival got other bytes than were sent"
    );
    Ok(Duration::from_secs_f64(seconds.parse()?))
}

const HYPERCORE: [&str; 2] = ["node", "/opt/rivals/hypercore/rival.js"];

/// A program that appends to hypercores.
pub(crate) struct Appender(Program);

impl Appender {
    pub(crate) fn new(root: &Root) -> Result<Appender> {
        let words = [&HYPERCORE[..], &["append", "/tmp/hypercore-append"]].concat();
        let mut program = root.start(None, &words)?;
        program.ready()?;
        Ok(Appender(program))
    }

    /// Seconds for one of `count` blocks of `size` bytes, `batch` in a call.
    pub(crate) fn append(&mut self, size: usize, batch: usize, count: usize) -> Result<f64> {
        self.0
            .tell(format!("{size} {batch} {count}\n").as_bytes())?;
        let words = self.0.hear()?;
        let seconds: f64 = words.first().context("nothing was said")?.parse()?;
        Ok(seconds / count as f64)
    }
}

/// nginx at the far end of a wire, with one page of so many bytes, and wrk, which asks
/// for it from the near end over connections that stay.
pub(crate) struct Web {
    server: Program,
    root: Root,
}

impl Web {
    pub(crate) fn new(root: Root, bytes: usize) -> Result<Web> {
        root.write("page", &vec![b'x'; bytes])?;
        root.write(
            "nginx.conf",
            NGINX.replace("ADDRESS", FAR.address).as_bytes(),
        )?;
        let words = ["nginx", "-p", "/tmp", "-c", "/tmp/nginx.conf"];
        let server = root.start(Some(&FAR), &words)?;
        // It listens a little later than it starts.
        let look = || Ok(TcpStream::connect((FAR.address, PORT))?);
        for _ in 0..TRIES {
            if inside(NEAR.namespace, look).is_ok() {
                return Ok(Web { server, root });
            }
            sleep(Duration::from_millis(20));
        }
        bail!("nginx does not listen")
    }

    /// Hits for `seconds`: all of them in a second, and in a second of nginx's own CPU time.
    pub(crate) fn hits(&self, seconds: u32) -> Result<(f64, f64)> {
        let (time, url) = (
            format!("-d{seconds}s"),
            format!("http://{}/page", FAR.address),
        );
        let before = self.server.cpu()?;
        let said = self
            .root
            .command(&NEAR, &["wrk", "-t1", "-c32", &time, &url])?;
        let cpu = (self.server.cpu()? - before).as_secs_f64();
        ensure!(
            !said.contains("Non-2xx") && !said.contains("Socket errors"),
            "wrk: {said}"
        );
        // "123 requests in 1.10s, 145KB read"
        let line = said.lines().find(|line| line.contains(" requests in "));
        let hits = line
            .and_then(|line| line.split_whitespace().next())
            .context("no hits")?;
        let rate = said
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:"));
        let rate: f64 = rate.context("wrk has said no rate")?.trim().parse()?;
        Ok((rate, hits.parse::<f64>()? / cpu))
    }
}

const PORT: u16 = 80;
/// How often nginx is looked for.
const TRIES: u32 = 500;

/// One process, which finds its page in its own memory and writes no log. An ordinary user's
/// namespace has no other user than root.
const NGINX: &str = "
user root root;
daemon off;
master_process off;
pid /tmp/nginx.pid;
error_log stderr error;
events { worker_connections 256; }
http {
	access_log off;
	sendfile on;
	keepalive_requests 1000000000;
	open_file_cache max=16;
	client_body_temp_path /tmp/body;
	proxy_temp_path /tmp/proxy;
	fastcgi_temp_path /tmp/fastcgi;
	uwsgi_temp_path /tmp/uwsgi;
	scgi_temp_path /tmp/scgi;
	server {
		listen ADDRESS:80;
		root /tmp;
	}
}
";
