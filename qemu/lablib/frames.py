# SPDX-License-Identifier: GPL-2.0
"""Frames between client, daemon and agent; qemu/init/src/proto.rs is the other
half and says what they mean."""

import json
import struct

PROTOCOL = 2
MAGIC = b"\nLAB-AGENT\n"
HEADER = struct.Struct(">IBI")
NUMBER = struct.Struct(">I")
PAYLOAD_BYTES_MAX = 1 << 20

CHUNK_BYTES = 32 << 10
# What may be in flight per command and direction.
CREDIT_BYTES = 256 << 10

# Host to agent.
CONFIGURE, EXEC, STDIN, STDIN_END, CREDIT, SIGNAL, WINDOW, POWER_OFF = b"CXIZWKVQ"
# Agent to host.
HELLO, CONFIGURED, STDOUT, STDERR, STDIN_CREDIT, EXIT, RECEIVED = b"HROEwSa"
# Client to daemon, and its answers: an object each.
REQUEST, REPLY = b"JA"


def encode(kind: int, stream: int, payload: bytes | dict | int = b"") -> bytes:
    if isinstance(payload, dict):
        payload = json.dumps(payload).encode()
    elif isinstance(payload, int):
        payload = NUMBER.pack(payload)
    return HEADER.pack(len(payload), kind, stream) + payload


class Decoder:
    """Cuts a byte stream into (kind, stream, payload)."""

    def __init__(self) -> None:
        self._input = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        self._input += data
        frames, start = [], 0
        while len(self._input) - start >= HEADER.size:
            length, kind, stream = HEADER.unpack_from(self._input, start)
            if length > PAYLOAD_BYTES_MAX:
                raise ValueError("frame too long")
            end = start + HEADER.size + length
            if end > len(self._input):
                break
            frames.append((kind, stream, bytes(self._input[start + HEADER.size:end])))
            start = end
        del self._input[:start]
        return frames
