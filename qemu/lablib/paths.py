# SPDX-License-Identifier: GPL-2.0
"""Where things lie. The shell's paths.sh decides; this only asks it."""

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import LabError

QEMU_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Paths:
    checkout: Path
    cache: Path
    root: Path
    kernels: Path

    @property
    def lab_cache(self) -> Path:
        """What the lab itself makes once: images, PID 1, the KVM verdict."""
        directory = self.cache / "lab"
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def stage(self, bed: str) -> Path:
        """The project's own build products for a bed, laid out as in a root."""
        chosen = os.environ.get("AF_FEED_STAGE")
        return Path(chosen) if chosen else self.checkout / "build" / "stage" / bed


@cache
def paths() -> Paths:
    script = '. "$1" && printf "%s\\n" "$FEED_CHECKOUT" "$FEED_CACHE" "$FEED_ROOT" "$FEED_KERNELS"'
    asked = subprocess.run(
        ["bash", "-euc", script, "bash", QEMU_DIR / "lib" / "paths.sh"],
        capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise LabError(f"qemu/lib/paths.sh failed: {asked.stderr.strip()}")
    return Paths(*map(Path, asked.stdout.splitlines()))


def state_root() -> Path:
    """Directory of all labs of this user. In /tmp and not under the cache: a
    lab does not outlive a boot, and sockets want short paths."""
    directory = Path(os.environ.get("AF_FEED_LABS") or f"/tmp/af_feed-labs-{os.getuid()}")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise LabError(f"{directory} belongs to somebody else; set AF_FEED_LABS to a directory of yours")
    return directory


@dataclass(frozen=True)
class Kernel:
    """A stock kernel as qemu/setup left it."""
    release: str
    vmlinuz: Path
    sha256: str
    modules: Path


def stock_kernel(release: str | None) -> Kernel:
    where = paths()
    directory = where.kernels / (release or "default")
    facts = directory / "facts"
    if not facts.exists():
        raise LabError(f"no kernel {release or ''} in {where.kernels}; run: qemu/setup".replace("  ", " "))
    values = dict(line.split("=", 1) for line in facts.read_text().splitlines() if "=" in line)
    name = values["release"].strip("'")
    modules = where.root / "usr" / "lib" / "modules" / name
    if not modules.is_dir():
        raise LabError(f"{modules} is missing; run: qemu/setup kernels")
    return Kernel(name, directory / "vmlinuz", values["vmlinuz_sha256"].strip("'"), modules)
