# SPDX-License-Identifier: GPL-2.0
"""recorded.py FILE.pcap FEED: what a recording of a link must not show."""

import sys

from ktap import Results
from recording import records
from wire import frames

path, name = sys.argv[1], bytes.fromhex(sys.argv[2].removeprefix("feed:"))

results = Results()
seen = {}
clear, short, broken = [], 0, []
for number, data in enumerate(records(path), 1):
    short += len(data) < 60
    try:
        view = frames.split(data[14:])
        messages = [frames.parse(raw) for raw in view.messages]
    except frames.Malformed as error:
        broken.append((number, str(error)))
        continue
    for m in messages:
        seen[m.name] = seen.get(m.name, 0) + 1
        if m.kind in frames.LOOKUPS and (name in data or name[:8] in data):
            clear.append(number)
results.say(f"{path}: {seen}")
results.equal("no lookup holds the name in clear", clear, [])
results.equal("no frame is shorter than 60 bytes", short, 0)
results.equal("every frame can be taken apart", broken, [])
for kind in ("LOOKUP_HEAD", "LOOKUP_RANGE", "LOOKUP_BLOB", "HEAD", "ENTRY", "BLOB_DATA"):
    results.case(kind in seen, f"there is a {kind} in it")
results.end()
