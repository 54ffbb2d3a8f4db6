# SPDX-License-Identifier: GPL-2.0
"""Two implementations, one protocol: the golden vectors, which feed_core wrote,
against the tests' own code, which has not seen it."""

import json
import pathlib
import unittest

from wire import feed, frames

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors/feed"


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def raw(hashes):
    return [bytes.fromhex(h) for h in hashes]


def sample():
    sample_feed = feed.Feed(bytes([0x11]) * 32)
    for leaf in load("leaves")["leaves"]:
        sample_feed.append(leaf["payload"].encode(), leaf["time"], leaf["flags"])
    return sample_feed


class GoldenTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.feed = sample()

    def test_names(self):
        for name in load("names")["names"]:
            f = feed.Feed(bytes.fromhex(name["seed"]))
            self.assertEqual(f.name.hex(), name["name"])
            self.assertEqual(f.ident.hex(), name["discovery_id"])
            self.assertEqual(feed.discovery_id(f.name, 1).hex(), name["discovery_id_period_1"])

    def test_leaves(self):
        for leaf in load("leaves")["leaves"]:
            self.assertEqual(self.feed.leaves[leaf["seq"]].hex(), leaf["bytes"])
            self.assertEqual(self.feed.hashes[leaf["seq"]].hex(), leaf["hash"])

    def test_roots(self):
        for row in load("roots")["roots"]:
            self.assertEqual(feed.root(self.feed.hashes[:row["n"]]).hex(), row["root"])

    def test_heads(self):
        heads = load("heads")["heads"]
        checked = 0
        for head in heads:
            if head["epoch"] == 0:
                made = self.feed.head(head["n"], head["time"], head["next_by"], head["flags"])
                self.assertEqual(made.hex(), head["bytes"], head["what"])
                checked += 1
        self.assertGreater(checked, 2)

    def test_grants(self):
        names = {n["name"]: n["seed"] for n in load("names")["names"]}
        for grant in load("grants")["grants"]:
            f = feed.Feed(bytes([0x11]) * 32, grant["epoch"], bytes.fromhex(names[grant["key"]]))
            f.hashes = self.feed.hashes
            made = f.grant(grant["time"], grant["not_after"], grant["base_n"])
            self.assertEqual(made.hex(), grant["bytes"])

    def test_consistency(self):
        for row in load("proofs")["consistency"]:
            if "hashes" in row and row["n"] <= self.feed.n:
                self.assertEqual(self.feed.cons(row["m"], row["n"]), raw(row["hashes"]), (row["m"], row["n"]))

    def test_blobs(self):
        for row in load("blobs")["blobs"]:
            blob = feed.Blob(bytes(i % 251 for i in range(row["len"])))
            self.assertEqual(blob.hash.hex(), row["hash"])
            for window in row["windows"]:
                w = window["window"]
                if len(row["windows"]) > 1:
                    self.assertEqual(blob.windows[w].hex(), window["hash"])
                self.assertEqual(blob.page(w), raw(window["page"]))
                self.assertEqual(blob.path(w), raw(window["path"]))

    def test_frames_of_every_type(self):
        seen = set()
        for row in load("frames")["frames"]:
            view = frames.split(bytes.fromhex(row["bytes"]))
            self.assertEqual(len(view.messages), 1, row["what"])
            m = frames.parse(view.messages[0])
            self.assertEqual(m.kind, row["type"])
            seen.add(m.kind)
            for field, value in row["fields"].items():
                if isinstance(value, int) and not isinstance(value, bool) and hasattr(m, field):
                    self.assertEqual(getattr(m, field), value, (row["what"], field))
        self.assertLessEqual({*frames.LOOKUPS, *frames.ANSWERS, frames.REFUSAL}, seen)

    def test_answers_are_the_same_bytes(self):
        # HEAD, CONS, PATH, PAGE, ENTRY of the sample feed, built here.
        built = 0
        for row in load("frames")["frames"]:
            view = frames.split(bytes.fromhex(row["bytes"]))
            m = frames.parse(view.messages[0])
            mine = None
            if m.kind == frames.CONS:
                mine = frames.cons(m.token, m.m, m.n, self.feed.cons(m.m, m.n), m.epoch, m.hops)
            elif m.kind == frames.PATH:
                mine = frames.path(m.token, m.n, m.window, self.feed.path(m.window, m.n), m.epoch, m.hops)
            elif m.kind == frames.PAGE:
                mine = frames.page(m.token, m.n, m.window, self.feed.page(m.window, m.n), m.epoch, m.hops)
            elif m.kind == frames.ENTRY:
                seq = int.from_bytes(m.leaf[:8], "little")
                siblings = self.feed.entry_siblings(seq, m.n) if m.flags & frames.SIBLINGS else None
                payload = self.feed.payload(seq) if m.flags & frames.PAYLOAD else None
                mine = frames.entry(m.token, m.n, self.feed.leaves[seq], siblings, payload, m.epoch, m.hops)
            if mine is not None:
                self.assertEqual(mine, m.raw, row["what"])
                built += 1
        self.assertGreaterEqual(built, 4)


if __name__ == "__main__":
    unittest.main()
