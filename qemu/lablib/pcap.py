# SPDX-License-Identifier: GPL-2.0
"""Writes captures in the classic pcap format."""

import struct
from pathlib import Path

MAGIC_MICROSECONDS = 0xA1B2C3D4
LINKTYPE_ETHERNET = 1
SNAPLEN = 1 << 18


class PcapWriter:
    """Whole records reach the file with every write, so a capture can be read
    while it grows."""

    def __init__(self, path: Path):
        self.path = path
        self.frames = 0
        # Unbuffered: append() is called once for a batch of frames.
        self._file = open(path, "wb", buffering=0)
        self._file.write(struct.pack("<IHHiIII", MAGIC_MICROSECONDS, 2, 4, 0, 0, SNAPLEN, LINKTYPE_ETHERNET))

    def append(self, frames: list[bytes], time_ns: int) -> None:
        seconds, rest = divmod(time_ns, 1_000_000_000)
        parts = []
        for frame in frames:
            parts += (struct.pack("<IIII", seconds, rest // 1000, len(frame), len(frame)), frame)
        self._file.write(b"".join(parts))
        self.frames += len(frames)

    def close(self) -> None:
        self._file.close()
