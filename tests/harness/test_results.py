# SPDX-License-Identifier: GPL-2.0
"""The readers of test output: what they must count, and above all what they
must not let pass."""

import unittest

from harness import results


def read(kind, text, status=0):
    reader = results.READERS[kind]()
    for line in text.splitlines():
        reader.feed(line)
    reader.close(status)
    return reader


class KtapTest(unittest.TestCase):
    def test_flat(self):
        r = read("ktap", "KTAP version 1\n1..3\nok 1 a\nok 2 - b\nok 3 c # SKIP no disk\n")
        self.assertEqual((r.passed, r.failures, r.skipped), (2, [], ["c (no disk)"]))

    def test_failure(self):
        r = read("ktap", "KTAP version 1\n1..2\nok 1 a\nnot ok 2 b\n", 1)
        self.assertEqual((r.passed, r.failures), (1, ["b"]))

    def test_nested_counts_leaves_only(self):
        r = read("ktap", "KTAP version 1\n1..2\n  KTAP version 1\n  1..2\n  ok 1 x\n  not ok 2 y\n"
                         "not ok 1 story\n  KTAP version 1\n  1..1\n  ok 1 z\nok 2 other\n", 1)
        self.assertEqual((r.passed, r.failures), (2, ["y"]))

    def test_parent_hides_child(self):
        r = read("ktap", "KTAP version 1\n1..1\n  1..1\n  not ok 1 y\nok 1 story\n")
        self.assertEqual(len(r.failures), 2)

    def test_parent_fails_alone(self):
        r = read("ktap", "KTAP version 1\n1..1\n  1..1\n  ok 1 y\nnot ok 1 leak\n", 1)
        self.assertEqual((r.passed, r.failures), (1, ["leak"]))

    def test_short_plan(self):
        r = read("ktap", "KTAP version 1\n1..3\nok 1 a\n")
        self.assertEqual(r.failures, ["1 results where 3 were planned"])

    def test_short_nested_plan(self):
        r = read("ktap", "KTAP version 1\n1..1\n  1..2\n  ok 1 a\nok 1 s\n")
        self.assertTrue(r.failures)

    def test_no_plan(self):
        self.assertTrue(read("ktap", "ok 1 a\n").failures)
        self.assertTrue(read("ktap", "Kernel panic\n").failures)
        self.assertTrue(read("ktap", "").failures)

    def test_status_alone(self):
        self.assertTrue(read("ktap", "1..1\nok 1 a\n", 3).failures)

    def test_console_noise(self):
        r = read("ktap", "[    0.1] boot\r\n\x1b[mKTAP version 1\r\n1..1\r\nok 1 a\r\n")
        self.assertEqual((r.passed, r.failures), (1, []))


class CargoTest(unittest.TestCase):
    OK = "running 2 tests\ntest a::b ... ok\ntest a::c ... ignored\n\n" \
         "test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n"

    def test_counts(self):
        r = read("cargo", self.OK + self.OK)
        self.assertEqual((r.passed, r.failures, r.skipped), (2, [], ["a::c", "a::c"]))

    def test_failure(self):
        r = read("cargo", "running 1 test\ntest a ... FAILED\n"
                          "test result: FAILED. 0 passed; 1 failed; 0 ignored\n", 101)
        self.assertEqual(r.failures, ["a"])

    def test_interleaved_output(self):
        r = read("cargo", "running 1 test\ntest a ... noise FAILED?\n"
                          "test result: FAILED. 0 passed; 1 failed; 0 ignored\n", 101)
        self.assertEqual(len(r.failures), 1)

    def test_abort(self):
        r = read("cargo", self.OK + "running 4 tests\ntest a ... ok\n", 101)
        self.assertEqual(len(r.failures), 1)

    def test_does_not_compile(self):
        self.assertTrue(read("cargo", "error: no such crate\n", 101).failures)

    def test_empty(self):
        self.assertTrue(read("cargo", "running 0 tests\n"
                                      "test result: ok. 0 passed; 0 failed; 0 ignored\n").failures)


class UnittestTest(unittest.TestCase):
    def test_counts(self):
        r = read("unittest", "test_a (m.T.test_a) ... ok\ntest_b (m.T.test_b) ... FAIL\n"
                             "Ran 2 tests in 0.1s\n\nFAILED (failures=1)\n", 1)
        self.assertEqual((r.passed, r.failures), (1, ["m.T.test_b"]))

    def test_cut_off(self):
        self.assertTrue(read("unittest", "test_a (m.T.test_a) ... ok\n").failures)
        self.assertTrue(read("unittest", "test_a (m.T.test_a) ... ok\nRan 2 tests in 0s\n").failures)


class ExitTest(unittest.TestCase):
    def test_both(self):
        self.assertEqual(read("exit", "", 0).passed, 1)
        self.assertEqual(read("exit", "", 1).failures, ["exit status 1"])


if __name__ == "__main__":
    unittest.main()
