# SPDX-License-Identifier: GPL-2.0
"""One machine: a QEMU or User-Mode Linux process, its console, its agent."""

import asyncio
import ctypes
import json
import os
import re
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import LabError, frames, tsc
from .agent import AgentChannel
from .paths import QEMU_DIR
from .splat import Scanner, Splat

PR_SET_PDEATHSIG = 1

# TCG on a busy host is slow, not stuck: reports of stalls only count when they
# could not be the host's fault.
PATIENT = ("rcupdate.rcu_cpu_stall_timeout=180 rcupdate.rcu_exp_cpu_stall_timeout=0 "
           "sysctl.kernel.watchdog_thresh=60 sysctl.kernel.hung_task_timeout_secs=300 "
           "workqueue.watchdog_thresh=120")

# The kernel patches its own code while it boots. Now and then, once in some hundred
# boots with two processors on a busy host, the emulator runs a breakpoint that the
# kernel has put there for that and taken away again; no processor would.
EMULATORS_FAULT = re.compile(r"\bOops: int3: ")

# Where the kernel has KUnit: a test may run suites, by debugfs; none runs by itself.
KUNIT = "kunit.enable=1 kunit.autorun=0"


@dataclass
class MachineSpec:
    """All that is needed to start a machine, as plain values."""
    name: str
    bed: str
    kernel: str
    initrd: str
    root: str
    mem: int
    cpus: int
    accel: str
    shares: list[str] = field(default_factory=list)
    load: list[dict] = field(default_factory=list)
    # Of each interface: link, end, name, mac, mtu.
    interfaces: list[dict] = field(default_factory=list)
    virtiofsd: list[str] = field(default_factory=list)
    boot_timeout: float = 120.0

    to_json = asdict


def die_with_parent() -> None:
    """Between fork and exec: a machine never outlives its daemon."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Monitor(asyncio.Protocol):
    """As much of QEMU's monitor (QMP) as it takes to pull and plug cables."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._input = b""
        self._wanted: dict[str, bool] = {}
        self._ready = False

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, _error):
        self._transport = None

    def data_received(self, data):
        *lines, self._input = (self._input + data).split(b"\n")
        for line in filter(None, map(bytes.strip, lines)):
            message = json.loads(line)
            if "QMP" in message:
                self._say("qmp_capabilities", {})
            elif "return" in message and not self._ready:
                self._ready = True
                for name, up in self._wanted.items():
                    self._say("set_link", {"name": name, "up": up})

    def carrier(self, name: str, up: bool) -> None:
        """Set what the guest sees of a cable."""
        if self._wanted.get(name, True) != up:
            self._wanted[name] = up
            if self._ready:
                self._say("set_link", {"name": name, "up": up})

    def _say(self, command: str, arguments: dict) -> None:
        if self._transport:
            message = {"execute": command, "arguments": arguments}
            self._transport.write(json.dumps(message).encode() + b"\n")


