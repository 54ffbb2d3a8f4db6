# SPDX-License-Identifier: GPL-2.0
"""KTAP for the parts of stories that are written in Python."""

import sys
import traceback


class Results:
    def __init__(self):
        self.count = 0
        self.failed = 0
        print("  KTAP version 1", flush=True)

    @staticmethod
    def say(text):
        for line in str(text).splitlines():
            print(f"    # {line}", flush=True)

    def case(self, ok, name):
        self.count += 1
        self.failed += not ok
        print(f"  {'' if ok else 'not '}ok {self.count} {name}", flush=True)

    def equal(self, name, got, want):
        if got != want:
            self.say(f"got  {got!r:.300}")
            self.say(f"want {want!r:.300}")
        self.case(got == want, name)

    def attempt(self, name, function, *args):
        """A case that fails by raising."""
        try:
            function(*args)
        except Exception:
            self.say(traceback.format_exc())
            self.case(False, name)
        else:
            self.case(True, name)

    def end(self):
        print(f"  1..{self.count}", flush=True)
        sys.exit(self.failed != 0)
