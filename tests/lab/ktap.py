# SPDX-License-Identifier: GPL-2.0
"""Runs unittest cases and prints KTAP."""

import sys
import time
import unittest


class KtapResult(unittest.TestResult):
    def __init__(self, total: int):
        super().__init__()
        self._number, self._started = 0, 0.0
        self._part_failed = False
        self.passed = self.failed = self.skipped_count = 0
        print(f"KTAP version 1\n1..{total}", flush=True)

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()

    def _line(self, verdict: str, test, directive: str = "") -> None:
        self._number += 1
        name = test.id().split(".", 1)[-1]
        took = time.monotonic() - self._started
        print(f"{verdict} {self._number} {name}{directive or f' # {took:.1f} s'}", flush=True)

    def _explain(self, test, error) -> None:
        for line in self._exc_info_to_string(error, test).splitlines():
            print(f"# {line}")

    def _fail(self, test, error) -> None:
        self.failed += 1
        self._explain(test, error)
        self._line("not ok", test)

    def addSubTest(self, test, subtest, err):
        """A test with a failed part gets no verdict of its own from unittest."""
        if err is not None:
            print(f"# {subtest.id()}")
            self._explain(test, err)
            self._part_failed = True

    def stopTest(self, test):
        if self._part_failed:
            self._part_failed = False
            self.failed += 1
            self._line("not ok", test)
        super().stopTest(test)

    def addSuccess(self, test):
        self.passed += 1
        self._line("ok", test)

    def addSkip(self, test, reason):
        self.skipped_count += 1
        self._line("ok", test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        self._fail(test, err)

    def addError(self, test, err):
        self._fail(test, err)


def run(names: list[str]) -> int:
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = KtapResult(suite.countTestCases())
    suite.run(result)
    skipped = f", {result.skipped_count} skipped" if result.skipped_count else ""
    print(f"# {result.passed} passed, {result.failed} failed{skipped}", flush=True)
    return 1 if result.failed or not result.passed else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
