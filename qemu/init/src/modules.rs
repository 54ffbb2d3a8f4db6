// SPDX-License-Identifier: GPL-2.0

//! Kernel modules: the few that are needed to reach the root, in the
//! initramfs, and those that the topology asks for.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::system::finit_module;

/// Insert what the initramfs brings, in the order the host wrote down.
pub fn insert_early() -> io::Result<()> {
    // User-Mode Linux has everything built in and brings no list.
    let Ok(order) = fs::read_to_string("/modules/order") else {
        return Ok(());
    };
    for name in order.lines() {
        insert(&Path::new("/modules").join(name), "")?;
    }
    Ok(())
}

/// Where a module of the project lies in the assembled root.
pub fn find(module: &str) -> io::Result<PathBuf> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let release = release.trim();
    [
        format!("/lib/{module}/{module}.ko"),
        format!("/lib/modules/{release}/updates/{module}.ko"),
        format!("/lib/modules/{release}/extra/{module}.ko"),
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.exists())
    .ok_or_else(|| io::Error::other(format!("no {module}.ko in this machine; was it staged?")))
}

pub fn insert(path: &Path, parameters: &str) -> io::Result<()> {
    let failed = |error: io::Error| {
        io::Error::new(error.kind(), format!("insert {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    let parameters = CString::new(parameters)?;
    match finit_module(file, &parameters, 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}
