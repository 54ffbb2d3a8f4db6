# SPDX-License-Identifier: GPL-2.0
"""A feed in memory: leaves, tree, heads, grants, proofs, blobs.

The author of the tests: it signs what it is asked to, forks and lies too.
"""

import functools
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import blake3
from .blake3 import keyed

WINDOW = 32
ZERO = bytes(32)
FINAL = 1


def tagged(tag, data):
    """What S(tag, data) signs."""
    return tag.encode().ljust(32, b"\0") + data


def discovery_id(name, period=0):
    return blake3.blake3(b"AF_FEED 1 id" + struct.pack("<BQ", 0, period), name)


def leaf_hash(leaf):
    return keyed("AF_FEED 1 leaf", leaf)


@functools.lru_cache(1 << 16)
def node(left, right):
    return keyed("AF_FEED 1 node", left + right)


def split(count):
    """Leaves left of the root of a tree of @count > 1: RFC 9162, 2.1."""
    return 1 << ((count - 1).bit_length() - 1)


def top(hashes, join=node):
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return join(top(hashes[:k], join), top(hashes[k:], join))


def root(hashes):
    if not hashes:
        return ZERO
    return keyed("AF_FEED 1 root", struct.pack("<Q", len(hashes)) + top(hashes))


def inclusion(index, hashes, join=node):
    """Siblings from the bottom up: RFC 9162, 2.1.3.1."""
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if index < k:
        return inclusion(index, hashes[:k], join) + [top(hashes[k:], join)]
    return inclusion(index - k, hashes[k:], join) + [top(hashes[:k], join)]


def consistency(m, hashes):
    """RFC 9162, 2.1.4.1, with the old top always in it: the verifier holds
    root(m), from which top(m) cannot be had."""
    n = len(hashes)
    if m == n:
        return [top(hashes)]
    k = split(n)
    if m <= k:
        return consistency(m, hashes[:k]) + [top(hashes[k:])]
    return consistency(m - k, hashes[k:]) + [top(hashes[:k])]


class Blob:
    """A payload and its BLAKE3 tree."""

    def __init__(self, data):
        self.data = data
        self.cvs = blake3.chunk_cvs(data)
        self.hash = blake3.subtree(self.cvs, root=True)
        self.windows = [blake3.subtree(self.cvs[i:i + WINDOW])
                        for i in range(0, len(self.cvs), WINDOW)]

    def window(self, w):
        return self.data[w * WINDOW * blake3.CHUNK:(w + 1) * WINDOW * blake3.CHUNK]

    def page(self, w):
        return self.cvs[w * WINDOW:(w + 1) * WINDOW]

    def path(self, w):
        return inclusion(w, self.windows, blake3.parent)


class Feed:
    """One feed and its secret."""

    def __init__(self, seed, epoch=0, working_seed=None):
        self.seed = seed
        self.secret = Ed25519PrivateKey.from_private_bytes(seed)
        self.name = public(self.secret)
        self.epoch = epoch
        self.signer = Ed25519PrivateKey.from_private_bytes(working_seed) if working_seed else self.secret
        self.ident = discovery_id(self.name)
        self.leaves = []
        self.hashes = []
        self.blobs = {}
        self.offset = 0

    @property
    def n(self):
        return len(self.leaves)

    def append(self, payload, time=0, flags=0):
        blob = Blob(payload)
        self.blobs[blob.hash, len(payload)] = blob
        leaf = struct.pack("<QQQII", self.n, self.offset, time, len(payload), flags) + blob.hash
        self.leaves.append(leaf)
        self.hashes.append(leaf_hash(leaf))
        self.offset += len(payload)
        return leaf

    def payload(self, seq):
        length, = struct.unpack_from("<I", self.leaves[seq], 24)
        return self.blobs[self.leaves[seq][32:], length].data

    def head(self, n=None, time=0, next_by=0, flags=0, root_is=None):
        n = self.n if n is None else n
        statement = struct.pack("<BBHIQQQ", 1, 0, flags, self.epoch, n, time, next_by)
        statement += self.name + (root(self.hashes[:n]) if root_is is None else root_is)
        return statement + self.signer.sign(tagged("AF_FEED 1 head", statement))

    def grant(self, time=0, not_after=0, base_n=0):
        statement = struct.pack("<BBHIQQQ", 1, 0, 0, self.epoch, base_n, time, not_after)
        statement += self.name + root(self.hashes[:base_n]) + public(self.signer)
        return statement + self.secret.sign(tagged("AF_FEED 1 grant", statement))

    def entry_siblings(self, seq, n=None):
        return inclusion(seq, self.hashes[:self.n if n is None else n])

    def page(self, window, n=None):
        return self.hashes[:self.n if n is None else n][window * WINDOW:(window + 1) * WINDOW]

    def path(self, window, n=None):
        n = self.n if n is None else n
        tops = [top(self.hashes[i:min(i + WINDOW, n)]) for i in range(0, n, WINDOW)]
        return inclusion(window, tops)

    def cons(self, m, n=None):
        return consistency(m, self.hashes[:self.n if n is None else n])


def public(secret):
    return secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
