# SPDX-License-Identifier: GPL-2.0
"""flipped.py STRIDE KIND…: one feed for each byte of a frame that carries KIND.

The peer sends that frame with one bit of the byte flipped, and the honest one
behind it. What a program on `reader`, behind the cache, gets must be right.
Afterwards the peer falls silent: what the cache kept must be right as well.
"""

import hashlib
import struct
import sys

import feedsock
from ktap import Results
from wire import blake3, frames, spaces
from wire.feed import Blob, Feed
from wire.peer import Server

TIMEOUT_MS = 20000
# How many bytes of the longest frame of each kind are worth flipping: what
# lies behind in BLOB_DATA is payload like the rest.
BYTES = {"HEAD": 14 + 24 + 176, "GRANT": 14 + 24 + 176 + 208, "CONS": 14 + 24 + 176 + 40 + 3 * 32,
         "ENTRY": 14 + 24 + 96 + 2 * 32 + 40, "PATH": 14 + 24 + 40 + 2 * 32, "PAGE": 14 + 24 + 40 + 32 * 32,
         "REFUSAL": 60, "BLOB_PATH": 14 + 24 + 24 + 32, "BLOB_PAGE": 14 + 24 + 24 + 32 * 32,
         "BLOB_DATA": 14 + 24 + 24 + 200}


def seed(kind, number):
    return hashlib.sha256(f"flipped {kind} {number}".encode()).digest()


class Shared(Feed):
    """Feeds that differ in nothing but their key: the tree is made once."""

    def __init__(self, kind, number, of, **more):
        super().__init__(seed(kind, number), **more)
        self.leaves, self.hashes, self.blobs, self.offset = of.leaves, of.hashes, of.blobs, of.offset


FIRST = Blob(bytes(i % 253 for i in range(32 * 1024)))


class Tail(Blob):
    """A blob of two windows whose second holds one chunk of its own."""

    def __init__(self, kind, number):
        last = f"the end of {kind} {number}".encode()
        self.data = FIRST.data + last
        self.cvs = [*FIRST.cvs, blake3.chunk_cv(last, 32)]
        self.windows = [FIRST.windows[0], self.cvs[32]]
        self.hash = blake3.parent(*self.windows, root=True)


def with_blob(kind, number):
    feed = Feed(seed(kind, number))
    feed.append(b"before")
    blob = Tail(kind, number)
    feed.blobs[blob.hash, len(blob.data)] = blob
    leaf = struct.pack("<QQQII", 1, 6, 0, len(blob.data), 0) + blob.hash
    feed.leaves.append(leaf)
    feed.hashes.append(blake3.keyed("AF_FEED 1 leaf", leaf))
    return feed


def make(kind, numbers):
    if kind.startswith("BLOB"):
        return [with_blob(kind, number) for number in numbers]
    base = Feed(seed(kind, "base"))
    for i in range(70 if kind in ("PATH", "PAGE") else 3):
        base.append(f"entry {i} of a feed that somebody flips".encode())
    if kind == "GRANT":
        return [Shared(kind, number, base, epoch=1, working_seed=seed(kind, f"working {number}"))
                for number in numbers]
    return [Shared(kind, number, base) for number in numbers]


class Peer(Server):
    """Flips byte `at[ident]` of the first frame that carries its kind."""

    def __init__(self, kind, *args, **more):
        super().__init__(*args, mangle=self.flip, **more)
        self.kind = kind
        self.at = {}
        self.lookup = None
        self.lied = set()
        self.grown = set()

    def answers(self, m):
        self.lookup = m
        feed = self.feeds.get(m.ident)
        if self.kind == "CONS" and feed and m.ident not in self.grown:
            # The feed is one entry shorter until its first head is held.
            return self.shorter(feed, m)
        if self.kind == "REFUSAL" and m.ident not in self.lied:
            self.lied.add(m.ident)
            return [frames.refusal(m.token, frames.BUSY)]
        out = super().answers(m)
        if self.kind == "BLOB_PAGE" and m.kind == frames.LOOKUP_BLOB and not m.flags & frames.CHUNK_MODE:
            # Wrong bytes of a window: the asker goes over to chunks.
            out = [raw[:-1] + bytes([raw[-1] ^ 1]) if raw[0] == frames.BLOB_DATA else raw for raw in out]
        return out

    def shorter(self, feed, m):
        if m.kind == frames.LOOKUP_HEAD:
            return [frames.head(m.token, feed.head(2))]
        if m.kind == frames.LOOKUP_RANGE:
            return [frames.entry(m.token, 2, feed.leaves[s], feed.entry_siblings(s, 2), feed.payload(s))
                    for s in (0, 1) if m.want >> s & 1]
        return []

    def flip(self, data):
        at = self.at.get(self.lookup.ident)
        kinds = {frames.NAMES.get(raw[0]) for raw in frames.split(data[14:]).messages}
        if at is None or self.kind not in kinds:
            return [data]
        del self.at[self.lookup.ident]
        at %= len(data)  # shorter than the longest of its kind
        return [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:], data]


def flip(results, kind, stride):
    seq = 1 if kind.startswith("BLOB") else 2
    places = list(range(0, BYTES[kind], stride))
    feeds = make(kind, places)
    with spaces.inside("peer"):
        peer = Peer(kind, "r", feeds, pages=kind in ("PATH", "PAGE"))
    peer.at = {feed.ident: at for feed, at in zip(feeds, places)}
    dropped = spaces.counters("c1")

    def read(feed):
        with spaces.inside("reader"):
            if kind == "CONS":
                with feedsock.reader(feed.name, 1, TIMEOUT_MS) as socket:
                    first = socket.entry()
                    peer.grown.add(feed.ident)
                    return first, socket.entry()
            with feedsock.reader(feed.name, seq, TIMEOUT_MS) as socket:
                return socket.entry()

    def want(feed):
        return (feed.payload(1), feed.payload(2)) if kind == "CONS" else feed.payload(seq)

    with peer:
        got = spaces.spread(read, feeds)
    wrong = [at for at, feed, data in zip(places, feeds, got)
             if not isinstance(data, Exception) and data != want(feed)]
    none = [(at, str(data)) for at, data in zip(places, got) if isinstance(data, Exception)]
    results.say(f"{kind}: {len(places)} flips, {len(wrong)} wrong, {len(none)} without an answer {none[:5]}")
    results.say(f"c1: {spaces.grown(dropped, spaces.counters('c1'))}")
    results.equal(f"{kind}: no wrong byte reached a reader", wrong, [])
    results.equal(f"{kind}: the honest frame behind a flipped one is taken", len(none), 0)
    results.equal(f"{kind}: every flip was sent", len(peer.at), 0)

    # The peer is gone. What the cache kept is all that can be had.
    spaces.feedctl("reader", "store", "flush")

    def again(feed):
        with spaces.inside("reader"), feedsock.reader(feed.name, seq, TIMEOUT_MS) as socket:
            return socket.entry()

    got = spaces.spread(again, feeds)
    wrong = [at for at, feed, data in zip(places, feeds, got)
             if not isinstance(data, Exception) and data != feed.payload(seq)]
    none = [str(data) for data in got if isinstance(data, Exception)]
    results.equal(f"{kind}: nothing wrong is in the cache", wrong, [])
    results.equal(f"{kind}: and nothing is missing from it", none[:3], [])


def main():
    results = Results()
    for kind in sys.argv[2:]:
        flip(results, kind, int(sys.argv[1]))
    results.end()


main()
