#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [first]     [second]      no link between them
#
# What one user may pin is three quarters of the cap, in all namespaces
# together: then send() is EDQUOT, for him alone.
. "$(dirname -- "$0")/../lib.sh"

FILL=$TESTS/stories/fill.py
SIZE=30000
CAP=$((16 << 20))

# as NODE USER…: fill.py as somebody without privileges.
as() {
	on "$1" setpriv --reuid "$2" --clear-groups --inh-caps=-all python3 "$FILL" "${@:3}"
}

load
must feedctl store set cap "$CAP"
node first second
filled=$(as first 1000 fill one "$SIZE")
check_equal "at the quota send() is EDQUOT" "${filled% *}" EDQUOT
# What lies around the payload is his too.
check_between "after ${filled#* } entries of $SIZE bytes" "${filled#* }" $((CAP / 2 / SIZE)) $((CAP * 3 / 4 / SIZE))
check_equal "in another namespace too" "$(as second 1000 fill two "$SIZE")" "EDQUOT 0"
check "another user may append" as second 1001 append three 5 "$SIZE"
check "and what was appended is there" as first 1001 read one 0 "${filled#* }" "$SIZE"
must ip netns del first
NODES=(second)
check "what has gone is given back" wait_until 60 as second 1000 append four 5 "$SIZE"
# What was taken with MSG_MORE has no head yet, but room for all that it needs.
filled=$(as second 1000 batch five 900)
check_equal "in the middle of a batch send() is EDQUOT" "${filled% *}" EDQUOT
check "all entries before it come under a head" as second 1001 read five 0 "${filled#* }" 900

story_end
