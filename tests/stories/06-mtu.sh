#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]       MTU 1280, 9000, and mixed (1500 is everywhere else)
#   [author]r--l[reader]               frames from a NAPI poll: several at once, some lost or changed
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
random_file huge 3000000
for mtu in 1500 9000; do
	node author reader
	link author r reader l "$mtu"
	port author r
	port reader l
	uplink reader l
	must on author ethtool -K r tso off gro on >/dev/null
	must on reader ethtool -K l tso off gro on >/dev/null
	FEED=$(key "p$mtu")
	new_feed author "p$mtu" "$TMP/big" "$TMP/huge" "$TMP/small"
	check "MTU $mtu, by a poll: a big entry" same reader "$FEED" 0 "$TMP/big"
	modprobe sch_netem 2>/dev/null
	must on author tc qdisc add dev r root netem limit 10000 loss 3% corrupt 3%
	check "MTU $mtu, by a poll: a huge entry, with losses" same reader "$FEED" 1 "$TMP/huge"
	check "MTU $mtu, by a poll: a small one behind it" same reader "$FEED" 2 "$TMP/small"
	for n in "${NODES[@]}"; do must ip netns del "$n"; done
	NODES=()
done
node a b
link a x b y 1279
check "an MTU under 1280 is EINVAL" bash -c "ip netns exec a feedctl port add x 2>&1 | grep -qiE 'invalid|1280'"

story_end
