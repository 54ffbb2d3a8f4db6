# SPDX-License-Identifier: GPL-2.0
"""Checks on machines that the demo makes on its way."""

import hashlib
import json
import re
from pathlib import Path

from . import Failed
from .lab import Lab

# The lab's agent is the machine's PID 1; `ps` itself is the one other program.
ALLOWED = {"init", "ps"}


def only_agent_runs(lab: Lab, node: str) -> str:
    """Nothing runs in a node but its init and kernel threads."""
    rows = [row.split() for row in lab.run(node, "ps", "-eo", "pid,ppid,comm", "--no-headers").splitlines()]
    programs = {comm for pid, ppid, comm in rows if pid != "2" and ppid != "2"}
    if not programs <= ALLOWED:
        raise Failed(f"{node} runs programs: {', '.join(sorted(programs - ALLOWED))}")
    threads = sum(1 for pid, ppid, _ in rows if pid == "2" or ppid == "2")
    return f"{node} runs init, the lab's agent, and {threads} kernel threads; no other program"


def memory(lab: Lab, node: str) -> dict:
    """KiB of /proc/meminfo."""
    text = lab.run(node, "cat", "/proc/meminfo")
    return {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+)", text, re.M)}


def store_is_page_cache(before: dict, after: dict, stored: int) -> str:
    """Storing X raises Cached by about X, and kernel memory by less than a tenth of it."""
    cached = (after["Cached"] - before["Cached"]) * 1024
    kernel = sum((after[key] - before[key]) * 1024 for key in ("Slab", "VmallocUsed"))
    # Beside payloads: leaves, tree nodes, and segments that are kept empty and ready.
    grew = f"stored {mib(stored)}: Cached +{mib(cached)}, Slab + VmallocUsed {mib(kernel, sign=True)}"
    if stored < MEASURABLE:
        return f"{grew} (too little to judge by)"
    if not stored * 0.95 <= cached <= stored * 1.25 + (4 << 20):
        raise Failed(f"stored {mib(stored)}, but Cached grew by {mib(cached)}")
    if kernel >= stored * 0.1:
        raise Failed(f"stored {mib(stored)}, and Slab + VmallocUsed grew by {mib(kernel)}")
    return grew


def mib(count: float, sign: bool = False) -> str:
    return f"{count / (1 << 20):{'+' if sign else ''}.1f} MiB"


# Below this, what the kernel does beside drowns the figures.
MEASURABLE = 8 << 20

TRACE = "/sys/kernel/tracing"


def watch_verify(lab: Lab, node: str) -> None:
    lab.run(node, "sh", "-c", f"echo stacktrace:3 >{TRACE}/events/feed/feed_verify/trigger && echo 1 >{TRACE}/events/feed/feed_verify/enable")


def verify_in_softirq(lab: Lab, node: str) -> str:
    """A stack of the verify tracepoint leads to softirq."""
    text = lab.run(node, "cat", f"{TRACE}/trace")
    stacks = re.split(r"<stack trace>", text)[1:]
    found = [stack for stack in stacks if re.search(r"handle_softirqs|__do_softirq|net_rx_action|bh_worker", stack)]
    if not found:
        raise Failed(f"no stack of feed_verify on {node} leads to softirq:\n{text[-2000:]}")
    lines = re.findall(r"=> (\S+)", found[0])
    way = [line for line in lines if re.search(r"softirq|net_rx|bh_worker|backlog|napi|__netif|feed", line)]
    return f"{node} checked in softirq: … {' ← '.join(shorten(line) for line in way[:6])}"


def shorten(symbol: str) -> str:
    """The last words of a mangled Rust name."""
    words = re.findall(r"\d+([a-z_]{3,})", symbol) if symbol.startswith("_R") else []
    return "::".join(words[-2:]) or symbol


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kernel_is_unmodified(lab: Lab, node: str, kernels: Path) -> str:
    """The machine runs the package's kernel; its build is in the image that was hashed."""
    release = lab.run(node, "uname", "-r").strip()
    version = lab.run(node, "uname", "-v").strip()
    image = kernels / release / "vmlinuz"
    facts = dict(re.findall(r"^(\w+)=['\"]?([^'\"\n]*)", (kernels / release / "facts").read_text(), re.M))
    recorded = next((value for value in facts.values() if re.fullmatch(r"[0-9a-f]{64}", value)), None)
    if recorded != sha256(image):
        raise Failed(f"{image} is not the package's: its sha256 differs from the one recorded")
    if version.encode() not in image.read_bytes():
        raise Failed(f"{node} runs a kernel that {image} does not hold: {version}")
    return f"kernel {release}, the package's own (sha256 {recorded[:16]}…)"


def module_is_ours(lab: Lab, node: str, module: Path) -> str:
    """The module in the machine is the one just built."""
    there = lab.run(node, "sha256sum", "/lib/feed/feed.ko").split()[0]
    if there != sha256(module):
        raise Failed(f"{node} has another module than {module}")
    lab.run(node, "grep", "-q", "^feed ", "/proc/modules")
    return f"module feed.ko, the one just built (sha256 {there[:16]}…)"


def reads(text: str) -> list[dict]:
    """The lines of feedctl cat --stats that are about entries."""
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [row for row in rows if "seq" in row]


def all_hops(rows: list[dict], hops: int, who: str) -> str:
    wrong = [row for row in rows if row["hops"] != hops and row["bytes"] > 0]
    if wrong or not rows:
        raise Failed(f"{who}: {len(wrong)} of {len(rows)} entries say other hops than {hops}, the first: {wrong[:1]}")
    return f"every cmsg of {who} says hops = {hops} ({len(rows)} entries)"
