#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]       both links lose, delay and reorder
#
# Ten of a hundred frames are lost in each direction of each link, others
# overtake each other: the bytes are right all the same.
. "$(dirname -- "$0")/../lib.sh"

load
chain 2
modprobe sch_netem 2>/dev/null
for end in "author r" "c1 l" "c1 r" "reader l"; do
	set -- $end
	must on "$1" tc qdisc add dev "$2" root netem limit 10000 delay 2ms 1ms loss 10% reorder 25%
done
FEED=$(key a)
random_file small 900
random_file big 500000
seq 1 300 >"$TMP/lines"
new_feed author a "$TMP/small" "$TMP/big"
add author a --lines "$TMP/lines"
READ_TIMEOUT_MS=60000
check "a small entry" same reader "$FEED" 0 "$TMP/small"
check "half a megabyte" same reader "$FEED" 1 "$TMP/big"
check "three hundred small entries" on reader bash -c "feedctl -q cat --timeout 60000 --lines $FEED 2..302 | cmp - $TMP/lines"
lost=$(on c1 tc -s qdisc show dev r | sed -n 's/.*dropped \([0-9]*\).*/\1/p')
check_between "the link really lost frames ($lost)" "$lost" 1 1000000
check_between "and something was asked for again" "$(($(counter reader resent) + $(counter c1 resent)))" 1 1000000

story_end
