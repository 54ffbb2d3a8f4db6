# SPDX-License-Identifier: GPL-2.0
"""A cable, with sockets in the place of machines."""

import asyncio
import socket
import struct
import tempfile
import unittest
from pathlib import Path

from lablib import LabError
from lablib.link import QUEUE_BYTES_MAX, Link
from lablib.topology import Link as LinkSpec


def wire(*frames: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)


class Cable(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.link = Link(LinkSpec("a", "b"))
        self.plugs = []
        for end in self.link.ends:
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            await asyncio.get_running_loop().create_connection(lambda end=end: end, sock=ours)
            self.plugs.append(theirs)

    async def asyncTearDown(self):
        for end in self.link.ends:
            if end.transport:
                end.transport.abort()
        for plug in self.plugs:
            plug.close()
        await asyncio.sleep(0)

    async def send(self, end: int, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.plugs[end], data)
        await asyncio.sleep(0.02)

    def received(self, end: int) -> bytes:
        data = b""
        try:
            while piece := self.plugs[end].recv(1 << 20):
                data += piece
        except BlockingIOError:
            pass
        return data

    async def test_carries_both_ways(self):
        frames = [b"x" * 60, b"y" * 9014]
        await self.send(0, wire(*frames))
        await self.send(1, wire(b"z" * 100))
        self.assertEqual(self.received(1), wire(*frames))
        self.assertEqual(self.received(0), wire(b"z" * 100))
        there, back = self.link.counters
        self.assertEqual((there.frames, there.bytes), (2, 9074))
        self.assertEqual((back.frames, back.bytes), (1, 100))

    async def test_frame_in_pieces(self):
        data = wire(b"x" * 60, b"y" * 61)
        for index in range(len(data)):
            await asyncio.get_running_loop().sock_sendall(self.plugs[0], data[index:index + 1])
        await asyncio.sleep(0.05)
        self.assertEqual(self.received(1), data)

    async def test_down_and_up(self):
        self.link.up = False
        await self.send(0, wire(b"x" * 60))
        self.assertEqual(self.received(1), b"")
        self.assertEqual(self.link.counters[0].unplugged, 1)
        self.link.up = True
        await self.send(0, wire(b"x" * 60))
        self.assertEqual(self.received(1), wire(b"x" * 60))

    async def test_other_end_unplugged(self):
        self.plugs[1].close()
        await asyncio.sleep(0.02)
        await self.send(0, wire(b"x" * 60))
        self.assertEqual((self.link.counters[0].frames, self.link.counters[0].unplugged), (0, 1))

    async def test_loss_is_about_right(self):
        self.link.loss = 0.1
        for _ in range(50):
            await self.send(0, wire(*[b"x" * 60] * 100))
            self.received(1)
        counters = self.link.counters[0]
        self.assertEqual(counters.frames + counters.lost, 5000)
        self.assertTrue(400 < counters.lost < 600, counters)

    async def test_machine_that_does_not_read_loses(self):
        frame = b"x" * 9014
        for _ in range(4 * QUEUE_BYTES_MAX // (100 * len(frame))):
            await self.send(0, wire(*[frame] * 100))
        self.assertGreater(self.link.counters[0].overflow, 0)
        self.assertLess(self.link.ends[1].transport.get_write_buffer_size(), 2 * QUEUE_BYTES_MAX)

    async def test_capture_holds_what_crossed(self):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "x.pcap"
            self.link.capture(path)
            with self.assertRaises(LabError):
                self.link.capture(path)
            await self.send(0, wire(b"x" * 60))
            self.link.up = False
            await self.send(0, wire(b"no" * 40))
            self.link.up = True
            await self.send(1, wire(b"y" * 70))
            self.assertEqual(self.link.stop_captures(), [{"file": str(path), "frames": 2}])
            data = path.read_bytes()
        self.assertEqual(len(data), 24 + 16 + 60 + 16 + 70)
        self.assertNotIn(b"nono", data)


if __name__ == "__main__":
    unittest.main()
