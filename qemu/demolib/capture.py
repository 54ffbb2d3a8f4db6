# SPDX-License-Identifier: GPL-2.0
"""What kinds of messages a capture holds. Reads classic pcap and PROTOCOL.md's frames."""

import struct
from collections import Counter
from pathlib import Path

ETHERTYPE = 0x88B5
KINDS = {
    0x01: "REFUSAL", 0x02: "HEAD", 0x03: "GRANT", 0x04: "CONS", 0x05: "PATH", 0x06: "PAGE", 0x07: "ENTRY",
    0x08: "BLOB_PATH", 0x09: "BLOB_PAGE", 0x0A: "BLOB_DATA", 0x81: "LOOKUP_HEAD", 0x82: "LOOKUP_RANGE",
    0x83: "LOOKUP_CONS", 0x84: "LOOKUP_BLOB", 0x85: "FOLLOW",
}
FRAME_HEADER = 24
# Messages that carry what a reader asked for.
CONTENT = ("ENTRY", "BLOB_DATA")


def frames(path: Path):
    data = path.read_bytes()
    at = 24
    while at + 16 <= len(data):
        captured, = struct.unpack_from("<I", data, at + 8)
        yield data[at + 16:at + 16 + captured]
        at += 16 + captured


def messages(path: Path):
    """Each message of the protocol: its kind and bytes."""
    for frame in frames(path):
        if struct.unpack_from(">H", frame, 12)[0] != ETHERTYPE:
            continue
        length, = struct.unpack_from("<H", frame, 14 + 2)
        at, end = 14 + FRAME_HEADER, 14 + FRAME_HEADER + length
        while at + 4 <= end:
            kind, _, size = struct.unpack_from("<BBH", frame, at)
            if kind == 0 or size < 4:
                break
            yield kind, frame[at:at + size]
            at += size


def census(path: Path) -> Counter:
    return Counter(KINDS.get(kind, f"{kind:#04x}") for kind, _ in messages(path))


def shows(path: Path, needle: bytes) -> bool:
    """Whether any lookup in the capture contains these bytes."""
    return any(kind >= 0x80 and needle in raw for kind, raw in messages(path))
