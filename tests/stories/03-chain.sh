#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[c2]r--l[c3]r--l[c4]r--l[reader]
#
# A program on each node in turn reads what no other has asked for: it comes
# over 1 to 5 links, every cache on the way keeps what passes, and each entry
# says how many hops it came.
. "$(dirname -- "$0")/../lib.sh"

load
chain 5
random_file small 700
random_file big 100000
hops=0
for n in c1 c2 c3 c4 reader; do
	hops=$((hops + 1))
	# Two feeds: readers fetch ahead, and what came so is no hop away later.
	FEED=$(key "k$hops")
	new_feed author "k$hops" "$TMP/small"
	BIG=$(key "b$hops")
	new_feed author "b$hops" "$TMP/big"
	check "$hops links: a small entry" same "$n" "$FEED" 0 "$TMP/small"
	check_equal "$hops links: hops of the small entry" "$(stat_of "$n" "$FEED" 0 hops)" "$hops"
	must on "$n" feedctl store flush
	check "$hops links: an entry of many windows" same "$n" "$BIG" 0 "$TMP/big"
	check_equal "$hops links: hops of the big entry" "$(stat_of "$n" "$BIG" 0 hops)" "$hops"
	if [ "$hops" -gt 1 ]; then
		must on "$n" feedctl store flush
		check "$hops links: again, now from the nearest cache" same "$n" "$BIG" 0 "$TMP/big"
		check_equal "$hops links: one hop" "$(stat_of "$n" "$BIG" 0 hops)" 1
	fi
done

story_end
