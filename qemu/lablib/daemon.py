# SPDX-License-Identifier: GPL-2.0
"""The process behind one lab: owns its machines and links, serves clients.

Clients connect to a socket in the lab's directory and send one request. A
request to run a command turns the connection into that command's: its frames
are passed on both ways, and the command is killed when the client goes.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

from . import LabError, frames
from .link import End, Link
from .machine import Machine, MachineSpec, QemuMachine, UmlMachine
from .splat import Splat
from .topology import Topology

# How long kernels get to power off before the plug is pulled.
POWER_OFF_SECONDS = 15.0

# A splat is printed by the console's own thread: what a command provoked may
# reach us a moment after its exit status.
SPLAT_SETTLE_SECONDS = 0.15

# How long the last words of a machine that went away may take.
CONSOLE_END_SECONDS = 5.0


class Lab:
    def __init__(self, config: dict, directory: Path):
        self.name = config["name"]
        self.bed = config["bed"]
        self.accel = config["accel"]
        self.directory = directory
        self.topology = Topology.from_json(config["topology"])
        self.links = [Link(spec) for spec in self.topology.links]
        self.machines: dict[str, Machine] = {}
        for data in config["machines"]:
            spec = MachineSpec(**data)
            ends = [self.links[interface["link"]].ends[interface["end"]] for interface in spec.interfaces]
            self.machines[spec.name] = self._make(spec, ends)
        # Of all machines, in the order in which they came.
        self._splats: list[tuple[str, Splat]] = []
        self.started = time.time()
        self.stopping = asyncio.Event()

    def _make(self, spec: MachineSpec, ends: list[End]) -> Machine:
        arguments = spec, self.directory, self.plug_cables, lambda *splat: self._splats.append(splat)
        return QemuMachine(*arguments, ends) if spec.bed == "stock" else UmlMachine(*arguments)

    def machine(self, name: str) -> Machine:
        self.topology.node(name)
        return self.machines[name]

    def link(self, a: str, b: str) -> Link:
        for link in self.links:
            if {link.spec.a, link.spec.b} == {a, b}:
                return link
        self.topology.node(a), self.topology.node(b)
        raise LabError(f"{a} and {b} are not linked")

    def plug_cables(self) -> None:
        """A cable has a carrier while it is up and both its ends have power."""
        for index, link in enumerate(self.links):
            ends = [self.machines[name] for name in (link.spec.a, link.spec.b)]
            carrier = link.up and all(end.state in ("booting", "on") for end in ends)
            for end in ends:
                end.carrier(index, carrier)

    async def power_on(self, names: list[str], say) -> None:
        async def one(name: str) -> None:
            await self.machines[name].power_on()
            say(f"{name}: ready after {self.machines[name].boot_seconds:.1f} s")

        # All that can start does, so that one failure does not hide another.
        results = await asyncio.gather(*map(one, names), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, LabError):
                raise failure
        if failures:
            raise LabError("\n".join(map(str, failures)))

    async def shut_down(self, at_once: bool) -> None:
        await asyncio.gather(*(one.power_off() if at_once else one.shut_down(POWER_OFF_SECONDS)
                               for one in self.machines.values()))
        for link in self.links:
            link.stop_captures()

    def splats(self) -> list[dict]:
        return [{"node": node, "lines": splat.lines} for node, splat in self._splats]

    def status(self) -> dict:
        return {
            "name": self.name, "bed": self.bed, "accel": self.accel, "pid": os.getpid(),
            "directory": str(self.directory), "uptime": round(time.time() - self.started, 1),
            "nodes": [{
                "name": one.spec.name, "state": one.state, "mem": one.spec.mem, "cpus": one.spec.cpus,
                "boots": one.boots, "boot_seconds": one.boot_seconds and round(one.boot_seconds, 2),
                "console": str(one.console), "splats": len(one.splats),
                "interfaces": [{"name": interface["name"], "mac": interface["mac"], "to": interface["to"]}
                               for interface in one.spec.interfaces],
            } for one in self.machines.values()],
            "links": [link.status() for link in self.links],
            "splats": self.splats(),
        }


class Client(asyncio.Protocol):
    """One connection to the lab's socket."""

    def __init__(self, lab: Lab):
        self._lab = lab
        self._decoder = frames.Decoder()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task | None = None
        # While a command runs: its machine's agent and its stream.
        self._agent = None
        self._stream = 0

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, _error):
        self._transport = None
        if self._agent:
            self._agent.abandon(self._stream)

    def data_received(self, data):
        try:
            received = self._decoder.feed(data)
        except ValueError:
            self._transport.abort()
            return
        for kind, _, payload in received:
            if kind != frames.REQUEST:
                if self._agent:
                    self._agent.send(kind, self._stream, payload)
                continue
            request = json.loads(payload)
            if request["op"] == "exec":
                # At once: the command's input may be next in line.
                self._exec(request)
            elif self._task is None:
                self._task = asyncio.create_task(self._serve(request))

    def _reply(self, answer: dict) -> None:
        if self._transport:
            self._transport.write(frames.encode(frames.REPLY, 0, answer))

    async def _serve(self, request: dict) -> None:
        try:
            answer = await getattr(self, "_op_" + request["op"])(request) or {}
        except LabError as error:
            answer = {"error": str(error)}
        except Exception as error:  # The client must hear of it, the log has the rest.
            traceback.print_exc()
            answer = {"error": f"the lab's daemon: {error!r}; see {self._lab.directory}/daemon.log"}
        self._reply(answer)

    def _exec(self, request: dict) -> None:
        try:
            node = self._lab.machine(request["node"])
            if node.state != "on":
                raise LabError(f"{node.spec.name} is {node.state}; "
                               f"run: lab power {node.spec.name} on, or see lab console {node.spec.name}")
        except LabError as error:
            self._reply({"error": str(error)})
            return
        before = len(self._lab.splats())
        agent = node.agent

        def handle(kind: int, payload: bytes) -> None:
            if kind == frames.EXIT:
                self._agent = None
                self._task = asyncio.create_task(self._finish(node, json.loads(payload), before))
            elif self._transport:
                self._transport.write(frames.encode(kind, 0, payload))

        self._agent, self._stream = agent, agent.exec(request["command"], handle)

    async def _finish(self, node: Machine, exit_: dict, splats_before: int) -> None:
        if exit_.get("gone"):
            await node.ended(CONSOLE_END_SECONDS)
        else:
            await asyncio.sleep(SPLAT_SETTLE_SECONDS)
        self._reply({"exit": exit_, "splats": self._lab.splats()[splats_before:]})

    async def _op_status(self, _request):
        return self._lab.status()

    async def _op_power(self, request):
        node = self._lab.machine(request["node"])
        if request["on"]:
            if node.state in ("booting", "on"):
                raise LabError(f"{node.spec.name} is {node.state} already")
            await node.power_on()
        else:
            await node.power_off()
        return {"boot_seconds": node.boot_seconds}

    async def _op_link(self, request):
        link = self._lab.link(request["a"], request["b"])
        if "up" in request:
            link.up = request["up"]
            self._lab.plug_cables()
        if "loss" in request:
            link.loss = request["loss"]
        return link.status()

    async def _op_capture(self, request):
        link = self._lab.link(request["a"], request["b"])
        if "file" in request:
            link.capture(Path(request["file"]))
            return {}
        return {"stopped": link.stop_captures()}

    async def _op_down(self, request):
        await self._lab.shut_down(request["now"])
        self._lab.stopping.set()
        return {"splats": self._lab.splats()}


