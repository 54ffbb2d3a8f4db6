# SPDX-License-Identifier: GPL-2.0
"""`lab run` on User-Mode Linux."""

import unittest

from labcase import LabCase, RunCases
from lablib.paths import paths


@unittest.skipUnless((paths().cache / "uml-debug" / "linux").exists(), "no uml-debug kernel: run qemu/setup uml-debug")
class UmlDebugRun(RunCases, LabCase):
    BED = "uml-debug"

    def test_root_is_not_written(self):
        marker = "/usr/share/lab-was-here"
        self.assertEqual(self.ok(*self.run_words("-q", "--", "sh", "-c", f"echo x >{marker}; cat {marker}")), "x\n")
        self.assertFalse((paths().root / marker[1:]).exists())

    def test_checkers_are_there(self):
        out = self.ok(*self.run_words("-q", "--", "sh", "-c",
                                      "ls /sys/kernel/debug/kmemleak /proc/lockdep_stats; uname -r"))
        self.assertIn("/proc/lockdep_stats", out)


@unittest.skipUnless((paths().cache / "uml" / "linux").exists(), "no uml kernel: run qemu/setup uml")
class UmlRun(RunCases, LabCase):
    BED = "uml"


if __name__ == "__main__":
    unittest.main()
