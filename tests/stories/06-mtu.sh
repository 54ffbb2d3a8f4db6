#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]       MTU 1280, 9000, and mixed (1500 is everywhere else)
#
# Frames are built for each link; a device with a smaller MTU cannot be a port.
. "$(dirname -- "$0")/../lib.sh"

load
random_file small 1024
random_file big 150000
for mtus in "1280 1280" "9000 9000" "9000 1280" "1280 9000"; do
	set -- $mtus
	node author c1 reader
	link author r c1 l "$1"
	link c1 r reader l "$2"
	port author r
	port c1 l r
	port reader l
	cache c1
	uplink c1 l
	uplink reader l
	FEED=$(key "k$1$2")
	new_feed author "k$1$2" "$TMP/small" "$TMP/big"
	# Many entries, so that proofs are long.
	seq 1 200 >"$TMP/lines"
	add author "k$1$2" --lines "$TMP/lines"
	check "MTU $1 then $2: an inline entry" same reader "$FEED" 0 "$TMP/small"
	check "MTU $1 then $2: a big entry" same reader "$FEED" 1 "$TMP/big"
	check "MTU $1 then $2: many entries" on reader bash -c "feedctl -q cat --lines $FEED 2..202 | cmp - $TMP/lines"
	check_equal "MTU $1 then $2: nothing was too long" "$(on c1 cat /sys/class/net/r/statistics/tx_dropped)" 0
	for n in "${NODES[@]}"; do must ip netns del "$n"; done
	NODES=()
done
node a b
link a x b y 1279
check "an MTU under 1280 is EINVAL" bash -c "ip netns exec a feedctl port add x 2>&1 | grep -qiE 'invalid|1280'"

story_end
