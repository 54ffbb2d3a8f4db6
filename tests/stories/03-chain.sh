#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[c2]r-- … --l[reader]        1 to 5 links
#
# Every cache on the way keeps what passes; each entry says how many hops it
# came.
. "$(dirname -- "$0")/../lib.sh"

load
random_file small 700
random_file big 100000
for hops in 1 2 3 4 5; do
	say "$hops links"
	chain "$hops"
	# Two feeds: readers fetch ahead, and what came so is no hop away later.
	FEED=$(key "k$hops")
	new_feed author "k$hops" "$TMP/small"
	BIG=$(key "b$hops")
	new_feed author "b$hops" "$TMP/big"
	check "$hops links: a small entry" same reader "$FEED" 0 "$TMP/small"
	check_equal "$hops links: hops of the small entry" "$(stat_of reader "$FEED" 0 hops)" "$hops"
	check "$hops links: an entry of many windows" same reader "$BIG" 0 "$TMP/big"
	check_equal "$hops links: hops of the big entry" "$(stat_of reader "$BIG" 0 hops)" "$hops"
	if [ "$hops" -gt 1 ]; then
		must on reader feedctl store flush
		check "$hops links: again, now from the nearest cache" same reader "$BIG" 0 "$TMP/big"
		check_equal "$hops links: one hop" "$(stat_of reader "$BIG" 0 hops)" 1
	fi
	for n in "${NODES[@]}"; do must ip netns del "$n"; done
	NODES=()
done

story_end
