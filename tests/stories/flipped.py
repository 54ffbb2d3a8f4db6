# SPDX-License-Identifier: GPL-2.0
"""flipped.py KIND STRIDE: one feed for each byte of a frame that carries KIND.

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

KIND, STRIDE = sys.argv[1], int(sys.argv[2])
TIMEOUT_MS = 20000
# How many bytes of the longest frame of each kind are worth flipping: what
# lies behind in BLOB_DATA is payload like the rest.
BYTES = {"HEAD": 14 + 24 + 176, "GRANT": 14 + 24 + 176 + 208, "CONS": 14 + 24 + 176 + 40 + 3 * 32,
         "ENTRY": 14 + 24 + 96 + 2 * 32 + 40, "PATH": 14 + 24 + 40 + 2 * 32, "PAGE": 14 + 24 + 40 + 32 * 32,
         "REFUSAL": 60, "BLOB_PATH": 14 + 24 + 24 + 32, "BLOB_PAGE": 14 + 24 + 24 + 32 * 32,
         "BLOB_DATA": 14 + 24 + 24 + 200}


def seed(number):
    return hashlib.sha256(f"flipped {KIND} {number}".encode()).digest()


class Shared(Feed):
    """Feeds that differ in nothing but their key: the tree is made once."""

    def __init__(self, number, of, **more):
        super().__init__(seed(number), **more)
        self.leaves, self.hashes, self.blobs, self.offset = of.leaves, of.hashes, of.blobs, of.offset


FIRST = Blob(bytes(i % 253 for i in range(32 * 1024)))


class Tail(Blob):
    """A blob of two windows whose second holds one chunk of its own."""

    def __init__(self, number):
        last = f"the end of {KIND} {number}".encode()
        self.data = FIRST.data + last
        self.cvs = [*FIRST.cvs, blake3.chunk_cv(last, 32)]
        self.windows = [FIRST.windows[0], self.cvs[32]]
        self.hash = blake3.parent(*self.windows, root=True)


def with_blob(number):
    feed = Feed(seed(number))
    feed.append(b"before")
    blob = Tail(number)
    feed.blobs[blob.hash, len(blob.data)] = blob
    leaf = struct.pack("<QQQII", 1, 6, 0, len(blob.data), 0) + blob.hash
    feed.leaves.append(leaf)
    feed.hashes.append(blake3.keyed("AF_FEED 1 leaf", leaf))
    return feed


def make(numbers):
    if KIND.startswith("BLOB"):
        return [with_blob(number) for number in numbers]
    base = Feed(seed("base"))
    for i in range(70 if KIND in ("PATH", "PAGE") else 3):
        base.append(f"entry {i} of a feed that somebody flips".encode())
    if KIND == "GRANT":
        return [Shared(number, base, epoch=1, working_seed=seed(f"working {number}")) for number in numbers]
    return [Shared(number, base) for number in numbers]


SEQ = 1 if KIND.startswith("BLOB") else 2


class Peer(Server):
    """Flips byte `at[ident]` of the first frame that carries KIND."""

    def __init__(self, *args, **more):
        super().__init__(*args, mangle=self.flip, **more)
        self.at = {}
        self.lookup = None
        self.lied = set()
        self.grown = set()

    def answers(self, m):
        self.lookup = m
        feed = self.feeds.get(m.ident)
        if KIND == "CONS" and feed and m.ident not in self.grown:
            # The feed is one entry shorter until its first head is held.
            return self.shorter(feed, m)
        if KIND == "REFUSAL" and m.ident not in self.lied:
            self.lied.add(m.ident)
            return [frames.refusal(m.token, frames.BUSY)]
        out = super().answers(m)
        if KIND == "BLOB_PAGE" and m.kind == frames.LOOKUP_BLOB and not m.flags & frames.CHUNK_MODE:
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
        if at is None or KIND not in kinds:
            return [data]
        del self.at[self.lookup.ident]
        at %= len(data)  # shorter than the longest of its kind
        return [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:], data]


def main():
    results = Results()
    places = list(range(0, BYTES[KIND], STRIDE))
    feeds = make(places)
    with spaces.inside("peer"):
        peer = Peer("r", feeds, pages=KIND in ("PATH", "PAGE"))
    peer.at = {feed.ident: at for feed, at in zip(feeds, places)}
    dropped = spaces.counters("c1")

    def read(feed):
        with spaces.inside("reader"):
            if KIND == "CONS":
                with feedsock.reader(feed.name, 1, TIMEOUT_MS) as socket:
                    first = socket.entry()
                    peer.grown.add(feed.ident)
                    return first, socket.entry()
            with feedsock.reader(feed.name, SEQ, TIMEOUT_MS) as socket:
                return socket.entry()

    def want(feed):
        return (feed.payload(1), feed.payload(2)) if KIND == "CONS" else feed.payload(SEQ)

    with peer:
        got = spaces.spread(read, feeds)
    wrong = [at for at, feed, data in zip(places, feeds, got)
             if not isinstance(data, Exception) and data != want(feed)]
    none = [(at, str(data)) for at, data in zip(places, got) if isinstance(data, Exception)]
    results.say(f"{KIND}: {len(places)} flips, {len(wrong)} wrong, {len(none)} without an answer {none[:5]}")
    results.say(f"c1: {spaces.grown(dropped, spaces.counters('c1'))}")
    results.equal(f"{KIND}: no wrong byte reached a reader", wrong, [])
    results.equal(f"{KIND}: the honest frame behind a flipped one is taken", len(none), 0)
    results.equal(f"{KIND}: every flip was sent", len(peer.at), 0)

    # The peer is gone. What the cache kept is all that can be had.
    spaces.feedctl("reader", "store", "flush")

    def again(feed):
        with spaces.inside("reader"), feedsock.reader(feed.name, SEQ, 3000) as socket:
            return socket.entry()

    got = spaces.spread(again, feeds)
    wrong = [at for at, feed, data in zip(places, feeds, got)
             if not isinstance(data, Exception) and data != feed.payload(SEQ)]
    none = [str(data) for data in got if isinstance(data, Exception)]
    results.equal(f"{KIND}: nothing wrong is in the cache", wrong, [])
    results.equal(f"{KIND}: and nothing is missing from it", none[:3], [])
    results.end()


main()
