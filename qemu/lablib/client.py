# SPDX-License-Identifier: GPL-2.0
"""Talks to a lab's daemon."""

import array
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
import termios
import time
import tty
from pathlib import Path

from . import LabError, frames
from .paths import state_root

# Exit statuses of the lab itself, out of the way of most commands' own.
STATUS_SPLAT, STATUS_TIMEOUT, STATUS_LAB = 123, 124, 125


def lab_directory(name: str) -> Path:
    return state_root() / name


def running_labs() -> list[str]:
    """Those that answer: a daemon that was killed leaves its socket behind."""
    found = []
    for path in sorted(state_root().glob("*/socket")):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                found.append(path.parent.name)
    return found


def connect(name: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(str(lab_directory(name) / "socket"))
    except OSError:
        running = running_labs()
        hint = f"; running: {' '.join(running)} (choose with --name or $LAB)" if running else ""
        raise LabError(f"no lab {name} is running{hint}; start it with: lab up TOPOLOGY") from None
    return client


def read_reply(client: socket.socket, decoder: frames.Decoder) -> dict:
    while data := client.recv(1 << 16):
        for kind, _, payload in decoder.feed(data):
            if kind == frames.REPLY:
                answer = json.loads(payload)
                if "error" in answer:
                    raise LabError(answer["error"])
                return answer
    raise LabError("the lab's daemon went away")


def ask(name: str, request: dict) -> dict:
    with connect(name) as client:
        client.sendall(frames.encode(frames.REQUEST, 0, request))
        return read_reply(client, frames.Decoder())


def print_splats(splats: list[dict]) -> None:
    for splat in splats:
        print(f"lab: kernel splat on {splat['node']}:", file=sys.stderr)
        for line in splat["lines"]:
            print(f"    {line}", file=sys.stderr)


class Command:
    """One command in a machine, with its streams tied to our descriptors."""

    def __init__(self, name: str, node: str, argv: list[str], *, env: dict[str, str] | None = None,
                 cwd: str | None = None, stdin: int | None = None, stdout: int = 1, stderr: int = 2,
                 terminal: bool = False):
        self._node, self._stdin, self._terminal = node, stdin, terminal
        self._outputs = {frames.STDOUT: stdout, frames.STDERR: stderr}
        self._room = frames.CREDIT_BYTES if stdin is not None else 0
        self._decoder = frames.Decoder()
        self._interrupts = 0
        self.splats: list[dict] = []
        command = {"argv": argv, "env": list((env or {}).items()), "cwd": cwd,
                   "credit": frames.CREDIT_BYTES, "stdin": stdin is not None}
        if terminal:
            command["pty"] = window_size()
        self._client = connect(name)
        self._client.sendall(frames.encode(
            frames.REQUEST, 0, {"op": "exec", "node": node, "command": command}))

    def run(self, timeout: float | None = None) -> int:
        """Move bytes until the command has ended; its exit status is returned."""
        deadline = time.monotonic() + timeout if timeout else None
        with self._client, raw_terminal(self._terminal, self._resized):
            while True:
                try:
                    status = self._turn(deadline)
                except KeyboardInterrupt:
                    self._interrupts += 1
                    if self._interrupts > 1:
                        return 130
                    self._send(frames.SIGNAL, signal.SIGINT)
                    continue
                if status is not None:
                    return status

    def _turn(self, deadline: float | None) -> int | None:
        wait = None
        if deadline is not None:
            wait = deadline - time.monotonic()
            if wait <= 0:
                print(f"lab: {self._node}: timed out, killed", file=sys.stderr)
                return STATUS_TIMEOUT
        watched = [self._client]
        if self._stdin is not None and self._room > 0:
            watched.append(self._stdin)
        readable, _, _ = select.select(watched, [], [], wait)
        if self._stdin in readable:
            self._send_input()
        if self._client in readable:
            data = self._client.recv(1 << 16)
            if not data:
                raise LabError("the lab's daemon went away")
            for kind, _, payload in self._decoder.feed(data):
                status = self._handle(kind, payload)
                if status is not None:
                    return status
        return None

    def _send(self, kind: int, payload: bytes | dict | int = b"") -> None:
        # A daemon that is gone is noticed by the next read.
        with contextlib.suppress(BrokenPipeError):
            self._client.sendall(frames.encode(kind, 0, payload))

    def _send_input(self) -> None:
        data = os.read(self._stdin, min(frames.CHUNK_BYTES, self._room))
        self._room -= len(data)
        if data:
            self._send(frames.STDIN, data)
        else:
            self._send(frames.STDIN_END)
            self._stdin = None

    def _handle(self, kind: int, payload: bytes) -> int | None:
        if kind in self._outputs:
            write_all(self._outputs[kind], payload)
            self._send(frames.CREDIT, len(payload))
        elif kind == frames.STDIN_CREDIT:
            self._room += frames.NUMBER.unpack(payload)[0]
        elif kind == frames.REPLY:
            return self._ended(json.loads(payload))
        return None

    def _ended(self, answer: dict) -> int:
        if "error" in answer:
            raise LabError(answer["error"])
        self.splats = answer["splats"]
        ended = answer["exit"]
        if ended.get("gone"):
            print(f"lab: {self._node} went away while the command ran", file=sys.stderr)
            return STATUS_LAB
        if ended["error"]:
            print(f"lab: {self._node}: {ended['error']}", file=sys.stderr)
            return 127
        return 128 + ended["signal"] if ended["signal"] else ended["code"]

    def _resized(self, *_: object) -> None:
        self._send(frames.WINDOW, window_size())


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def window_size() -> dict:
    size = array.array("H", [24, 80, 0, 0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(0, termios.TIOCGWINSZ, size)
    return {"rows": size[0], "columns": size[1]}


@contextlib.contextmanager
def raw_terminal(wanted: bool, resized):
    if not wanted:
        yield
        return
    saved = termios.tcgetattr(0)
    before = signal.signal(signal.SIGWINCH, resized)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)
        signal.signal(signal.SIGWINCH, before)
