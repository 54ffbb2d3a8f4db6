# SPDX-License-Identifier: GPL-2.0
"""From a topology to a running daemon: images, accelerator, machine specs."""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import LabError, image
from .client import lab_directory, running_labs
from .machine import MachineSpec, QemuMachine
from .paths import QEMU_DIR, Kernel, paths, stock_kernel
from .topology import Topology

BEDS = ("stock", "uml-debug", "uml")

# An emulated machine says hello within seconds; one that hangs in KVM never
# does. Twice the slowest boot seen.
PROBE_SECONDS = 10.0

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def accelerator(kernel: Kernel, say: Callable[[str], None]) -> str:
    """KVM where a machine really boots in it, else TCG. Opening /dev/kvm
    proves nothing: on some hosts guests hang. Asked once per boot of the host."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = paths().lab_cache / f"accelerator-{boot_id}-{os.getuid()}"
    if not verdict.exists():
        for old in verdict.parent.glob("accelerator-*"):
            old.unlink(missing_ok=True)
        with image.made_once(verdict) as made:
            if made:
                say(f"trying KVM, at most {PROBE_SECONDS:.0f} s (once per boot of this host)")
                works = asyncio.run(_boots(kernel))
                made.write_text("kvm" if works else "tcg")
    return verdict.read_text()


async def _boots(kernel: Kernel) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        initrd = directory / "initrd"
        image.initramfs(kernel, directory / "none", initrd)
        spec = MachineSpec("probe", "stock", str(kernel.vmlinuz), str(initrd), str(image.base_image(kernel)),
                           mem=256, cpus=1, accel="kvm", boot_timeout=PROBE_SECONDS)
        machine = QemuMachine(spec, directory, lambda: None, lambda *_: None, [])
        try:
            await machine.power_on()
            return True
        except LabError:
            return False
        finally:
            await machine.power_off()


def check_host() -> None:
    if not shutil.which("qemu-system-x86_64"):
        raise LabError("qemu-system-x86_64 is missing; run: qemu/setup host")


def uml_kernel(bed: str) -> Path:
    kernel = paths().cache / bed / "linux"
    if not kernel.exists():
        raise LabError(f"no User-Mode Linux at {kernel}; run: qemu/setup {bed}")
    return kernel


def virtiofsd() -> list[str]:
    """The file server of the trixie root, run by the root's own loader: the
    host need not have one, nor the libraries."""
    root = paths().root
    program = root / "usr" / "libexec" / "virtiofsd"
    if not program.exists():
        raise LabError("--share needs virtiofsd in the Debian root; run: qemu/setup root")
    loader = root / "lib64" / "ld-linux-x86-64.so.2"
    libraries = root / "usr" / "lib" / "x86_64-linux-gnu"
    return [str(loader), "--library-path", str(libraries), str(program),
            "--sandbox", "none", "--cache", "auto", "--log-level", "error"]


def interfaces(topology: Topology, node: str) -> list[dict]:
    return [{"link": link, "end": end, "name": f"eth{index}", "to": neighbour,
             "mac": topology.mac(link, end), "mtu": topology.links[link].mtu}
            for index, (link, end, neighbour) in enumerate(topology.ends(node))]


def write_config(name: str, topology: Topology, bed: str, say: Callable[[str], None], *,
                 shares: list[str], release: str | None, boot_timeout: float) -> Path:
    """Fill the lab's directory with all that its daemon needs."""
    if not NAME.fullmatch(name):
        raise LabError(f"{name!r} cannot be the name of a lab")
    directory = lab_directory(name)
    if name in running_labs():
        raise LabError(f"lab {name} is running; end it with: lab --name {name} down")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    stage = paths().stage(bed)
    initrd = directory / "initrd"
    if bed == "stock":
        check_host()
        kernel = stock_kernel(release)
        booted, root = kernel.vmlinuz, image.base_image(kernel)
        accel = accelerator(kernel, say)
        staged = image.initramfs(kernel, stage, initrd)
        what = f"{kernel.release} in QEMU with {accel.upper()}"
    else:
        booted, root, accel = uml_kernel(bed), "/", "uml"
        staged = image.initramfs(None, stage, initrd)
        what = f"User-Mode Linux, {bed}"
    say(f"{what}; {staged} files from {stage}" if staged else f"{what}; nothing staged in {stage}")
    if topology.load and not staged:
        raise LabError(f"the topology loads {topology.load[0].module}, but {stage} is empty; run: make stage")
    machines = [MachineSpec(
        name=node.name, bed=bed, kernel=str(booted), initrd=str(initrd), root=str(root),
        mem=node.mem, cpus=node.cpus, accel=accel, shares=shares,
        load=[{"module": load.module, "parameters": load.parameters} for load in topology.load],
        interfaces=interfaces(topology, node.name), virtiofsd=virtiofsd() if shares and bed == "stock" else [],
        boot_timeout=boot_timeout).to_json() for node in topology.nodes]
    config = {"name": name, "bed": bed, "accel": accel, "topology": topology.to_json(), "machines": machines}
    (directory / "lab.json").write_text(json.dumps(config, indent=1))
    return directory


def start_daemon(directory: Path, say: Callable[[str], None], *, tethered: bool) -> socket.socket:
    """Start the daemon and wait until the lab is up. The socket that is
    returned ties a tethered lab to this process: when it closes, the lab ends."""
    ours, theirs = socket.socketpair()
    with theirs, open(directory / "daemon.log", "wb") as log:
        environment = os.environ | {"PYTHONPATH": str(QEMU_DIR)}
        subprocess.Popen(
            [sys.executable, "-m", "lablib.daemon", directory, str(theirs.fileno()),
             "tethered" if tethered else "free"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs.fileno()],
            start_new_session=True, cwd="/", env=environment)
    with ours.makefile("r") as messages:
        for line in messages:
            message = json.loads(line)
            if "say" in message:
                say(message["say"])
            elif "error" in message:
                raise LabError(message["error"])
            else:
                return ours
    said = (directory / "daemon.log").read_text().strip()
    raise LabError(f"the lab's daemon ended: {said.splitlines()[-1] if said else 'no reason given'}")
