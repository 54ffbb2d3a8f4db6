# SPDX-License-Identifier: GPL-2.0
"""The files that the lab writes: archives, captures, frames on the channel."""

import io
import os
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from lablib import frames, image
from lablib.cpio import CpioWriter
from lablib.pcap import PcapWriter


class Cpio(unittest.TestCase):
    def test_cpio_reads_it(self):
        with tempfile.TemporaryDirectory() as scratch:
            tree = Path(scratch) / "tree"
            (tree / "lib" / "feed").mkdir(parents=True)
            (tree / "lib" / "feed" / "feed.ko").write_bytes(b"x" * 4097)
            (tree / "run me").write_text("#!")
            (tree / "run me").chmod(0o755)
            (tree / "link").symlink_to("run me")
            archive = io.BytesIO()
            writer = CpioWriter(archive)
            self.assertEqual(writer.tree(tree, lambda name: f"stage/{name}"), 3)
            writer.close()
            out = Path(scratch) / "out"
            out.mkdir()
            subprocess.run(["cpio", "-idm", "--quiet", "--no-preserve-owner"], input=archive.getvalue(),
                           cwd=out, check=True)
            self.assertEqual((out / "stage/lib/feed/feed.ko").read_bytes(), b"x" * 4097)
            self.assertEqual(os.readlink(out / "stage/link"), "run me")
            self.assertTrue(os.access(out / "stage/run me", os.X_OK))

    def test_same_content_same_archive(self):
        def make() -> bytes:
            out = io.BytesIO()
            writer = CpioWriter(out)
            writer.file("a/b/c", b"1")
            writer.close()
            return out.getvalue()

        self.assertEqual(make(), make())

    def test_merged_usr(self):
        for name, becomes in [("lib/feed/feed.ko", "usr/lib/feed/feed.ko"), ("sbin", "usr/sbin"),
                              ("bin/x", "usr/bin/x"), ("library/x", "library/x"), ("usr/lib/x", "usr/lib/x")]:
            self.assertEqual(image.MERGED.sub(r"usr/\1", name, count=1)
                             if image.MERGED.match(name) else name, becomes)


class Pcap(unittest.TestCase):
    def test_records(self):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "x.pcap"
            writer = PcapWriter(path)
            writer.append([b"a" * 60, b"b" * 9014], 1_700_000_000_123_456_789)
            data = path.read_bytes()  # Whole before it is closed.
            writer.close()
        self.assertEqual(data[:4], b"\xd4\xc3\xb2\xa1")
        self.assertEqual(struct.unpack("<I", data[20:24]), (1,))
        self.assertEqual(struct.unpack("<IIII", data[24:40]), (1_700_000_000, 123_456, 60, 60))
        self.assertEqual(struct.unpack("<IIII", data[100:116])[2:], (9014, 9014))
        self.assertEqual(len(data), 24 + 16 + 60 + 16 + 9014)


class Frames(unittest.TestCase):
    def test_split_anywhere(self):
        wire = frames.encode(frames.STDOUT, 7, b"abc") + frames.encode(frames.CREDIT, 9, 65536)
        for cut in range(len(wire) + 1):
            decoder = frames.Decoder()
            got = decoder.feed(wire[:cut]) + decoder.feed(wire[cut:])
            self.assertEqual(got, [(frames.STDOUT, 7, b"abc"), (frames.CREDIT, 9, b"\0\1\0\0")])

    def test_too_long(self):
        with self.assertRaises(ValueError):
            frames.Decoder().feed(b"\xff" * 16)


if __name__ == "__main__":
    unittest.main()
