#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# limit: 3600
#
#   [peer]r----l[c1]r----l[reader]      peer is a program with a raw socket
#
# Frames with answers of every kind, one bit of each byte flipped in turn. With
# FEED_STRIDE=N only every Nth byte.
. "$(dirname -- "$0")/../lib.sh"

load
node peer c1 reader
link peer r c1 l
link c1 r reader l
port c1 l r
port reader l
cache c1
uplink c1 l
uplink reader l
absorb python3 "$TESTS/stories/flipped.py" "${FEED_STRIDE:-1}" \
	HEAD GRANT CONS ENTRY PATH PAGE BLOB_PATH BLOB_PAGE BLOB_DATA REFUSAL

story_end
