#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [asker]x----s[node]      asker is a program with raw sockets
#
# A node answers in the buffer that a lookup came in, unless somebody else has
# that, too: the answer is right and the other's copy untouched, whether the
# buffer is the node's alone, a capture has it as well, or its bytes are pages
# that the asker maps; for frames that come one by one and from a NAPI poll.
. "$(dirname -- "$0")/../lib.sh"

load
node asker node
link asker x node s
port node s
FEED=$(key a)
seq 1001 1100 >"$TMP/lines"
new_feed node a --lines "$TMP/lines"
absorb python3 "$TESTS/stories/buffers.py" "$FEED" "one by one"
must on asker ethtool -K x tso off gro on >/dev/null
must on node ethtool -K s tso off gro on >/dev/null
absorb python3 "$TESTS/stories/buffers.py" "$FEED" "by a poll"

story_end
