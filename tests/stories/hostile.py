# SPDX-License-Identifier: GPL-2.0
"""Answers that no honest neighbour gives: each kind of lie once, the honest
answer behind it. The reader behind the cache gets the right bytes, and the
cache has counted the lie under its reason."""

import errno
import hashlib
import struct
import time

import feedsock
from ktap import Results
from wire import frames, spaces
from wire.feed import Feed
from wire.peer import Asker, Server

TIMEOUT_MS = 20000
FORK_LEN = 1512      # struct feed_fork


def seed(text):
    return hashlib.sha256(f"hostile {text}".encode()).digest()


def feed_of(text, entries=3):
    feed = Feed(seed(text))
    for i in range(entries):
        feed.append(f"{text} {i}".encode())
    return feed


def only(kind, change):
    """A tamper: in answers to lookups of @kind, lies come before the truth."""
    def tamper(messages, lookup):
        return [*change(lookup), *messages] if lookup.kind == kind else messages
    return tamper


def with_bytes(raw, at, new):
    return raw[:at] + new + raw[at + len(new):]


def cases():
    """(what, feed, tamper, reasons of which one must be counted)"""
    f = feed_of("forged head")
    thief = Feed(seed("thief"))
    forged = bytearray(f.head())
    forged[96:] = thief.signer.sign(b"AF_FEED 1 head".ljust(32, b"\0") + bytes(forged[:96]))
    yield ("a head signed by another key", f,
           only(frames.LOOKUP_HEAD, lambda m: [frames.head(m.token, bytes(forged))]), {"bad-signature"})

    f, other = feed_of("foreign"), feed_of("another feed")
    yield ("the head of another feed", f,
           only(frames.LOOKUP_HEAD, lambda m, o=other: [frames.head(m.token, o.head())]), {"wrong-name"})

    f = feed_of("longer than it is")
    yield ("a head with more entries than were signed", f,
           only(frames.LOOKUP_HEAD, lambda m, f=f: [frames.head(m.token, with_bytes(f.head(), 8, b"\7"))]), {"bad-signature"})

    f = feed_of("future")
    ahead = int(time.time() * 1000) + 3600_000
    yield ("a head from an hour ahead does no harm", f,
           only(frames.LOOKUP_HEAD, lambda m, f=f: [frames.head(m.token, f.head(time=ahead))]), None)

    f = feed_of("unknown flag")
    yield ("a head with an unknown critical flag", f,
           only(frames.LOOKUP_HEAD, lambda m, f=f: [frames.head(m.token, f.head(flags=0x100))]),
           {"bad-head", "reserved", "malformed"})

    f, g = feed_of("leaf of another"), feed_of("leaf from elsewhere")
    yield ("an entry of another feed", f,
           only(frames.LOOKUP_RANGE, lambda m, g=g: [
               frames.entry(m.token, 3, g.leaves[2], g.entry_siblings(2), g.payload(2))]), {"proof-mismatch"})

    f = feed_of("another payload")
    yield ("an entry with another payload of the same length", f,
           only(frames.LOOKUP_RANGE, lambda m, f=f: [
               frames.entry(m.token, 3, f.leaves[2], f.entry_siblings(2), f.payload(2)[::-1])]), {"blob-mismatch"})

    f = feed_of("another index")
    yield ("an entry under another index", f,
           only(frames.LOOKUP_RANGE, lambda m, f=f: [
               frames.entry(m.token, 3, with_bytes(f.leaves[1], 0, struct.pack("<Q", 2)), f.entry_siblings(2), f.payload(1))]),
           {"proof-mismatch"})

    f = feed_of("siblings missing")
    yield ("a proof that is too short", f,
           only(frames.LOOKUP_RANGE, lambda m, f=f: [
               frames.entry(m.token, 3, f.leaves[2], f.entry_siblings(2)[:-1], f.payload(2))]),
           {"proof-length", "malformed"})

    f = feed_of("siblings too many")
    yield ("a proof that is too long", f,
           only(frames.LOOKUP_RANGE, lambda m, f=f: [
               frames.entry(m.token, 3, f.leaves[2], f.entry_siblings(2) + [bytes(32)], f.payload(2))]),
           {"proof-length", "malformed"})

    f = feed_of("not asked")
    yield ("an entry that was not asked for", f,
           only(frames.LOOKUP_RANGE, lambda m, f=f: [
               frames.entry(m.token, 3, f.leaves[s], f.entry_siblings(s), f.payload(s))
               for s in range(3) if not m.want >> s & 1][:1]), None)

    f = feed_of("oversized payload")
    fat = bytes(1025)
    yield ("an inline payload over 1,024 bytes", f,
           only(frames.LOOKUP_RANGE, lambda m, f=f: [
               frames.entry(m.token, 3, f.leaves[2], f.entry_siblings(2), fat)]),
           {"malformed", "out-of-range", "truncated"})

    f = feed_of("length lies")
    yield ("a message longer than its frame", f,
           only(frames.LOOKUP_RANGE, lambda m: [struct.pack("<BBH", frames.ENTRY, 3, 4000) + bytes(60)]), None)

    f = feed_of("unsolicited")
    yield ("answers with a token that nobody gave", f,
           only(frames.LOOKUP_RANGE, lambda m, f=f: [
               frames.entry(m.token ^ 1 << 40, 3, f.leaves[2], f.entry_siblings(2), f.payload(2))]),
           {"unsolicited", "bad-token"})

    f = feed_of("unknown critical")
    yield ("an unknown critical message", f,
           only(frames.LOOKUP_HEAD, lambda m: [frames.message(0xC0, bytes(20))]), {"unknown-critical"})

    f = feed_of("unknown type")
    yield ("an unknown message that may be skipped", f,
           only(frames.LOOKUP_HEAD, lambda m: [frames.message(0x40, bytes(20))]), {"unknown-type"})

    f = feed_of("unsupported")
    yield ("OFFER, RECEIPT, FORK and CUSTODY", f,
           only(frames.LOOKUP_HEAD, lambda m: [frames.message(t, bytes(36)) for t in (0x20, 0x21, 0x22, 0xA0)]),
           {"unsupported"})

    f = feed_of("refused by a stranger")
    yield ("a refusal with a wrong token", f,
           only(frames.LOOKUP_HEAD, lambda m: [frames.refusal(m.token ^ 1 << 50, frames.NO_ROUTE)]),
           {"unsolicited", "bad-token"})


