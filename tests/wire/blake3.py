# SPDX-License-Identifier: GPL-2.0
"""BLAKE3 in plain Python, from its specification.

Slow and small. The test machines have no package for it, and the frames that
tests make must not come from the code under test.
"""

import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED = 1, 2, 4, 8, 16
CHUNK = 1024
MASK = 0xFFFFFFFF

COLUMNS_AND_DIAGONALS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def compress(cv, block, counter, length, flags):
    """The compression function: the next chaining value as 8 words."""
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    v = [*cv, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(COLUMNS_AND_DIAGONALS):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = (va + vb + m[2 * i]) & MASK
            vd ^= va
            vd = (vd >> 16 | vd << 16) & MASK
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & MASK
            va = (va + vb + m[2 * i + 1]) & MASK
            vd ^= va
            vd = (vd >> 8 | vd << 24) & MASK
            vc = (vc + vd) & MASK
            vb ^= vc
            vb = (vb >> 7 | vb << 25) & MASK
            v[a], v[b], v[c], v[d] = va, vb, vc, vd
        m = [m[i] for i in PERMUTATION]
    return tuple(v[i] ^ v[i + 8] for i in range(8))


def words(key):
    return struct.unpack("<8I", key)


def to_bytes(cv):
    return struct.pack("<8I", *cv)


def chunk_cv(data, index, root=False, key=None):
    """Chaining value of one chunk of at most 1,024 bytes."""
    base = KEYED if key else 0
    cv = words(key) if key else IV
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    for i, block in enumerate(blocks):
        flags = base
        if i == 0:
            flags |= CHUNK_START
        if i == len(blocks) - 1:
            flags |= CHUNK_END | (ROOT if root else 0)
        cv = compress(cv, block, index, len(block), flags)
    return to_bytes(cv)


def parent(left, right, root=False, key=None):
    """Chaining value of an inner node."""
    flags = PARENT | (KEYED if key else 0) | (ROOT if root else 0)
    return to_bytes(compress(words(key) if key else IV, left + right, 0, 64, flags))


def split(count):
    """Leaves in the left subtree of a tree of @count > 1 leaves."""
    return 1 << ((count - 1).bit_length() - 1)


def subtree(cvs, root=False, key=None):
    """The node over a list of chaining values (more than one when @root)."""
    if len(cvs) == 1:
        return cvs[0]
    left = split(len(cvs))
    return parent(subtree(cvs[:left], key=key), subtree(cvs[left:], key=key), root, key)


def chunk_cvs(data, key=None):
    """Chaining values of all chunks; of a single one, the root."""
    chunks = [data[i:i + CHUNK] for i in range(0, len(data), CHUNK)] or [b""]
    return [chunk_cv(chunk, i, len(chunks) == 1, key) for i, chunk in enumerate(chunks)]


def blake3(data, key=None):
    """The 32-byte hash of @data, keyed when a 32-byte @key is given."""
    return subtree(chunk_cvs(data, key), True, key)


def keyed(tag, data):
    """K(tag, data) of the protocol: the tag, padded with zeros, is the key."""
    return blake3(data, tag.encode().ljust(32, b"\0"))
