# SPDX-License-Identifier: GPL-2.0
"""buffers.py FEED HOW: lookups in buffers of every kind, which the node answers
from its store. The feed's entries are the numbers from 1001 to 1100."""

import mmap
import socket
import struct
import sys
import time

from ktap import Results
from wire import feed, frames, spaces
from wire.peer import Asker, Port

SOL_PACKET, PACKET_VERSION, PACKET_TX_RING, TPACKET_V2 = 263, 10, 13, 1
AVAILABLE, SEND_REQUEST = 0, 1
FRAME, FRAMES = 2048, 16
HEADER = 32          # struct tpacket2_hdr; the frame's bytes follow
ENTRIES, WINDOW = 100, 32
HAVE_PATH_AND_PAGE = 3


class Ring(Asker):
    """Sends from pages that the kernel and this program share."""

    def __init__(self, name, neighbour=frames.GROUP):
        super().__init__(name, neighbour)
        self.out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.out.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        request = struct.pack("=4I", FRAME * FRAMES, 1, FRAME, FRAMES)
        self.out.setsockopt(SOL_PACKET, PACKET_TX_RING, request)
        self.out.bind((name, 0))
        self.ring = mmap.mmap(self.out.fileno(), FRAME * FRAMES)
        self.next = 0

    def send(self, dst, payload):
        data = frames.ethernet(dst, self.mac, payload)
        at = self.next * FRAME
        self.next = (self.next + 1) % FRAMES
        self.ring[at + HEADER:at + HEADER + len(data)] = data
        self.ring[at:at + 8] = struct.pack("=II", SEND_REQUEST, len(data))
        self.sent = at, data
        self.out.send(b"")

    def given_back(self):
        """Whether the last frame's place is free again, with its bytes as they were."""
        at, data = self.sent
        status, = struct.unpack_from("=I", self.ring, at)
        return status == AVAILABLE and self.ring[at + HEADER:at + HEADER + len(data)] == data


def look_up(asker, ident, seq, have):
    raw = frames.lookup_range(ident, asker.token(), asker.nonce(), ENTRIES, seq // WINDOW, 1 << seq % WINDOW, have=have)
    answers = asker.ask(raw)
    return [(m.kind, m.payload, bool(m.siblings)) for m in answers]


def wanted(seq, have):
    return [(frames.ENTRY, str(1001 + seq).encode(), not have)]


def check(results, what, asker, ident):
    wrong = []
    for have in (0, HAVE_PATH_AND_PAGE):
        for seq in range(0, ENTRIES, 3):
            got = look_up(asker, ident, seq, have)
            if got != wanted(seq, have):
                wrong.append((seq, have, got))
    results.equal(f"{what}: every answer is right", wrong, [])


def check_captured(results, what, ident):
    """A capture holds each lookup until it has been answered."""
    with spaces.inside("asker"):
        asker = Asker("x")
    with spaces.inside("node"):
        capture = Port("s")
    wrong = []
    for seq in range(ENTRIES):
        # The answer is shorter than the buffer.
        raw = frames.lookup_range(ident, asker.token(), asker.nonce(), ENTRIES, seq // WINDOW, 1 << seq % WINDOW,
                                  have=HAVE_PATH_AND_PAGE)
        cookie = asker.cookie
        answers = asker.ask(raw)
        right = [(m.kind, m.payload) for m in answers] == [(frames.ENTRY, str(1001 + seq).encode())]
        captured = capture.receive(2)
        if not right or captured != (asker.mac, frames.frame([raw], cookie_echo=cookie)):
            wrong.append((seq, answers, captured))
    results.equal(f"{what}, captured: every answer is right and every lookup untouched", wrong, [])
    capture.close()
    asker.close()


def main():
    name, how = bytes.fromhex(sys.argv[1].removeprefix("feed:")), sys.argv[2]
    ident = feed.discovery_id(name)
    results = Results()
    with spaces.inside("asker"):
        plain, ring = Asker("x"), Ring("x")
    check(results, how, plain, ident)
    check_captured(results, how, ident)
    check(results, f"{how}, from shared pages", ring, ident)
    deadline = time.monotonic() + 2
    while not ring.given_back() and time.monotonic() < deadline:
        time.sleep(0.01)
    results.case(ring.given_back(), f"{how}, from shared pages: they are given back as they were")
    results.end()


main()
