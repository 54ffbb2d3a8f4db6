# SPDX-License-Identifier: GPL-2.0
"""The three ages of a feed that is handed over; see 24-grant.sh: the name key
signs, its grant is known but no head of the new epoch, the working key signs."""

import errno
import hashlib
import time

import feedsock
from ktap import Results
from wire import frames, spaces
from wire.feed import Feed
from wire.peer import Server

TIMEOUT_MS = 20000


def seed(text):
    return hashlib.sha256(f"grant {text}".encode()).digest()


class Granted(Feed):
    """Epoch 1 goes on where epoch 0 had `base` entries."""

    def __init__(self, of, working_seed, base):
        super().__init__(of.seed, epoch=1, working_seed=working_seed)
        self.leaves, self.hashes, self.blobs, self.offset = of.leaves[:], of.hashes[:], of.blobs, of.offset
        self.base = base

    def grant(self, **_):
        return super().grant(base_n=self.base)


class Unproved(Granted):
    """Its grant is good, its heads are not: somebody else signed them."""

    def head(self, *args, **more):
        good = super().head(*args, **more)
        return good[:96] + bytes(64)


def error_of(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return errno.errorcode[error.errno]


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def connected(name, timeout_ms=TIMEOUT_MS):
    with spaces.inside("reader"):
        return feedsock.reader(name, 0, timeout_ms)


def append_as_old_author(results, old):
    """The program that kept the old epoch's last head wants to go on."""
    with spaces.inside("reader"), feedsock.Socket() as author:
        name = author.seed(old.seed)
        author.timeout(TIMEOUT_MS)
        author.set(feedsock.AUTHOR_HEAD, old.head())
        results.equal("the name key may author it no more", error_of(author.bind, name), "EKEYREJECTED")
    with spaces.inside("reader"), feedsock.Socket() as author:
        name = author.seed(old.seed)
        results.equal("and cannot say that the feed is new", error_of(author.bind, name, feedsock.BIND_NEW), "EEXIST")


def main():
    results = Results()
    old = Feed(seed("name"))
    for i in range(3):
        old.append(f"signed by the name key, {i}".encode())
    unproved = Unproved(old, seed("working"), 3)
    new = Granted(old, seed("working"), 3)
    new.append(b"signed by the working key")

    with spaces.inside("peer"):
        peer = Server("r", [old])
    with peer:
        socket = connected(old.name)
        results.equal("epoch 0 is read", [socket.entry() for _ in range(3)], [old.payload(i) for i in range(3)])
        results.equal("its head is known", socket.known(), (0, 3))
        before = spaces.counters("reader")

        peer.feeds[old.ident] = unproved
        results.case(wait_for(lambda: not socket.ready(0.02) and any(m.kind == frames.FOLLOW for m in peer.lookups)),
                     "the reader follows the feed")
        follow = [m for m in peer.lookups if m.kind == frames.FOLLOW][-1]
        Server.reply(peer, follow.source, 0, [frames.head(follow.token, unproved.head()),
                                              frames.grant(follow.token, unproved.grant())])
        results.case(wait_for(lambda: error_of(socket.head) == "ENODATA"), "with the grant the old head is gone")
        rose = spaces.grown(before, spaces.counters("reader"))
        results.say(f"counters that rose: {rose}")
        results.case(rose.get("bad-signature", 0) > 0, "the forged head of the new epoch is refused")
        socket.set(feedsock.SEEK, bytes(16))
        results.equal("stored entries of the old epoch are told no more",
                      error_of(socket.receive, 100, feedsock.MSG_DONTWAIT), "EAGAIN")
        results.equal("nor to who connects now", error_of(connected, old.name, 500), "ETIMEDOUT")
        peer.lookups.clear()
        error_of(socket.receive, 100, feedsock.MSG_DONTWAIT)
        results.case(wait_for(lambda: any(m.kind == frames.LOOKUP_HEAD for m in peer.lookups)), "a head is looked for")
        asked = [m.at_least[0] for m in peer.lookups if m.kind == frames.LOOKUP_HEAD]
        results.equal("of the new epoch", set(asked), {1})
        append_as_old_author(results, old)

        peer.feeds[old.ident] = new
        results.equal("epoch 1 is read, the base and what follows",
                      [socket.entry() for _ in range(4)], [new.payload(i) for i in range(4)])
        results.equal("under its own head", socket.known(), (1, 4))
        append_as_old_author(results, old)

        peer.feeds[old.ident] = old
        before = spaces.counters("reader")
        follow = [m for m in peer.lookups if m.kind == frames.FOLLOW][-1:]
        head = [m for m in peer.lookups if m.kind == frames.LOOKUP_HEAD][-1:]
        for m in follow + head:
            Server.reply(peer, m.source, 0, [frames.head(m.token, old.head(time=1))])
        results.case(wait_for(lambda: "old-epoch" in spaces.grown(before, spaces.counters("reader"))),
                     "the old epoch's heads are refused")
        results.equal("the old epoch does not come back", socket.known(), (1, 4))
        socket.close()
    results.end()


main()
