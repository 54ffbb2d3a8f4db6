#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [peer]r----l[c1]r----l[reader]      peer and asker are programs with
#    [asker]x----s[c1]                  raw sockets
#
# Forged, foreign, old, late, oversized and unsolicited answers; forks.
. "$(dirname -- "$0")/../lib.sh"

load
node peer c1 reader asker
link peer r c1 l
link c1 r reader l
link asker x c1 s
port c1 l r s
port reader l
cache c1
uplink c1 l
uplink reader l
absorb python3 "$TESTS/stories/hostile.py"

story_end
