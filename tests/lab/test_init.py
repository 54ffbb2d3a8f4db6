# SPDX-License-Identifier: GPL-2.0
"""PID 1's own tests, with the compiler that builds it."""

import subprocess
import unittest

from lablib.paths import QEMU_DIR, paths


class Init(unittest.TestCase):
    def test_cargo_test(self):
        done = subprocess.run(
            [QEMU_DIR / "in-root", "--", "cargo", "test", "--locked",
             "--manifest-path", QEMU_DIR / "init" / "Cargo.toml", "--target-dir", paths().lab_cache / "init-target"],
            capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"test result: ok\. [1-9]\d* passed")


if __name__ == "__main__":
    unittest.main()