class Machine:
    """State is off, booting, on, or crashed (ended without being asked to)."""

    def __init__(self, spec: MachineSpec, directory: Path, on_change: Callable[[], None],
                 on_splat: Callable[[str, Splat], None]):
        self.spec = spec
        self.state = "off"
        self.boots = 0
        self.boot_seconds: float | None = None
        self.agent: AgentChannel | None = None
        self.scanner = Scanner()
        # What was seen while it boots, and is told when it has.
        self._untold: list[Splat] = []
        self.console = directory / f"{spec.name}.console"
        self._errors = directory / f"{spec.name}.errors"
        self._on_change = on_change
        self._on_splat = on_splat
        self._process: asyncio.subprocess.Process | None = None
        self._helpers: list[asyncio.subprocess.Process] = []
        self._watcher: asyncio.Task | None = None

    @property
    def splats(self) -> list[Splat]:
        return self.scanner.splats

    async def ended(self, patience: float) -> None:
        """Wait until the process is gone and its console read to the end."""
        if self._watcher:
            await asyncio.wait({self._watcher}, timeout=patience)

    # -- life ---------------------------------------------------------------

    async def power_on(self) -> None:
        """Boot, and wait until the agent has taken its configuration."""
        if self.state in ("booting", "on"):
            return
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.spec.boot_timeout):
                try:
                    await self._boot()
                except LabError:
                    await self._end(0)
                    if not self.is_emulators_fault():
                        raise
                    self._untold.clear()
                    self.scanner = Scanner()
                    await self._boot()
        except TimeoutError:
            await self.power_off()
            raise self._failed(f"not ready after {self.spec.boot_timeout:.0f} s") from None
        except (LabError, OSError) as error:
            await self.power_off()
            raise self._failed(str(error)) from None
        finally:
            self._tell()
        self.boot_seconds = asyncio.get_running_loop().time() - begun
        self.state = "on"
        self._on_change()

    async def _boot(self) -> None:
        self.state, self.boots = "booting", self.boots + 1
        await self._spawn()
        await self.agent.configure(self.configuration())

    def is_emulators_fault(self) -> bool:
        """Whether what ended it is nothing that a kernel can do about."""
        return False

    def _tell(self) -> None:
        for splat in self._untold:
            self._on_splat(self.spec.name, splat)
        self._untold.clear()

    async def power_off(self) -> None:
        """Pull the plug."""
        if self.state != "crashed":
            self.state = "off"
        await self._end(0)

    async def shut_down(self, patience: float) -> None:
        """Ask the kernel to power off, then pull the plug."""
        if self.state == "on" and self.agent:
            self.state = "off"
            self.agent.send(frames.POWER_OFF, 0)
            await self._end(patience)
        else:
            await self.power_off()

    async def _end(self, patience: float) -> None:
        process, watcher = self._process, self._watcher
        if process is None or watcher is None:
            return
        try:
            async with asyncio.timeout(patience):
                await asyncio.shield(watcher)
        except TimeoutError:
            kill_group(process)
            await watcher

    async def _spawn(self) -> None:
        sockets: list[socket.socket] = []

        def plug() -> tuple[socket.socket, int]:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            sockets.extend((ours, theirs))
            return ours, theirs.fileno()

        try:
            fds, connect = self.plugs(plug)
            await self._start_helpers()
            with open(self._errors, "wb") as errors:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command(fds), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                    stderr=errors, pass_fds=list(fds.values()),
                    start_new_session=True, preexec_fn=die_with_parent, cwd=self.console.parent)
        except FileNotFoundError as error:
            for one in sockets:
                one.close()
            raise LabError(f"{error.filename} is missing; run: qemu/setup host") from None
        for theirs in sockets[1::2]:
            theirs.close()
        await connect()
        self._watcher = asyncio.create_task(self._watch(self._process))
        self._on_change()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Follow the console to the end of the process."""
        with open(self.console, "ab", buffering=0) as log:
            rest = b""
            while data := await process.stdout.read(1 << 16):
                log.write(data)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._scan(line)
            self._scan(rest)
        await process.wait()
        # User-Mode Linux leaves helper processes when it is killed.
        kill_group(process)
        for helper in self._helpers:
            kill_group(helper)
            await helper.wait()
        self._helpers.clear()
        self._process = None
        self.scanner.interrupt()
        if self.state != "off":
            self.state = "crashed"
        self._on_change()

    def _scan(self, line: bytes) -> None:
        if self.scanner.feed(line.decode(errors="replace").rstrip("\r")):
            self._untold.append(self.splats[-1])
            if self.state != "booting":
                self._tell()

    def _failed(self, why: str) -> LabError:
        last = [path.read_text(errors="replace").strip().splitlines()[-12:]
                for path in (self._errors, self.console) if path.exists()]
        quoted = "\n".join("    " + line.rstrip() for lines in last for line in lines)
        return LabError(f"{self.spec.name} did not start: {why}; its last words"
                        f" (all of them: {self.console}):\n{quoted}")

    # -- what differs between beds --------------------------------------------

    def plugs(self, plug):
        """Make the sockets. Gives their numbers by use, and a coroutine
        function that connects our ends after the process has started."""
        raise NotImplementedError

    def command(self, fds: dict[str, int]) -> list[str]:
        raise NotImplementedError

    def configuration(self) -> dict:
        return {
            "hostname": self.spec.name,
            "interfaces": [{key: interface[key] for key in ("name", "mac", "mtu")}
                           for interface in self.spec.interfaces],
            "shares": self.shares(),
            "load": self.spec.load,
        }

    def shares(self) -> list[dict]:
        raise NotImplementedError

    async def _start_helpers(self) -> None:
        """Start what the machine's own process talks to."""

    def carrier(self, link: int, up: bool) -> None:
        """A cable was plugged or pulled."""

    async def _connect_agent(self, ours: socket.socket) -> None:
        _, self.agent = await asyncio.get_running_loop().create_connection(AgentChannel, sock=ours)


