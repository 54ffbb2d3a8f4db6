# SPDX-License-Identifier: GPL-2.0
"""The lab's machines, as the demo uses them: by the commands that a person types."""

import json
import subprocess
import sys
import time
from pathlib import Path

from . import Failed

HERE = Path(__file__).resolve().parent.parent
LAB = HERE / "lab"


class Lab:
    def __init__(self, name: str):
        self.name = name

    def _call(self, *words, timeout=None, check=True, **keys):
        done = subprocess.run([LAB, "--name", self.name, *map(str, words)], timeout=timeout, text=True, **keys)
        if check and done.returncode != 0:
            shown = " ".join(map(str, words))
            raise Failed(f"lab {shown}: status {done.returncode}\n{(done.stderr or '').strip()}")
        return done

    def up(self, topology: Path) -> None:
        self._call("up", topology)

    def down(self) -> bool:
        """Ends the lab; false when a kernel complained during its life."""
        return self._call("down", check=False).returncode == 0

    def run(self, node: str, *command, timeout=300, check=True) -> str:
        done = self._call("exec", node, "--timeout", timeout, "--", *command, check=check,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.stdout

    def start(self, node: str, *command) -> subprocess.Popen:
        return subprocess.Popen([LAB, "--name", self.name, "exec", node, "--", *command],
                                text=True, errors="replace",
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def push(self, node: str, source: Path, target: str) -> None:
        self._call("push", node, source, target)

    def pull(self, node: str, source: str, target: Path) -> None:
        self._call("pull", node, source, target)

    def power(self, node: str, state: str) -> None:
        self._call("power", node, state, stdout=subprocess.DEVNULL)

    def capture(self, a: str, b: str, file: Path) -> None:
        self._call("capture", a, b, file, stdout=subprocess.DEVNULL)

    def capture_stop(self, a: str, b: str) -> None:
        self._call("capture", a, b, "--stop", stdout=subprocess.DEVNULL)

    def links(self) -> dict:
        """Frames and bytes of each link so far, by (a, b)."""
        rows = json.loads(self._call("links", "-j", stdout=subprocess.PIPE).stdout)
        return {(row["a"], row["b"]): row for row in rows}

    def until(self, what: str, node: str, *command, timeout=120) -> None:
        """Waits until a command succeeds in a node."""
        end = time.monotonic() + timeout
        while self._call("exec", node, "--", *command, check=False,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > end:
                raise Failed(f"{what}: not within {timeout} s")
            time.sleep(0.5)


def say(begun: float, text: str) -> None:
    print(f"[{time.monotonic() - begun:5.0f} s] {text}", flush=True)


def warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
