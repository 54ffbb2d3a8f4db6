// SPDX-License-Identifier: GPL-2.0

//! The byte channel to the host: a virtio-serial port, or a serial line of
//! User-Mode Linux.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, isatty, tcgetattr, tcsetattr};

pub struct Port {
    pub fd: OwnedFd,
    pub is_line: bool,
}

/// Open the port called `name`: a device path, or a virtio port's own name.
pub fn open(name: &str) -> io::Result<Port> {
    let path = if name.starts_with('/') {
        PathBuf::from(name)
    } else {
        find(name)?
    };
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let fd = rustix::fs::open(&path, flags, Mode::empty())
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    let is_line = isatty(&fd);
    if is_line {
        let mut termios = tcgetattr(&fd)?;
        termios.make_raw();
        tcsetattr(&fd, OptionalActions::Now, &termios)?;
    }
    Ok(Port { fd, is_line })
}

/// The name of a virtio port reaches sysfs by a message from the host, a
/// moment after the port itself.
fn find(name: &str) -> io::Result<PathBuf> {
    for _ in 0..500 {
        for entry in fs::read_dir("/sys/class/virtio-ports")
            .into_iter()
            .flatten()
        {
            let entry = entry?;
            let said = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if said.trim() == name {
                return Ok(PathBuf::from("/dev").join(entry.file_name()));
            }
        }
        sleep(Duration::from_millis(10));
    }
    Err(io::Error::other(format!("no virtio port called {name}")))
}
