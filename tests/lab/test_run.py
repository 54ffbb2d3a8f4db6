# SPDX-License-Identifier: GPL-2.0
"""`lab run` on the stock kernel."""

import json
import os
import subprocess
import time
import unittest

from labcase import LAB, STATUS_LAB, STATUS_SPLAT, LabCase, RunCases
from lablib import tsc
from lablib.paths import stock_kernel


def runs(pid):
    """Whether there is more of a process than what its parent has not asked for yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


class StockRun(RunCases, LabCase):
    BED = "stock"

    def test_kernel_is_the_package_s(self):
        kernel = stock_kernel(None)
        self.assertEqual(self.ok(*self.run_words("-q", "--", "uname", "-r")).strip(), kernel.release)
        with open(kernel.vmlinuz, "rb") as file:
            summed = subprocess.run(["sha256sum"], stdin=file, capture_output=True, check=True).stdout
        self.assertEqual(summed.split()[0].decode(), kernel.sha256)

    def test_panic_fails_with_its_reason(self):
        said = self.fails(STATUS_SPLAT, *self.run_words("--", "sh", "-c", "echo c > /proc/sysrq-trigger"))
        self.assertIn("Kernel panic - not syncing", said)

    def test_memory_and_processors_as_asked(self):
        out = self.ok(*self.run_words("-q", "--mem", "512", "--cpus", "2", "--", "sh", "-c",
                                      "nproc; sed -n 's/MemTotal: *//p' /proc/meminfo"))
        processors, memory = out.splitlines()
        self.assertEqual(processors, "2")
        self.assertTrue(400_000 < int(memory.split()[0]) < 512 * 1024)

    def test_nothing_runs_but_the_agent(self):
        out = self.ok(*self.run_words("-q", "--", "sh", "-c", r"""
            for stat in /proc/[0-9]*/stat; do
                read -r pid name _ parent rest <"$stat" && [ "$parent" != 2 ] && echo "$pid $name"
            done 2>/dev/null"""))
        running = [line.split(" ", 1) for line in out.splitlines()]
        self.assertEqual([name for pid, name in running if name not in ("(kthreadd)", "(sh)")], ["(init)"])

    def test_clock_goes_as_ours(self):
        said = self.ok(*self.run_words("-q", "--", "sh", "-c", "dmesg | grep -o 'tsc: Detected [0-9.]*'"))
        if rate := tsc.rate_khz():
            self.assertAlmostEqual(float(said.split()[-1]) * 1000 / rate, 1, delta=0.001)

    def test_unknown_kernel_is_named(self):
        said = self.fails(STATUS_LAB, *self.run_words("--kernel", "1.2.3-none", "--", "true"))
        self.assertIn("1.2.3-none", said)
        self.assertIn("qemu/setup", said)

    def test_missing_set_up_names_the_command(self):
        with self.directory() as empty:
            said = self.fails(STATUS_LAB, *self.run_words("--", "true"), env={"AF_FEED_CACHE": str(empty)})
        self.assertIn("qemu/setup", said)

    def test_killed_client_leaves_nothing(self):
        client = subprocess.Popen([LAB, "--name", self.name(), *self.run_words("--", "sh", "-c", "echo up; sleep 999")],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(client.stdout.readline(), b"up\n")
        daemon = json.loads(self.ok("status", "-j"))["pid"]
        client.kill()
        client.communicate()
        deadline = time.monotonic() + 10
        while runs(daemon) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertFalse(runs(daemon))
        self.assertIn("no lab", self.fails(STATUS_LAB, "status"))


if __name__ == "__main__":
    unittest.main()