class Alone(Server):
    """Each message in a frame of its own: a lie must not take the truth with it."""

    def reply(self, destination, cookie, messages):
        for raw in messages:
            super().reply(destination, cookie, [raw])


def read(feed, seq):
    with spaces.inside("reader"), feedsock.reader(feed.name, seq, TIMEOUT_MS) as socket:
        return socket.entry()


def lies(results):
    for what, feed, tamper, reasons in cases():
        before = spaces.counters("c1")
        with spaces.inside("peer"):
            peer = Alone("r", [feed], tamper=tamper)
        with peer:
            try:
                got = read(feed, 2)
            except OSError as error:
                got = error
        rose = spaces.grown(before, spaces.counters("c1"))
        results.equal(f"{what}: right bytes", got, feed.payload(2))
        if reasons is not None:
            if not reasons & rose.keys():
                results.say(f"counters that rose: {rose}")
            results.case(bool(reasons & rose.keys()), f"{what}: counted as {' or '.join(sorted(reasons))}")


def old_heads(results):
    """What is held never goes back, and a shorter head is no fork."""
    feed = feed_of("old", 5)
    with spaces.inside("peer"):
        peer = Alone("r", [feed])
    with peer:
        results.equal("the newest head is held", read(feed, 4), feed.payload(4))
    known = feed.n

    class Old(Alone):
        def answers(self, m):
            if m.kind in (frames.LOOKUP_HEAD, frames.FOLLOW):
                return [frames.head(m.token, feed.head(2))]
            return super().answers(m)

    with spaces.inside("peer"):
        peer = Old("r", [feed])
    with peer, spaces.inside("reader"):
        with feedsock.reader(feed.name, known, 600) as socket:
            results.equal("old heads change nothing", socket.known()[1], known)
            results.equal("there is nothing newer", socket.ready(0.7), False)
            results.equal("the held head stays", socket.known()[1], known)


