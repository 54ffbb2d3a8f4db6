# SPDX-License-Identifier: GPL-2.0
"""Finds a kernel's cries for help in console output.

One splat fails a run, so the patterns are strict on both sides: they match
what the kernel's own reporting functions print, at the start of the message,
and nothing that merely mentions those words.
"""

import re
from dataclasses import dataclass, field

# "[    1.234567][   T12] ", either part optional.
PREFIX = re.compile(r"^(?:<\d+>)?(?:\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? ?)?")

SPLAT = re.compile(r"""
    WARNING:[ ](?!.*\bUnprivileged[ ]eBPF\b)   # WARN(), lockdep, RCU
  | BUG:?[ ](?=\S)                             # BUG: KASAN, BUG: Bad page, BUG kmalloc-64
  | (?:NMI[ ])?watchdog:[ ].*(?:BUG:|LOCKUP)
  | kernel[ ]BUG[ ]at[ ]
  | INFO:[ ](?:task[ ].*[ ]blocked|trying[ ]to[ ]register|possible|suspicious|inconsistent)
  | (?:rcu:[ ])?INFO:[ ]rcu.*(?:stall|starved)
  | .*\bOops:[ ]
  | Kernel[ ]panic[ ]-[ ]not[ ]syncing
  | general[ ]protection[ ]fault
  | (?:stack[ ]segment|double[ ]fault|invalid[ ]opcode|divide[ ]error|int3):
  | UBSAN:
  | (?:list_add|list_del|slab|usercopy).*(?:corruption|overwritten|exposure[ ]attempt)
  | refcount_t:
  | kmemleak:[ ]\d+[ ]new[ ]suspected
  | DEBUG_LOCKS_WARN_ON
  | ODEBUG:
  | NETDEV[ ]WATCHDOG
  | unregister_netdevice:[ ]waiting
  | rust_kernel:[ ]panicked[ ]at
  | -+\[[ ]cut[ ]here[ ]\]-+
""", re.X)

# What belongs to a report after its first line: up to its end mark, to this
# many lines, or to a pause in the kernel's clock. Reports are printed in one go.
CONTEXT_LINES = 80
PAUSE_SECONDS = 0.3
END = re.compile(r"---\[ end ")


@dataclass
class Splat:
    lines: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Scanner:
    """Feed it console lines; `splats` grows. Lines that follow a splat belong
    to it, so one report is one splat however many patterns it matches."""

    def __init__(self) -> None:
        self.splats: list[Splat] = []
        self._left = 0
        self._clock = 0.0

    def feed(self, line: str) -> bool:
        """True when a new splat begins with this line."""
        prefix = PREFIX.match(line)
        message = line[prefix.end():]
        if prefix[1]:
            clock, self._clock = self._clock, float(prefix[1])
            if not 0 <= self._clock - clock <= PAUSE_SECONDS:
                self._left = 0
        if self._left > 0:
            self.splats[-1].lines.append(line)
            self._left = 0 if END.search(message) else self._left - 1
            return False
        if not SPLAT.match(message):
            return False
        self.splats.append(Splat([line]))
        self._left = CONTEXT_LINES
        return True

    def interrupt(self) -> None:
        """The machine is gone: what comes next is another kernel."""
        self._left = 0


def scan(text: str) -> list[Splat]:
    scanner = Scanner()
    for line in text.splitlines():
        scanner.feed(line)
    return scanner.splats
