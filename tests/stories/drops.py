# SPDX-License-Identifier: GPL-2.0
"""drops.py BEFORE AFTER: two JSON objects of all counters; how many drops were
counted between them, and under which names.

Which counters are drops is what rust/core/error.rs says: its reasons follow
the events in the dump, so this asks for the names of the events only."""

import json
import sys

EVENTS = {"frames-in", "lookups-in", "hits", "lookups-out", "merged", "resent", "timed-out", "answers-in",
          "frames-out", "refusals-out", "refusals-in", "heads", "entries", "windows", "chunk-mode",
          "pushes", "demoted"}
before, after = map(json.loads, sys.argv[1:3])
rose = {name: after[name] - before.get(name, 0) for name in after
        if name not in EVENTS and after[name] != before.get(name, 0)}
print(sum(rose.values()), rose)
