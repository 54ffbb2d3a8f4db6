# SPDX-License-Identifier: GPL-2.0
"""Machines that do not come up."""

import asyncio
import platform
import tempfile
import unittest
from pathlib import Path

from lablib import LabError, tsc
from lablib.machine import MachineSpec, QemuMachine

FAULT = "[    2.616530] Oops: int3: 0000 [#1] SMP NOPTI"
BUG = "[    2.616530] Oops: 0002 [#1] SMP NOPTI"


class Agent:
    """Answers if the machine stays."""

    def __init__(self, machine):
        self.machine = machine

    async def configure(self, _configuration):
        if not self.machine.stays:
            await self.machine.ended(60)
            raise LabError("the machine went away")


class Puppet(QemuMachine):
    """Says a line at each start. It ends, unless that is no line at all."""

    def __init__(self, directory, accel, *says):
        spec = MachineSpec("puppet", "stock", "", "", "", mem=0, cpus=2, accel=accel)
        self.told = []
        self.says = list(says)
        super().__init__(spec, directory, lambda: None, lambda _name, splat: self.told.append(splat.lines[0]), [])

    def plugs(self, plug):
        async def connect():
            self.agent = Agent(self)

        return {}, connect

    def command(self, fds):
        line = self.says.pop(0)
        self.stays = not line
        return ["sleep", "1000"] if self.stays else ["printf", "%s\\n", line]


class Boots(unittest.TestCase):
    def boot(self, accel, *says):
        """Whether it came up, the splats that were told of, and how often it was started."""
        async def boot():
            with tempfile.TemporaryDirectory() as directory:
                machine = Puppet(Path(directory), accel, *says)
                try:
                    await machine.power_on()
                    up = True
                except LabError:
                    up = False
                await machine.power_off()
                return up, machine.told, machine.boots

        return asyncio.run(boot())

    def test_one_that_comes_up(self):
        self.assertEqual(self.boot("tcg", ""), (True, [], 1))

    def test_a_fault_of_the_emulator_is_nobodys_bug(self):
        self.assertEqual(self.boot("tcg", FAULT, ""), (True, [], 2))

    def test_it_is_tried_once_more_and_no_oftener(self):
        self.assertEqual(self.boot("tcg", FAULT, FAULT, ""), (False, [FAULT], 2))

    def test_a_bug_is_a_bug(self):
        self.assertEqual(self.boot("tcg", BUG, ""), (False, [BUG], 1))

    def test_a_processor_has_no_such_fault(self):
        self.assertEqual(self.boot("kvm", FAULT, ""), (False, [FAULT], 1))


class Clocks(unittest.TestCase):
    @unittest.skipUnless(platform.machine() == "x86_64", "another processor's counter")
    def test_the_counters_rate_is_what_the_clock_says(self):
        tsc.rate_khz.cache_clear()
        first = tsc.rate_khz()
        tsc.rate_khz.cache_clear()
        self.assertAlmostEqual(tsc.rate_khz() / first, 1, delta=0.001)
        self.assertTrue(100_000 < first < 10_000_000, first)

    def test_a_machine_is_told_unless_it_has_the_processor(self):
        with tempfile.TemporaryDirectory() as directory:
            words = {accel: Puppet(Path(directory), accel).kernel_command_line() for accel in ("tcg", "kvm")}
        rate = tsc.rate_khz()
        self.assertEqual(f"tsc_early_khz={rate}" in words["tcg"], rate is not None)
        self.assertNotIn("tsc_early_khz", words["kvm"])
