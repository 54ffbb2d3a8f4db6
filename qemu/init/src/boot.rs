// SPDX-License-Identifier: GPL-2.0

//! From the kernel's first process to an assembled root.
//!
//! The root is an overlay of three layers: a tmpfs that takes all writes, the
//! project's own files from the initramfs (`/stage`), and a read-only Debian.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::mount::{MountFlags, mount, mount_move};
use rustix::process::{chdir, chroot};

use crate::config::{CommandLine, Root};
use crate::modules;

pub struct Machine {
    pub port: String,
}

pub fn boot() -> io::Result<Machine> {
    make("devtmpfs", "dev", "/dev", MountFlags::empty(), "")?;
    make("proc", "proc", "/proc", MountFlags::empty(), "")?;
    make("sysfs", "sys", "/sys", MountFlags::empty(), "")?;
    let line = CommandLine::read()?;
    modules::insert_early()?;
    assemble(&line.root)?;
    late_mounts()?;
    // IFF_UP; the kernel keeps the flags that are not for us to change.
    fs::write("/sys/class/net/lo/flags", "0x1")?;
    Ok(Machine { port: line.port })
}

/// Mount one file system, making its directory.
pub fn make(
    fstype: &str,
    source: &str,
    target: &str,
    flags: MountFlags,
    options: &str,
) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let options = CString::new(options)?;
    mount(source, target, fstype, flags, Some(options.as_c_str())).map_err(|error| {
        io::Error::other(format!("mount {source} on {target} as {fstype}: {error}"))
    })
}

fn assemble(root: &Root) -> io::Result<()> {
    match root {
        Root::Block(device) => {
            wait_for(device)?;
            make("ext4", device, "/debian", MountFlags::RDONLY, "")?;
        }
        Root::Hostfs(path) => make("hostfs", "debian", "/debian", MountFlags::RDONLY, path)?,
    }
    make(
        "tmpfs",
        "written",
        "/written",
        MountFlags::empty(),
        "mode=755",
    )?;
    for dir in ["/written/upper", "/written/work", "/stage"] {
        fs::create_dir_all(dir)?;
    }
    let layers = "lowerdir=/stage:/debian,upperdir=/written/upper,workdir=/written/work";
    make("overlay", "root", "/newroot", MountFlags::empty(), layers)?;

    for dir in ["/dev", "/proc", "/sys"] {
        let target = format!("/newroot{dir}");
        fs::create_dir_all(&target)?;
        mount_move(dir, &target)?;
    }
    chdir("/newroot")?;
    mount_move(".", "/")?;
    chroot(".")?;
    chdir("/")?;
    Ok(())
}

/// Probing a disk ends some time after its driver was inserted.
fn wait_for(device: &str) -> io::Result<()> {
    for _ in 0..1000 {
        if Path::new(device).exists() {
            return Ok(());
        }
        sleep(Duration::from_millis(5));
    }
    Err(io::Error::other(format!("{device} did not appear")))
}

fn late_mounts() -> io::Result<()> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    make("tmpfs", "run", "/run", safe, "mode=755")?;
    make("tmpfs", "tmp", "/tmp", safe, "mode=1777")?;
    make("tmpfs", "shm", "/dev/shm", safe, "mode=1777")?;
    make(
        "devpts",
        "devpts",
        "/dev/pts",
        MountFlags::empty(),
        "ptmxmode=666,mode=620",
    )?;
    // What a small kernel lacks is missed by the test that needs it, not here.
    for (fstype, target) in [
        ("tracefs", "/sys/kernel/tracing"),
        ("debugfs", "/sys/kernel/debug"),
        ("securityfs", "/sys/kernel/security"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("bpf", "/sys/fs/bpf"),
    ] {
        if Path::new(target).is_dir() {
            let _ = make(fstype, fstype, target, safe, "");
        }
    }
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        if !Path::new(link).exists() {
            std::os::unix::fs::symlink(target, link)?;
        }
    }
    Ok(())
}
