// SPDX-License-Identifier: GPL-2.0

//! PID 1 of a lab machine, and the agent that the host talks to.
//!
//! The machines run this program and kernel threads, nothing else: no udev,
//! no getty, no shell. It assembles the root file system, then serves the host
//! over one byte channel until it is told to power off.
//!
//! ```text
//! kernel -> boot (mounts, modules, root) -> agent (configure, exec, power off)
//! ```

mod agent;
mod boot;
mod config;
mod modules;
mod port;
mod proto;
mod reaper;
mod session;

use std::process::ExitCode;

use rustix::system::{RebootCommand, reboot};

fn main() -> ExitCode {
    if rustix::process::getpid().as_raw_nonzero().get() != 1 {
        eprintln!("lab-init: made to be PID 1 of a lab machine (see qemu/lab)");
        return ExitCode::FAILURE;
    }
    let Err(error) = run();
    // The host sees these lines on the console and the machine go away, which
    // is all that can be said without an agent. PID 1 must not return: the
    // kernel would panic and bury the reason.
    eprintln!("lab-init: {error}");
    stop();
    ExitCode::FAILURE
}

fn run() -> Result<std::convert::Infallible, Box<dyn std::error::Error>> {
    let machine = boot::boot()?;
    let port = port::open(&machine.port)?;
    agent::serve(port)?;
    stop();
    Err("the kernel refused to power off".into())
}

/// Power off. Dirty data only exists in tmpfs, but a share may be written to.
fn stop() {
    rustix::fs::sync();
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        eprintln!("lab-init: power off: {error}");
    }
}
