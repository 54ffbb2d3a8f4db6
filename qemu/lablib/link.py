# SPDX-License-Identifier: GPL-2.0
"""An Ethernet cable between two machines.

QEMU's stream netdev sends frames over a socket, each with its length before
it. A frame that one end sends is counted, perhaps lost, written to the
captures, and handed to the other end.
"""

import asyncio
import random
import struct
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from . import LabError
from .pcap import PcapWriter
from .topology import Link as LinkSpec

LENGTH = struct.Struct(">I")
FRAME_BYTES_MAX = 1 << 17

# A machine that does not take its frames loses them, as with a switch whose
# queue is full. Holding the sender back instead would stall its transmit queue.
QUEUE_BYTES_MAX = 1 << 20


@dataclass
class Counters:
    """Of one direction. Bytes are those of whole Ethernet frames without FCS."""
    frames: int = 0
    bytes: int = 0
    lost: int = 0
    unplugged: int = 0
    overflow: int = 0


class End(asyncio.Protocol):
    """One plug: the socket to the machine's QEMU, while it runs."""

    def __init__(self, link: "Link", index: int):
        self._link = link
        self._index = index
        self._input = bytearray()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=2 * QUEUE_BYTES_MAX)

    def connection_lost(self, _error):
        self.transport = None
        self._input.clear()

    def data_received(self, data):
        self._input += data
        frames, start = [], 0
        while len(self._input) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._input, start)
            if length > FRAME_BYTES_MAX:
                self.transport.abort()
                return
            end = start + LENGTH.size + length
            if end > len(self._input):
                break
            frames.append(bytes(self._input[start + LENGTH.size:end]))
            start = end
        del self._input[:start]
        if frames:
            self._link.carry(self._index, frames)


class Link:
    def __init__(self, spec: LinkSpec):
        self.spec = spec
        self.up = True
        self.loss = spec.loss
        self.counters = (Counters(), Counters())
        self.ends = (End(self, 0), End(self, 1))
        self._captures: list[PcapWriter] = []
        # The same topology loses the same frames in every run.
        self._random = random.Random(spec.name)

    def carry(self, sender: int, frames: list[bytes]) -> None:
        counters, transport = self.counters[sender], self.ends[1 - sender].transport
        if not self.up or transport is None:
            counters.unplugged += len(frames)
            return
        if self.loss:
            kept = [frame for frame in frames if self._random.random() >= self.loss]
            counters.lost += len(frames) - len(kept)
            frames = kept
        if transport.get_write_buffer_size() > QUEUE_BYTES_MAX:
            counters.overflow += len(frames)
            return
        if not frames:
            return
        now = time.time_ns()
        counters.frames += len(frames)
        counters.bytes += sum(map(len, frames))
        for capture in self._captures:
            capture.append(frames, now)
        wire = []
        for frame in frames:
            wire += (LENGTH.pack(len(frame)), frame)
        transport.write(b"".join(wire))

    def capture(self, path: Path) -> None:
        if any(capture.path == path for capture in self._captures):
            raise LabError(f"{path} is being written already")
        try:
            self._captures.append(PcapWriter(path))
        except OSError as error:
            raise LabError(f"{path}: {error.strerror}") from None

    def stop_captures(self) -> list[dict]:
        stopped = [{"file": str(capture.path), "frames": capture.frames} for capture in self._captures]
        for capture in self._captures:
            capture.close()
        self._captures.clear()
        return stopped

    def status(self) -> dict:
        return {
            "a": self.spec.a, "b": self.spec.b, "mtu": self.spec.mtu, "up": self.up, "loss": self.loss,
            "a_to_b": asdict(self.counters[0]), "b_to_a": asdict(self.counters[1]),
            "captures": [str(capture.path) for capture in self._captures],
        }