def kill_group(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class QemuMachine(Machine):
    """A stock kernel in QEMU."""

    def __init__(self, spec, directory, on_change, on_splat, link_ends):
        super().__init__(spec, directory, on_change, on_splat)
        # The lab's ends of the cables, one for each interface.
        self._link_ends = link_ends
        self._monitor: Monitor | None = None
        self._carriers: dict[int, bool] = {}

    def plugs(self, plug):
        agent, agent_fd = plug()
        monitor, monitor_fd = plug()
        cables = [plug() for _ in self.spec.interfaces]
        fds = {"agent": agent_fd, "monitor": monitor_fd}
        fds |= {f"net{index}": fd for index, (_, fd) in enumerate(cables)}

        async def connect():
            loop = asyncio.get_running_loop()
            await self._connect_agent(agent)
            _, self._monitor = await loop.create_connection(Monitor, sock=monitor)
            for index, ((ours, _), end) in enumerate(zip(cables, self._link_ends)):
                await loop.create_connection(lambda end=end: end, sock=ours)
                self._monitor.carrier(f"net{index}", self._carriers.get(index, True))

        return fds, connect

    def carrier(self, link: int, up: bool) -> None:
        for index, interface in enumerate(self.spec.interfaces):
            if interface["link"] == link:
                self._carriers[index] = up
                if self._monitor:
                    self._monitor.carrier(f"net{index}", up)

    def is_emulators_fault(self):
        return self.spec.accel == "tcg" and bool(self.splats) and bool(EMULATORS_FAULT.search(self.splats[0].lines[0]))

    async def _start_helpers(self):
        for index, share in enumerate(self.spec.shares):
            path = self._share_socket(index)
            path.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as listener, \
                    open(self._errors.with_suffix(".virtiofsd"), "ab") as errors:
                listener.bind(str(path))
                listener.listen(1)
                self._helpers.append(await asyncio.create_subprocess_exec(
                    *self.spec.virtiofsd, f"--fd={listener.fileno()}", "--shared-dir", share,
                    stdin=asyncio.subprocess.DEVNULL, stdout=errors, stderr=errors,
                    pass_fds=[listener.fileno()], start_new_session=True, preexec_fn=die_with_parent))

    def _share_socket(self, index: int) -> Path:
        return self.console.with_suffix(f".share{index}")

    def command(self, fds):
        spec = self.spec
        accel = "kvm" if spec.accel == "kvm" else "tcg,thread=multi,tb-size=128"
        # Few and old-fashioned devices: the fewer the kernel finds, the sooner it is up.
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-machine", "pc,usb=off,vmport=off,memory-backend=ram", "-accel", accel,
                   "-cpu", "host" if spec.accel == "kvm" else "max,la57=off",
                   "-smp", str(spec.cpus), "-m", str(spec.mem),
                   "-object", f"memory-backend-memfd,id=ram,size={spec.mem}M,share=on",
                   "-kernel", spec.kernel, "-initrd", spec.initrd, "-append", self.kernel_command_line(),
                   "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
                   "-device", "virtio-serial-pci",
                   "-chardev", f"socket,id=agent,fd={fds['agent']}",
                   "-device", "virtserialport,chardev=agent,name=lab.agent",
                   "-chardev", f"socket,id=monitor,fd={fds['monitor']}",
                   "-mon", "chardev=monitor,mode=control",
                   "-drive", f"if=none,id=root,file={spec.root},format=raw,readonly=on,file.locking=off",
                   "-device", "virtio-blk-pci,drive=root"]
        for index, interface in enumerate(spec.interfaces):
            command += ["-netdev", f"stream,id=net{index},server=off,addr.type=fd,addr.str={fds[f'net{index}']}",
                        "-device", f"virtio-net-pci,netdev=net{index},mac={interface['mac']},host_mtu=9000,romfile="]
        for index in range(len(spec.shares)):
            command += ["-chardev", f"socket,id=share{index},path={self._share_socket(index)}",
                        "-device", f"vhost-user-fs-pci,chardev=share{index},tag=share{index}"]
        return command

    def kernel_command_line(self) -> str:
        words = [
            # Only warnings reach the console: every character is a trap under
            # TCG. All is in the kernel log (lab exec NODE -- dmesg).
            "console=ttyS0", "loglevel=5", "panic=-1", "oops=panic", PATIENT,
            # Much of an emulated boot is spent on what a lab has no use for.
            "mitigations=off", "cryptomgr.notests=1", "apparmor=0", "audit=0", "8250.nr_uarts=1",
            "tsc=reliable", "no_timer_check", "random.trust_cpu=on",
            "lab.block=/dev/vda", "lab.port=lab.agent"]
        if self.spec.accel == "tcg" and (rate := tsc.rate_khz()):
            words.append(f"tsc_early_khz={rate}")
        if self.spec.interfaces:
            # The cables carry what is under test, not neighbour discovery.
            words.append("ipv6.disable=1")
        return " ".join(words)

    def shares(self):
        return [{"fstype": "virtiofs", "source": f"share{index}", "options": "", "path": path}
                for index, path in enumerate(self.spec.shares)]


class UmlMachine(Machine):
    """The same kernel source as a process."""

    def plugs(self, plug):
        agent, agent_fd = plug()

        async def connect():
            await self._connect_agent(agent)

        return {"agent": agent_fd}, connect

    def command(self, fds):
        spec, here = self.spec, str(self.console.parent)
        # The kernel is linked against the root's own libraries; in-root execs,
        # so descriptors, signals and the exit status are the kernel's.
        binds = [word for directory in (here, *spec.shares) for word in ("--bind", directory)]
        return [str(QEMU_DIR / "in-root"), *binds, "--",
                spec.kernel, f"mem={spec.mem}M", f"initrd={spec.initrd}", "seccomp=auto",
                # Pipes for its own monitor, which would else go to the home directory.
                f"uml_dir={here}/", f"umid={spec.name}.uml",
                "con=null", "con0=null,fd:1", "console=tty0", "ssl=null", f"ssl0=fd:{fds['agent']}",
                "noreboot", "panic=-1", "oops=panic", "loglevel=8", *PATIENT.split(), *KUNIT.split(),
                f"lab.hostfs={spec.root}", "lab.port=/dev/ttyS0"]

    def shares(self):
        return [{"fstype": "hostfs", "source": "share", "options": path, "path": path}
                for path in self.spec.shares]
