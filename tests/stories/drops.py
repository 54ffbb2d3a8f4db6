# SPDX-License-Identifier: GPL-2.0
"""drops.py BEFORE AFTER: two JSON objects of all counters; how many drops,
lookups and answers were counted between them, and the drops by name.

Which counters are drops is what rust/core/error.rs says: its reasons follow
the events in the dump, so this asks for the names of the events only."""

import json
import sys

EVENTS = {"frames-in", "lookups-in", "hits", "lookups-out", "merged", "resent", "timed-out", "answers-in",
          "frames-out", "refusals-out", "refusals-in", "heads", "entries", "windows", "chunk-mode",
          "pushes", "demoted", "forks"}
before, after = map(json.loads, sys.argv[1:3])
rose = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
drops = {name: value for name, value in rose.items() if name not in EVENTS}
print(sum(drops.values()), rose.get("lookups-in", 0), rose.get("answers-in", 0), drops)
