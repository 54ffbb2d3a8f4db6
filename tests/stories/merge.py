# SPDX-License-Identifier: GPL-2.0
"""merge.py NODE FEED SEQ FILE COUNT: many readers of one entry at once."""

import subprocess
import sys

node, name, seq, path, count = sys.argv[1:]
with open(path, "rb") as file:
    want = file.read()
# One namespace entry for all of them: they start within milliseconds.
script = f"for i in $(seq {count}); do feedctl -q cat --timeout 20000 {name}/{seq} >/tmp/merge.$i & done; wait"
subprocess.run(["ip", "netns", "exec", node, "bash", "-c", script], check=True)
right = 0
for i in range(1, int(count) + 1):
    with open(f"/tmp/merge.{i}", "rb") as file:
        right += file.read() == want
print(f"{right} of {count} right")
sys.exit(right != int(count))
