# SPDX-License-Identifier: GPL-2.0
"""Readers of test output: lines go in, counts and failures come out.

Every reader is fed one line at a time, so that progress can be shown while a
suite runs, and is closed with the exit status. What a reader cannot account
for (a crash, a missing plan, a status that disagrees) becomes a failure of its
own: silence never counts as success.
"""

import re

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def clean(line):
    """One line without colours, carriage returns and trailing blanks."""
    return ANSI.sub("", line).replace("\r", "").rstrip()


class Reader:
    """Counts of one suite."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skipped = []

    def good(self):
        self.passed += 1

    def bad(self, what):
        self.failures.append(what)

    def feed(self, line):
        raise NotImplementedError

    def finish(self):
        """Complain about what the lines left open."""

    def close(self, status):
        """The suite ended; @status is its exit status."""
        self.finish()
        if status != 0 and not self.failures:
            self.bad(f"exit status {status} although no test failed")
        if self.passed == 0 and not self.failures:
            self.bad("no test ran")


class Exit(Reader):
    """A program whose exit status is its one result."""

    def feed(self, line):
        pass

    def close(self, status):
        if status == 0:
            self.good()
        else:
            self.bad(f"exit status {status}")


class Cargo(Reader):
    """`cargo test`: one `running N tests` block per test binary."""

    RUNNING = re.compile(r"^running (\d+) tests?$")
    TEST = re.compile(r"^test (.+?) \.\.\. (ok|FAILED|ignored)\b")
    RESULT = re.compile(r"^test result: (ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored")

    def __init__(self):
        super().__init__()
        self.open = None
        self.seen_failures = 0

    def feed(self, line):
        line = clean(line)
        if m := self.RUNNING.match(line):
            self.finish()
            self.open = int(m[1])
            self.seen_failures = 0
        elif m := self.TEST.match(line):
            if m[2] == "FAILED":
                self.seen_failures += 1
                self.bad(m[1])
            elif m[2] == "ignored":
                self.skipped.append(m[1])
        elif m := self.RESULT.match(line):
            self.passed += int(m[2])
            for _ in range(int(m[3]) - self.seen_failures):
                self.bad("a test that printed no line of its own")
            self.open = None

    def finish(self):
        if self.open is not None:
            self.bad(f"a test binary with {self.open} tests ended without a result")
            self.open = None


class Unittest(Reader):
    """Python's unittest with -v."""

    TEST = re.compile(r"^(\w+) \(([\w.]+)\)(?:.*)? \.\.\. (ok|FAIL|ERROR|skipped)\b")
    RAN = re.compile(r"^Ran (\d+) tests? in ")

    def __init__(self):
        super().__init__()
        self.ran = None

    def feed(self, line):
        line = clean(line)
        if m := self.TEST.match(line):
            if m[3] == "ok":
                self.good()
            elif m[3] == "skipped":
                self.skipped.append(m[2])
            else:
                self.bad(m[2])
        elif m := self.RAN.match(line):
            self.ran = int(m[1])

    def finish(self):
        seen = self.passed + len(self.failures) + len(self.skipped)
        if self.ran is None:
            self.bad("ended before its closing line")
        elif self.ran != seen:
            self.bad(f"{self.ran} tests ran, {seen} results were seen")


class Ktap(Reader):
    """KTAP and TAP, nested by two (KTAP) or four (TAP 14) blanks.

    Leaves are counted. A parent counts only when nothing was counted below
    it, or when it failed although all of its children passed.
    """

    VERSION = re.compile(r"^( *)(?:K?TAP version \d+)$")
    PLAN = re.compile(r"^( *)1\.\.(\d+)\b")
    RESULT = re.compile(r"^( *)(ok|not ok) (\d+)\b ?(?:- )?(.*)$")
    DIRECTIVE = re.compile(r"^(.*?) ?# (SKIP|XFAIL)\b ?(.*)$", re.IGNORECASE)

    class Level:
        def __init__(self, indent):
            self.indent = indent
            self.plan = None
            self.results = 0
            self.leaves = 0
            self.failed = 0

    def __init__(self):
        super().__init__()
        self.levels = []
        self.seen_plan = False

    def level(self, indent):
        """The open level at @indent; deeper ones are left for `pop`."""
        if not self.levels or self.levels[-1].indent < indent:
            self.levels.append(self.Level(indent))
        return self.levels[-1]

    def pop(self, indent):
        """Close all levels deeper than @indent: (leaves, failures) below."""
        leaves = failed = 0
        while self.levels and self.levels[-1].indent > indent:
            done = self.levels.pop()
            leaves += done.leaves
            before = len(self.failures)
            self.check(done)
            failed += done.failed + len(self.failures) - before
        return leaves, failed

    def check(self, level):
        if level.plan is not None and level.plan != level.results:
            self.bad(f"{level.results} results where {level.plan} were planned")

    def feed(self, line):
        line = clean(line)
        if m := self.VERSION.match(line):
            self.pop(len(m[1]))
            self.level(len(m[1]))
        elif m := self.PLAN.match(line):
            self.level(len(m[1])).plan = int(m[2])
            self.seen_plan = True
        elif m := self.RESULT.match(line):
            self.result(len(m[1]), m[2] == "ok", m[4].strip())

    def result(self, indent, ok, name):
        leaves, failed = self.pop(indent)
        level = self.level(indent)
        level.results += 1
        directive = self.DIRECTIVE.match(name)
        if directive and ok:
            self.skipped.append(f"{directive[1]} ({directive[3]})")
        elif not ok:
            if failed == 0:
                self.bad(name or "unnamed")
            level.failed += max(failed, 1)
        elif failed:
            self.bad(f"{name}: says ok, but a part of it failed")
            level.failed += failed + 1
        elif leaves == 0:
            self.good()
        level.leaves += max(leaves, 1)

    def finish(self):
        self.pop(-1)
        if not self.seen_plan:
            self.bad("no plan line: it crashed or was cut off")


READERS = {"ktap": Ktap, "cargo": Cargo, "unittest": Unittest, "exit": Exit}