def fork(results, what, feed, other, tamper=None):
    """The node that meets the other branch has the proof. (Version 1 sends no
    evidence: nodes behind it just hear nothing new.)"""
    with spaces.inside("peer"):
        peer = Alone("r", [feed])
    with peer, spaces.inside("c1"), feedsock.reader(feed.name, 2, TIMEOUT_MS) as socket:
        results.equal(f"{what}: one branch is read", socket.entry(), feed.payload(2))
    with spaces.inside("peer"):
        peer = Alone("r", [other], tamper=tamper)
    with peer, spaces.inside("c1"), feedsock.reader(feed.name, 3, TIMEOUT_MS) as socket:
        try:
            got = socket.entry()
        except OSError as error:
            got = errno.errorcode[error.errno]
        results.equal(f"{what}: EBADMSG", got, "EBADMSG")
        try:
            evidence = socket.get(feedsock.FORK, FORK_LEN)
        except OSError as error:
            evidence = errno.errorcode[error.errno].encode()
        results.equal(f"{what}: evidence, both heads", evidence[:320], feed.head() + other.head())
        # Two roots of one length need no more; a longer head needs its proof.
        count = int.from_bytes(evidence[320:324], "little")
        results.equal(f"{what}: and the proof where it is needed", count > 0,
                      other.n > feed.n)
        results.equal(f"{what}: the held head stays", socket.head(), feed.head())


def forks(results):
    """Two trees under one key: proved, kept, reported."""
    feed, longer = feed_of("fork"), Feed(seed("fork"))
    for i in range(4):
        longer.append(f"the other branch {i}".encode())
    fork(results, "a longer head that does not extend", feed, longer)

    feed, equal = feed_of("fork of equal length"), Feed(seed("fork of equal length"))
    for i in range(3):
        equal.append(f"the other branch {i}".encode())
    fork(results, "another head of equal length", feed, equal,
         lambda messages, m: [frames.head(m.token, equal.head())]
         if m.kind in (frames.LOOKUP_HEAD, frames.FOLLOW) else messages)


def late(results):
    """An answer that comes after its time-out is not taken."""
    feed = feed_of("late")
    kept = []

    def hold(messages, lookup):
        if lookup.kind == frames.LOOKUP_RANGE:
            kept.append((lookup.source, messages))
            return []
        return messages

    with spaces.inside("peer"):
        peer = Alone("r", [feed], tamper=hold)
    with peer:
        with spaces.inside("reader"):
            socket = feedsock.reader(feed.name, 2, TIMEOUT_MS)
            socket.timeout(500)
            try:
                got = socket.entry()
            except OSError as error:
                got = error.errno
            socket.close()
        results.equal("nobody answers: ETIMEDOUT", got, 110)
        # Longer than the last lookup lives: it says for how long.
        time.sleep(max(m.life_ms for m in peer.lookups) / 1000 + 0.5)
        before = spaces.counters("c1")
        for source, messages in kept:
            Server.reply(peer, source, 0, messages)
        deadline = time.monotonic() + 10
        rose = {}
        while not {"unsolicited", "bad-token"} & rose.keys() and time.monotonic() < deadline:
            rose = spaces.grown(before, spaces.counters("c1"))
        results.say(f"{len(kept)} late answers; counters that rose: {rose}")
        results.case(bool({"unsolicited", "bad-token"} & rose.keys()), "late answers are dropped as unsolicited")
        results.case("entries" not in rose, "and nothing of them is kept")


def hop_limits(results):
    """A lookup that may go no further is refused; one that may is passed on
    with one hop less."""
    feed = feed_of("far away")
    with spaces.inside("peer"):
        peer = Alone("r", [feed])
    with spaces.inside("asker"):
        asker = Asker("x")
    with peer:
        got = asker.ask(frames.lookup_head(feed.ident, asker.token(), asker.nonce(), hop_limit=0))
        results.equal("a lookup that has used up its hops is refused",
                      [(m.name, getattr(m, "reason", None)) for m in got], [("REFUSAL", frames.HOP_LIMIT)])
        results.equal("and goes no further", [m for m in peer.lookups if m.ident == feed.ident], [])
        got = asker.ask(frames.lookup_head(feed.ident, asker.token(), asker.nonce(), hop_limit=3))
        results.equal("one that has hops left is answered", [m.signed for m in got], [feed.head()])
        results.equal("and was passed on with one less",
                      [m.hop_limit for m in peer.lookups if m.ident == feed.ident][:1], [2])
        results.equal("the answer has come over two links", [m.hops for m in got], [2])
    asker.close()


def main():
    results = Results()
    hop_limits(results)
    lies(results)
    old_heads(results)
    forks(results)
    late(results)
    results.end()


main()
