# SPDX-License-Identifier: GPL-2.0
"""The tests' own codec, proofs and hashes, checked against themselves and
against published values. (What the module says is compared in the stories.)"""

import struct
import unittest

from wire import feed, frames
from wire.blake3 import blake3, keyed, parent, subtree


def pattern(length):
    return bytes(i % 251 for i in range(length))


class Blake3Test(unittest.TestCase):
    # Lengths and hashes from BLAKE3's official test_vectors.json.
    KEY = b"whats the Elvish word for friend"
    OFFICIAL = {
        0: ("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"),
        1: ("2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
            "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b"),
        1024: ("42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
               "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4"),
        31744: ("62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
                "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419"),
    }

    def test_official(self):
        for length, (plain, with_key) in self.OFFICIAL.items():
            self.assertEqual(blake3(pattern(length)).hex(), plain)
            self.assertEqual(blake3(pattern(length), self.KEY).hex(), with_key)

    def test_windows_make_the_hash(self):
        blob = feed.Blob(pattern(100_000))
        self.assertEqual(subtree(blob.windows, root=True), blake3(pattern(100_000)))
        for w in range(4):
            at, size, node = w, 4, subtree(blob.page(w))
            for sibling in blob.path(w):
                size = (size + 1) // 2
                node = parent(sibling, node, root=size == 1) if at & 1 else parent(node, sibling, root=size == 1)
                at >>= 1
            self.assertEqual(node, blob.hash)


def climb(seq, n, leaf, siblings):
    """RFC 9162, 2.1.3.2, literally."""
    fn, sn, r = seq, n - 1, leaf
    for p in siblings:
        assert sn != 0
        if fn & 1 or fn == sn:
            r = feed.node(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = feed.node(r, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


def join_roots(m, n, proof):
    """RFC 9162, 2.1.4.2, for proofs that always carry the old top."""
    fn, sn = m - 1, n - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        assert sn != 0
        if fn & 1 or fn == sn:
            fr, sr = feed.node(c, fr), feed.node(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = feed.node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return fr, sr


class TreeTest(unittest.TestCase):
    HASHES = [keyed("AF_FEED 1 leaf", struct.pack("<Q", i)) for i in range(70)]

    def test_inclusion(self):
        for n in range(1, 70):
            for seq in (0, n // 2, n - 1):
                siblings = feed.inclusion(seq, self.HASHES[:n])
                self.assertEqual(climb(seq, n, self.HASHES[seq], siblings), feed.top(self.HASHES[:n]))

    def test_consistency(self):
        for n in range(2, 70):
            for m in range(1, n):
                old, new = join_roots(m, n, feed.consistency(m, self.HASHES[:n]))
                self.assertEqual((old, new), (feed.top(self.HASHES[:m]), feed.top(self.HASHES[:n])))

    def test_path_of_a_window(self):
        f = feed.Feed(bytes(31) + b"\1")
        for i in range(70):
            f.append(b"%d" % i)
        for n in (1, 32, 33, 64, 65, 70):
            for window in range((n + 31) // 32):
                page = f.page(window, n)
                whole = f.entry_siblings(32 * window, n)
                below = feed.inclusion(0, page)
                self.assertEqual(whole[len(below):], f.path(window, n))


class FramesTest(unittest.TestCase):
    def test_sizes(self):
        ident, blob = bytes(32), bytes(32)
        for raw, size in (
                (frames.lookup_head(ident, 1, 2), 96), (frames.lookup_range(ident, 1, 2, 3, 0, 1), 88),
                (frames.lookup_cons(ident, 1, 2, 3, 4), 80), (frames.lookup_blob(ident, 1, 2, blob, 5, 0), 104),
                (frames.follow(ident, 1, 2, 3), 88), (frames.head(1, bytes(160)), 176),
                (frames.grant(1, bytes(192)), 208), (frames.cons(1, 2, 3, [blob] * 5), 40 + 160),
                (frames.path(1, 2, 0, [blob]), 72), (frames.entry(1, 2, bytes(64), [blob], b"xyz"), 96 + 32 + 3),
                (frames.blob_path(1, 0, [blob]), 56), (frames.blob_data(1, 0, 0, b"x" * 64), 88),
                (frames.refusal(1, 2), 16)):
            self.assertEqual(len(raw), size)
            self.assertEqual(struct.unpack_from("<H", raw, 2)[0], size)

    def test_round_trip(self):
        raw = frames.entry(7, 9, bytes(range(64)), [b"a" * 32, b"b" * 32], b"payload", epoch=3, hops=4)
        built = frames.frame([raw, frames.refusal(7, 5)], cookie_echo=1, cookie_give=2) + bytes(9)
        view = frames.split(built)
        self.assertEqual((view.cookie_echo, view.cookie_give, len(view.messages)), (1, 2, 2))
        m = frames.parse(view.messages[0])
        self.assertEqual((m.token, m.n, m.epoch, m.hops, m.payload, len(m.siblings)),
                         (7, 9, 3, 4, b"payload", 2))
        self.assertEqual(frames.parse(view.messages[1]).reason, 5)

    def test_short_frames(self):
        whole = frames.frame([frames.refusal(1, 2)])
        for cut in range(len(whole)):
            with self.assertRaises(frames.Malformed):
                frames.split(whole[:cut])


if __name__ == "__main__":
    unittest.main()
