// SPDX-License-Identifier: GPL-2.0
//! The machine that is measured in: programs, namespaces, devices, modules.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, setrlimit};
use nix::time::{ClockId, clock_gettime};

/// Runs a command; what it printed.
pub(crate) fn sh(words: &[&str]) -> Result<String> {
    let (program, arguments) = words.split_first().context("no command")?;
    let done = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{}: {}", words.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The same in a network namespace.
pub(crate) fn sh_in(namespace: &str, words: &[&str]) -> Result<String> {
    sh(&[&["ip", "netns", "exec", namespace], words].concat())
}

/// Makes a network namespace.
pub(crate) fn new_namespace(name: &str) -> Result<()> {
    sh(&["ip", "netns", "add", name]).map(|_| ())
}

/// Takes a network namespace away, with all that its store holds. One that was not made need not
/// go.
pub(crate) fn remove_namespace(name: &str) {
    let _ = sh(&["ip", "netns", "del", name]);
}

/// Has most of the memory touched and free. The machine gets each page from its host when it is first
/// touched, which would be part of whatever comes first, and of what keeps most.
pub(crate) fn touch_memory() -> Result<()> {
    let told = fs::read_to_string("/proc/meminfo")?;
    let kib = told
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemAvailable:")?
                .split_whitespace()
                .next()
        })
        .context("MemAvailable is not told")?;
    let mib = kib.parse::<usize>()? / 1024 * 3 / 4;
    let path = "/run/bench-memory";
    fs::create_dir_all(path)?;
    sh(&["mount", "-t", "tmpfs", "-o", "size=80%", "tmpfs", path])?;
    let mut file = fs::File::create(format!("{path}/file"))?;
    let page = vec![1; 1 << 20];
    let written = (0..mib).try_for_each(|_| file.write_all(&page));
    drop(file);
    sh(&["umount", path])?;
    Ok(written?)
}

/// A cable between a device here and one in `namespace` (`None`: here, too).
pub(crate) fn cable(here: &str, there: &str, namespace: Option<&str>, mtu: u32) -> Result<()> {
    let mtu = mtu.to_string();
    let mut words = vec![
        "ip", "link", "add", here, "mtu", &mtu, "type", "veth", "peer", "name", there,
    ];
    words.extend(["mtu", &mtu]);
    words.extend(namespace.iter().flat_map(|name| ["netns", *name]));
    sh(&words)?;
    sh(&["ip", "link", "set", here, "up"])?;
    match namespace {
        Some(namespace) => sh(&["ip", "-n", namespace, "link", "set", there, "up"])?,
        None => sh(&["ip", "link", "set", there, "up"])?,
    };
    Ok(())
}

/// As [`cable`], with devices that hand frames over as those of network cards do: some at a time, from
/// a NAPI poll. `veth` does so with GRO on where they arrive and TSO off where they are sent; else
/// it calls the stack for each frame.
pub(crate) fn polled_cable(
    here: &str,
    there: &str,
    namespace: Option<&str>,
    mtu: u32,
) -> Result<()> {
    cable(here, there, namespace, mtu)?;
    let words = |device| ["ethtool", "-K", device, "tso", "off", "gro", "on"];
    sh(&words(here))?;
    match namespace {
        Some(namespace) => sh_in(namespace, &words(there))?,
        None => sh(&words(there))?,
    };
    Ok(())
}

/// Lets this program have so many files open.
pub(crate) fn allow_open_files(number: u64) -> Result<()> {
    setrlimit(Resource::RLIMIT_NOFILE, number, number).context("cannot raise RLIMIT_NOFILE")
}

/// Number of a device of this namespace.
pub(crate) fn ifindex(device: &str) -> Result<u32> {
    let path = format!("/sys/class/net/{device}/ifindex");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim().parse()?)
}

/// Address of a device as a number, of a namespace if one is named.
pub(crate) fn mac(device: &str, namespace: Option<&str>) -> Result<u64> {
    let path = format!("/sys/class/net/{device}/address");
    let text = match namespace {
        Some(namespace) => sh_in(namespace, &["cat", &path])?,
        None => fs::read_to_string(&path)?,
    };
    let digits: String = text.trim().split(':').collect();
    Ok(u64::from_str_radix(&digits, 16)?)
}

/// Loads feed.ko unless it is loaded.
pub(crate) fn load_feed() -> Result<()> {
    if !fs::exists("/sys/module/feed")? {
        sh(&["insmod", "/lib/feed/feed.ko"])?;
    }
    Ok(())
}

/// One run of feed_bench.ko: what it says, as JSON.
pub(crate) fn bench_module(parameters: &[(&str, u64)]) -> Result<serde_json::Value> {
    if fs::exists("/sys/module/feed_bench")? {
        // It takes orders at the moment, see generator.rs.
        sh(&["rmmod", "feed_bench"])?;
    }
    let mut words = vec!["insmod".to_owned(), "/lib/feed/feed_bench.ko".to_owned()];
    words.extend(
        parameters
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    sh(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    sh(&["rmmod", "feed_bench"])?;
    let log = sh(&["dmesg"])?;
    let said = log
        .lines()
        .rev()
        .find_map(|line| line.split_once("feed_bench: {"));
    let (_, said) = said.ok_or_else(|| anyhow!("feed_bench.ko has said nothing"))?;
    Ok(serde_json::from_str(&format!("{{{said}"))?)
}

/// Model name of the processor.
pub(crate) fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = |line: &str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    };
    info.lines()
        .find_map(named)
        .unwrap_or_else(|| "unknown".into())
}

/// CPU time of this program and of what the kernel did in its name, softirqs of its calls included.
pub(crate) fn cpu_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// Release of the kernel.
pub(crate) fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}

/// Runs `call` in a network namespace. Sockets that it makes stay there.
pub(crate) fn inside<T>(namespace: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let back = fs::File::open("/proc/thread-self/ns/net")?;
    let there = fs::File::open(format!("/run/netns/{namespace}"))?;
    setns(there, CloneFlags::CLONE_NEWNET)?;
    let done = call();
    setns(back, CloneFlags::CLONE_NEWNET)?;
    done
}
