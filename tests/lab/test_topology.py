# SPDX-License-Identifier: GPL-2.0
"""Topology files."""

import unittest

from lablib import LabError
from lablib.paths import QEMU_DIR
from lablib.topology import Topology, load, parse, parse_loss

EXAMPLE = """
# a comment
load feed family=18 debug=1
node a          # another
node b mem=512 cpus=2
node c off
link a b
link b c mtu=9000 loss=2.5%
"""


class TopologyFile(unittest.TestCase):
    def test_example(self):
        topology = parse(EXAMPLE, "example")
        self.assertEqual([(node.name, node.mem, node.cpus, node.off) for node in topology.nodes],
                         [("a", 384, 1, False), ("b", 512, 2, False), ("c", 384, 1, True)])
        self.assertEqual([(link.a, link.b, link.mtu, link.loss) for link in topology.links],
                         [("a", "b", 1500, 0.0), ("b", "c", 9000, 0.025)])
        self.assertEqual((topology.load[0].module, topology.load[0].parameters), ("feed", "family=18 debug=1"))
        self.assertEqual(topology.ends("b"), [(0, 1, "a"), (1, 0, "c")])

    def test_survives_json(self):
        topology = parse(EXAMPLE, "example")
        self.assertEqual(Topology.from_json(topology.to_json()), topology)

    def test_addresses_differ(self):
        topology = parse(EXAMPLE, "example")
        macs = {topology.mac(link, end) for link in range(2) for end in range(2)}
        self.assertEqual(len(macs), 4)
        self.assertTrue(all(mac.startswith("02:fe:ed:") for mac in macs))

    def test_mistakes_are_named(self):
        for text, said in [
            ("", "names no node"),
            ("node a\nnode a", "x:2: node a is there twice"),
            ("node a\nlink a a", "two ends"),
            ("node a\nlink a b", "no node b"),
            ("node a\nnode b\nlink a b\nlink b a", "linked twice"),
            ("node a\nnode b\nlink a b mtu=500", "between 1280 and 9000"),
            ("node a\nnode b\nlink a b speed=1", "unknown option speed=1"),
            ("node a mem=64", "at least"),
            ("node a mem=many", "x:1:"),
            ("node ../a", "no host name"),
            ("knot a", "expected"),
        ]:
            with self.subTest(text), self.assertRaisesRegex(LabError, said):
                parse(text, "x")

    def test_loss(self):
        self.assertEqual(parse_loss("5%"), 0.05)
        self.assertEqual(parse_loss("0"), 0.0)
        for wrong in ("x", "-1%", "101%", "5 %"):
            with self.subTest(wrong), self.assertRaises(LabError):
                parse_loss(wrong)

    def test_own_topologies_parse(self):
        names = [path.stem for path in (QEMU_DIR / "topologies").glob("*.topo")]
        self.assertIn("village", names)
        for name in names:
            self.assertTrue(load(name).nodes)

    def test_unknown_name_lists_what_there_is(self):
        with self.assertRaisesRegex(LabError, "pair"):
            load("no-such-topology")


if __name__ == "__main__":
    unittest.main()