async def serve(directory: Path, parent: socket.socket, tethered: bool) -> None:
    """Boot the lab, tell the parent how it went, then serve until `down`."""
    lab = Lab(json.loads((directory / "lab.json").read_text()), directory)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, lab.stopping.set)
    reader, writer = await asyncio.open_connection(sock=parent)

    def tell(message: dict) -> None:
        writer.write(json.dumps(message).encode() + b"\n")

    async def follow_parent() -> None:
        # Without its parent, a lab that is still booting, or that was made for
        # one command only, is nobody's.
        await reader.read()
        lab.stopping.set()

    following = asyncio.create_task(follow_parent())
    server = await loop.create_unix_server(lambda: Client(lab), directory / "socket")
    booting = asyncio.create_task(lab.power_on(
        [node.name for node in lab.topology.nodes if not node.off], lambda text: tell({"say": text})))
    stopping = asyncio.create_task(lab.stopping.wait())
    await asyncio.wait({booting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not booting.done():
        booting.cancel()
        await asyncio.wait({booting})
    elif error := booting.exception():
        if not isinstance(error, LabError):
            traceback.print_exception(error)
        tell({"error": str(error) or repr(error)})
        lab.stopping.set()
    else:
        tell({"ready": True})
    if not tethered:
        following.cancel()
    await lab.stopping.wait()
    await lab.shut_down(at_once=True)
    following.cancel()
    server.close()
    writer.close()
    # The last answer may still be on its way to its client.
    await asyncio.sleep(0.05)
    for name in ("initrd", "socket"):
        (directory / name).unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    directory, fd, tethered = Path(arguments[0]), int(arguments[1]), arguments[2] == "tethered"
    asyncio.run(serve(directory, socket.socket(fileno=fd), tethered))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
