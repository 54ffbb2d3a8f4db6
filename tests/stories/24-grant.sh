#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [peer]r----l[reader]               peer is a program with a raw socket
#
# A grant hands a feed to another key: of the old epoch nothing is told any more,
# to local programs neither; the new one is read; the old key signs nothing.
. "$(dirname -- "$0")/../lib.sh"

load
node peer reader
link peer r reader l
port reader l
uplink reader l
absorb python3 "$TESTS/stories/grant.py"

story_end
