# SPDX-License-Identifier: GPL-2.0
"""A lab of two machines and a cable, from up to down."""

import json
import os
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from labcase import LAB, STATUS_LAB, STATUS_SPLAT, STATUS_TIMEOUT, LabCase

TOPOLOGY = """
node left
node right
node spare off
link left right mtu=9000
link right spare
"""


def records(path: Path) -> list[tuple[float, bytes]]:
    data, at, found = path.read_bytes(), 24, []
    while at < len(data):
        seconds, micros, length, _ = struct.unpack_from("<IIII", data, at)
        found.append((seconds + micros / 1e6, data[at + 16:at + 16 + length]))
        at += 16 + length
    return found


class Pair(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.here = Path(cls.scratch.name)
        (cls.here / "three.topo").write_text(TOPOLOGY)
        up = cls.lab("up", str(cls.here / "three.topo"))
        if up.returncode:
            raise AssertionError(up.stderr.decode())
        for node, address in ("left", "10.9.0.1"), ("right", "10.9.0.2"):
            cls.lab("exec", node, "--", "ip", "address", "add", f"{address}/24", "dev", "eth0")

    @classmethod
    def tearDownClass(cls):
        cls.lab("down", "--now")
        cls.scratch.cleanup()

    def status(self) -> dict:
        return json.loads(self.lab("status", "-j").stdout)

    def counters(self, link: int = 0) -> dict:
        return self.status()["links"][link]

    def ping(self, *words: str) -> bool:
        return self.lab("exec", "left", "--", "ping", "-q", "-W", "2", *words, "10.9.0.2").returncode == 0

    def until(self, status: int, node: str, *words: str) -> None:
        """Run it until it ends with this status."""
        deadline = time.monotonic() + 20
        while (done := self.lab("exec", node, "--", *words)).returncode != status and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(done.returncode, status, words)

    def test_exec_streams_and_status(self):
        done = self.lab("exec", "-i", "left", "--", "sh", "-c", "cat; echo err >&2; exit 3", stdin=b"in\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, b"in\n", b"err\n"))
        self.assertEqual(self.lab("exec", "left", "--", "sh", "-c", "kill -9 $$").returncode, 137)
        self.assertIn("No such file", self.fails(127, "exec", "left", "--", "/no/such/program"))

    def test_exec_without_input_sees_its_end(self):
        self.assertEqual(self.ok("exec", "left", "--", "cat", stdin=b"not for you"), "")

    def test_exec_many_at_once(self):
        results = {}

        def one(number: int) -> None:
            results[number] = self.ok("exec", "left", "--", "sh", "-c", f"sleep 0.{number}; echo {number}")

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number: f"{number}\n" for number in range(8)})

    def test_exec_nobody_reads_stalls_alone(self):
        flood = subprocess.Popen([LAB, "--name", self.name(), "exec", "left", "--", "yes"], stdout=subprocess.PIPE)
        try:
            time.sleep(1)
            self.assertEqual(self.ok("exec", "left", "--", "echo", "still", "here"), "still here\n")
        finally:
            flood.kill()
            flood.communicate()

    def test_exec_ends_with_its_client(self):
        client = subprocess.Popen([LAB, "--name", self.name(), "exec", "left", "--", "sh", "-c",
                                   "echo up; sleep 4242 & wait"], stdout=subprocess.PIPE)
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.until(0, "left", "pgrep", "-f", "^sleep 4242")
        client.kill()
        client.communicate()
        self.until(1, "left", "pgrep", "-f", "^sleep 4242")

    def test_exec_background_lives_on(self):
        self.ok("exec", "left", "--", "sh", "-c", "sleep 4343 >/dev/null 2>&1 &")
        self.until(0, "left", "pkill", "-f", "^sleep 4343")

    def test_exec_time_out(self):
        self.assertIn("timed out", self.fails(STATUS_TIMEOUT, "exec", "--timeout", "1", "left", "--", "sleep", "99"))

    def test_push_and_pull(self):
        tree = self.here / "tree" / "deep"
        tree.mkdir(parents=True)
        (tree / "data").write_bytes(os.urandom(300_000))
        self.ok("push", "left", str(self.here / "tree"), "/var/pushed")
        self.ok("pull", "left", "/var/pushed", str(self.here / "pulled"))
        self.assertEqual((self.here / "pulled" / "deep" / "data").read_bytes(), (tree / "data").read_bytes())
        self.ok("push", "left", str(tree / "data"), "/tmp/")
        self.assertEqual(self.ok("exec", "left", "--", "stat", "-c", "%s", "/tmp/data"), "300000\n")
        self.assertNotEqual(self.lab("pull", "left", "/no/such", str(self.here / "x")).returncode, 0)
        self.assertFalse((self.here / "x").exists())

    def test_link_carries_full_frames_and_counts(self):
        before = self.counters()
        self.assertTrue(self.ping("-c", "3", "-i", "0.1", "-M", "do", "-s", "8972"))
        after = self.counters()
        for way in "a_to_b", "b_to_a":
            frames = after[way]["frames"] - before[way]["frames"]
            self.assertTrue(3 <= frames <= 7, frames)
            self.assertGreaterEqual(after[way]["bytes"] - before[way]["bytes"], 3 * 9014)

    def test_link_is_silent_by_itself(self):
        # Who has pinged makes sure by ARP, five seconds later, that the other is there.
        for node in ("left", "right"):
            self.ok("exec", node, "--", "ip", "neigh", "flush", "all")
        before = self.counters()
        time.sleep(2)
        self.assertEqual(self.counters()["a_to_b"], before["a_to_b"])

    def test_link_down_takes_the_carrier(self):
        self.ok("link", "left", "right", "down")
        self.assertFalse(self.ping("-c", "1", "-W", "1"))
        self.until(0, "right", "grep", "-qx", "0", "/sys/class/net/eth0/carrier")
        self.ok("link", "right", "left", "up")
        # The kernel looks at a carrier once a second: one answer is enough.
        self.assertTrue(self.ping("-c", "8", "-i", "0.3"))

    def test_link_loss(self):
        self.ok("link", "left", "right", "loss", "100%")
        before = self.counters()["a_to_b"]["lost"]
        self.assertFalse(self.ping("-c", "2", "-i", "0.2", "-W", "1"))
        self.assertGreaterEqual(self.counters()["a_to_b"]["lost"] - before, 1)
        self.ok("link", "left", "right", "loss", "0")
        # Who was asked in vain by ARP is asked once a second: one answer is enough.
        self.assertTrue(self.ping("-c", "8", "-i", "0.3"))

    def test_capture(self):
        path = self.here / "seen.pcap"
        begun = time.time()
        self.ok("capture", "left", "right", str(path))
        self.assertTrue(self.ping("-c", "2", "-i", "0.2", "-p", "feedfeed"))
        live = records(path)
        self.ok("capture", "left", "right", "--stop")
        self.ping("-c", "1")
        found = records(path)
        self.assertEqual(len(found), len(live))
        pings = [frame for _, frame in found if b"\xfe\xed\xfe\xed" in frame]
        self.assertEqual(len(pings), 4)
        for stamp, _ in found:
            self.assertTrue(begun - 1 < stamp < time.time() + 1)

    def test_names_of_interfaces(self):
        right = next(node for node in self.status()["nodes"] if node["name"] == "right")
        self.assertEqual([(one["name"], one["to"]) for one in right["interfaces"]],
                         [("eth0", "left"), ("eth1", "spare")])
        for one in right["interfaces"]:
            said = self.ok("exec", "right", "--", "cat", f"/sys/class/net/{one['name']}/address")
            self.assertEqual(said.strip(), one["mac"])
        self.assertEqual(self.ok("exec", "right", "--", "cat", "/sys/class/net/eth0/mtu"), "9000\n")
        self.assertEqual(self.ok("exec", "right", "--", "cat", "/sys/class/net/eth1/mtu"), "1500\n")

    def test_power(self):
        self.assertIn("is off", self.fails(STATUS_LAB, "exec", "spare", "--", "true"))
        self.assertEqual(self.ok("exec", "right", "--", "cat", "/sys/class/net/eth1/carrier"), "0\n")
        self.ok("power", "spare", "on")
        self.assertEqual(self.ok("exec", "right", "--", "cat", "/sys/class/net/eth1/carrier"), "1\n")
        self.ok("exec", "spare", "--", "sh", "-c", "echo written >/root/file")
        self.ok("power", "spare", "off")
        self.assertEqual(self.ok("exec", "right", "--", "cat", "/sys/class/net/eth1/carrier"), "0\n")
        self.ok("power", "spare", "on")
        self.assertEqual(self.lab("exec", "spare", "--", "test", "-e", "/root/file").returncode, 1)
        self.ok("power", "spare", "off")

    def test_second_lab_of_the_name_is_refused(self):
        self.assertIn("is running", self.fails(STATUS_LAB, "up", "pair"))

    def test_unknown_names(self):
        self.assertIn("no node nobody", self.fails(STATUS_LAB, "exec", "nobody", "--", "true"))
        self.assertIn("not linked", self.fails(STATUS_LAB, "link", "left", "spare", "down"))


class SplatInLab(LabCase):
    def test_splat_fails_exec_status_and_down(self):
        with tempfile.TemporaryDirectory() as scratch:
            topology = Path(scratch) / "one.topo"
            topology.write_text("node alone\n")
            self.ok("up", str(topology))
            said = self.fails(STATUS_SPLAT, "exec", "alone", "--", "sh", "-c",
                              "echo '<4>WARNING: made up by a test' >/dev/kmsg")
            self.assertIn("WARNING: made up by a test", said)
            self.ok("exec", "alone", "--", "true")
            self.assertEqual(self.lab("status").returncode, STATUS_SPLAT)
            self.assertIn("WARNING: made up", self.fails(STATUS_SPLAT, "down"))
            self.assertIn("no lab", self.fails(STATUS_LAB, "status"))


if __name__ == "__main__":
    unittest.main()
