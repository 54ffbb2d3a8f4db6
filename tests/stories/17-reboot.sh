#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]       the author's machine is replaced
#
# An author comes back with an empty store. It must not sign a second branch:
# send() is ESTALE until a head at or above the one it remembers is held, and a
# head found in the network alone never permits signing.
. "$(dirname -- "$0")/../lib.sh"

load
chain 2
# The author asks too, when it has lost everything.
uplink author r
check "an author writes, a reader reads, the cache keeps" python3 "$TESTS/stories/reboot.py" first

say "power off: the author's namespace dies, a new machine takes its place"
must ip netns del author
must ip netns add author
must ip -n author link set dev lo up
# The cable's other end went with it.
link author r c1 a
port author r
port c1 a
uplink author r
# c1 had its uplink to the old author.
uplink c1 a
absorb python3 "$TESTS/stories/reboot.py" second

story_end
