#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""verify_pcap.py FILE.pcap...: check every answer in recordings of AF_FEED links.

Written from rust/core/PROTOCOL.md and from nothing else of this project, with
the `blake3` and `cryptography` packages. Each answer is checked against the
lookup that its token belongs to and against heads with valid signatures; blobs
are checked whole. What cannot be checked counts as a failure, too: a recording
must begin before the first lookup. KTAP on standard output.
"""

import collections
import struct
import sys

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KINDS = {1: "REFUSAL", 2: "HEAD", 3: "GRANT", 4: "CONS", 5: "PATH", 6: "PAGE", 7: "ENTRY",
         8: "BLOB_PATH", 9: "BLOB_PAGE", 10: "BLOB_DATA", 0x81: "LOOKUP_HEAD", 0x82: "LOOKUP_RANGE",
         0x83: "LOOKUP_CONS", 0x84: "LOOKUP_BLOB", 0x85: "FOLLOW"}


def pad(tag):
    return tag.encode().ljust(32, b"\0")


def K(tag, m):
    return blake3(m, key=pad(tag)).digest()


def node(left, right):
    return K("AF_FEED 1 node", left + right)


def root(n, top):
    return K("AF_FEED 1 root", struct.pack("<Q", n) + top)


class Bad(Exception):
    """An answer that does not prove itself."""


def need(holds, why):
    if not holds:
        raise Bad(why)


def climb(h, n, v, i, hashes, left_only=False, seen=None):
    """Section 6. With @left_only the old top of a consistency proof. The nodes
    that it meets go to @seen, by place."""
    hashes = list(hashes)
    seen = {} if seen is None else seen
    while i > 0 or 1 << v < n:
        seen[v, i, n] = h
        if (i ^ 1) << v < n:
            need(hashes, "too few hashes")
            s = seen[v, i ^ 1, n] = hashes.pop(0)
            if i & 1:
                h = node(s, h)
            elif not left_only:
                h = node(h, s)
        v, i = v + 1, i >> 1
    need(not hashes, "too many hashes")
    return h


def tree(hashes):
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return node(tree(hashes[:k]), tree(hashes[k:]))


def split_hashes(raw):
    need(len(raw) % 32 == 0, "hashes cut off")
    return [raw[i:i + 32] for i in range(0, len(raw), 32)]


class Link:
    def __init__(self):
        self.asked = {}                                   # token -> (kind, id, rest of the lookup)
        self.heads = collections.defaultdict(dict)        # id -> (epoch, n) -> root
        self.keys = {}                                    # (id, epoch) -> key
        self.names = set()
        self.pages = {}                                   # (id, epoch, n, window) -> proved leaf hashes
        self.paths = {}                                   # the same -> siblings, for pages to come
        self.nodes = collections.defaultdict(dict)        # (id, epoch) -> proved nodes by place
        self.blobs = collections.defaultdict(dict)        # (hash, len) -> offset -> bytes
        self.counts = collections.Counter()
        self.clear = 0

    def frame(self, data):
        data = data[14:]
        version, flags, length, reserved = struct.unpack_from("<BBHI", data)
        need(version == 1 and flags <= 1 and reserved == 0, "frame header")
        need(24 + length <= len(data), "frame cut off")
        body = data[24:24 + length]
        while len(body) >= 4 and body[0]:
            kind, mflags, size = struct.unpack_from("<BBH", body)
            need(4 <= size <= len(body), "message length")
            self.counts[KINDS.get(kind, hex(kind))] += 1
            if kind & 0x80:
                self.lookup(kind, body[:size])
            elif kind != 1:
                token, = struct.unpack_from("<Q", body, 8)
                need(token in self.asked, f"{KINDS.get(kind)} without a lookup")
                getattr(self, KINDS[kind].lower())(mflags, token, body[:size])
            body = body[size:]

    def lookup(self, kind, raw):
        token, = struct.unpack_from("<Q", raw, 8)
        self.asked[token] = (kind, raw[24:56], raw[56:])
        self.clear += any(name in raw for name in self.names)

    def root_of(self, token, epoch, n):
        known = self.heads[self.asked[token][1]]
        need((epoch, n) in known, f"no head ({epoch}, {n}) was seen")
        return known[epoch, n]

    def head(self, _flags, token, raw):
        signed, ident = raw[16:], self.asked[token][1]
        version, kind, flags, epoch, n = struct.unpack_from("<BBHIQ", signed)
        name, top = signed[32:64], signed[64:96]
        need(len(signed) == 160 and (version, kind) == (1, 0) and flags <= 1, "head")
        need(blake3(b"AF_FEED 1 id" + bytes(9), key=name).digest() == ident, "another feed's head")
        key = name if epoch == 0 else self.keys.get((ident, epoch))
        need(key is not None, "a head without its grant")
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signed[96:], pad("AF_FEED 1 head") + signed[:96])
        except InvalidSignature:
            raise Bad("signature of a head") from None
        need(self.heads[ident].setdefault((epoch, n), top) == top, "a fork")
        self.names.add(name)

    def grant(self, _flags, token, raw):
        signed, ident = raw[16:], self.asked[token][1]
        name, key = signed[32:64], signed[96:128]
        need(blake3(b"AF_FEED 1 id" + bytes(9), key=name).digest() == ident, "another feed's grant")
        try:
            Ed25519PublicKey.from_public_bytes(name).verify(signed[128:], pad("AF_FEED 1 grant") + signed[:128])
        except InvalidSignature:
            raise Bad("signature of a grant") from None
        self.keys[ident, struct.unpack_from("<I", signed, 4)[0]] = key

    def cons(self, _flags, token, raw):
        epoch, _, m, n = struct.unpack_from("<IIQQ", raw, 16)
        first, *rest = split_hashes(raw[40:])
        t = (m & -m).bit_length() - 1
        p = (m >> t) - 1
        need(root(n, climb(first, n, t, p, rest)) == self.root_of(token, epoch, n), "CONS: new root")
        need(root(m, climb(first, n, t, p, rest, True)) == self.root_of(token, epoch, m), "CONS: old root")

    def place(self, token, raw):
        epoch, _, n, window = struct.unpack_from("<IIQQ", raw, 16)
        return self.asked[token][1], epoch, n, window

    def path(self, _flags, token, raw):
        self.paths[self.place(token, raw)] = split_hashes(raw[40:])

    def keep(self, ident, epoch, n, seen):
        """Nodes that a proof has proved. Full ones are the same in every longer tree."""
        for (v, i, _), h in seen.items():
            self.nodes[ident, epoch][v, i, 0 if i + 1 << v <= n else n] = h

    def known_path(self, ident, epoch, n, window):
        known, path, v, i = self.nodes[ident, epoch], [], 5, window
        while i > 0 or 1 << v < n:
            if (i ^ 1) << v < n:
                place = (v, i ^ 1, 0 if (i ^ 1) + 1 << v <= n else n)
                need(place in known, f"PAGE without its PATH, and node {place} was never proved")
                path.append(known[place])
            v, i = v + 1, i >> 1
        return path

    def page(self, _flags, token, raw):
        epoch, _, n, window = struct.unpack_from("<IIQQ", raw, 16)
        leaves = split_hashes(raw[40:])
        need(len(leaves) == min(32, n - 32 * window), "PAGE: number of hashes")
        # The asker may hold the path, from this window's answers or from others'.
        ident, seen = self.asked[token][1], {}
        path = self.paths.get(self.place(token, raw)) or self.known_path(ident, epoch, n, window)
        need(root(n, climb(tree(leaves), n, 5, window, path, seen=seen)) == self.root_of(token, epoch, n), "PAGE")
        self.keep(ident, epoch, n, seen)
        self.pages[self.place(token, raw)] = leaves

    def entry(self, flags, token, raw):
        count, = struct.unpack_from("<H", raw, 6)
        epoch, length, n = struct.unpack_from("<IIQ", raw, 16)
        leaf, siblings, payload = raw[32:96], split_hashes(raw[96:96 + 32 * count]), raw[96 + 32 * count:]
        seq, = struct.unpack_from("<Q", leaf)
        size, = struct.unpack_from("<I", leaf, 24)
        h = K("AF_FEED 1 leaf", leaf)
        if flags & 1:
            seen = {}
            need(root(n, climb(h, n, 0, seq, siblings, seen=seen)) == self.root_of(token, epoch, n), "ENTRY: proof")
            self.keep(self.asked[token][1], epoch, n, seen)
        else:
            page = self.pages.get((self.asked[token][1], epoch, n, seq // 32))
            need(page and page[seq % 32] == h, "ENTRY: not in its page")
        need(len(payload) == length, "ENTRY: payload length")
        if flags & 2:
            need(length == size and blake3(payload).digest() == leaf[32:], "ENTRY: payload")

    def blob_path(self, _flags, token, _raw):
        need(self.asked[token][0] == 0x84, "BLOB_PATH for another lookup")

    blob_page = blob_path

    def blob_data(self, _flags, token, raw):
        kind, _, rest = self.asked[token]
        need(kind == 0x84, "BLOB_DATA for another lookup")
        blob, (length, asked) = rest[:32], struct.unpack_from("<IH", rest, 32)
        window, _, offset = struct.unpack_from("<HHI", raw, 16)
        need(window == asked, "BLOB_DATA of another window")
        at, data = 32768 * window + offset, raw[24:]
        need(at % 64 == 0 and at + len(data) <= length, "BLOB_DATA: range")
        known = self.blobs[blob, length]
        need(known.setdefault((at, len(data)), data) == data, "BLOB_DATA: two versions")

    def whole_blobs(self):
        """Every range that was seen must be a part of a blob that has its hash."""
        for (name, length), ranges in self.blobs.items():
            whole, have = bytearray(length), 0
            for (at, size), data in sorted(ranges.items()):
                need(at <= have, f"blob {name.hex()[:8]}: nothing was seen of {have}..{at}")
                need(at + size <= have or at == have or whole[at:have] == data[:have - at], "overlap differs")
                whole[at:at + size] = data
                have = max(have, at + size)
            need(have == length, f"blob {name.hex()[:8]}: its end was not seen")
            need(blake3(whole).digest() == name, f"blob {name.hex()[:8]}: hash")
            self.counts["whole blobs"] += 1


def records(path):
    with open(path, "rb") as file:
        order = "<" if file.read(24)[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        while len(header := file.read(16)) == 16:
            yield file.read(struct.unpack(order + "IIII", header)[2])


def main(paths):
    failed = 0
    print(f"KTAP version 1\n1..{2 * len(paths)}")
    for number, path in enumerate(paths):
        link, wrong = Link(), []
        for position, data in enumerate(records(path), 1):
            try:
                if data[12:14] == b"\x88\xb5":
                    link.frame(data)
            except (Bad, struct.error) as error:
                wrong.append(f"frame {position}: {error}")
        try:
            link.whole_blobs()
        except Bad as error:
            wrong.append(str(error))
        print(f"# {path}: {dict(link.counts)}")
        for line in wrong[:20]:
            print(f"# {line}")
        enough = link.counts["HEAD"] and link.counts["ENTRY"] and link.counts["whole blobs"]
        for at, (holds, what) in enumerate((((not wrong and enough), "every answer proves itself"),
                                            (link.clear == 0 and link.names, "no lookup holds a name")), 1):
            failed += not holds
            print(f"{'' if holds else 'not '}ok {2 * number + at} {path.rsplit('/')[-1]}: {what}")
    return failed != 0


sys.exit(main(sys.argv[1:]))
