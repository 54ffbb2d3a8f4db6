#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]
#                 \----l[other]
#
# Live readers: an append reaches all of them by itself, soon, and crosses the
# author's link once.
. "$(dirname -- "$0")/../lib.sh"

load
chain 2
node other
link c1 s other l
port c1 s
port other l
uplink other l
FEED=$(key a)
echo first >"$TMP/first"
new_feed author a "$TMP/first"
for n in reader other; do
	for i in 1 2 3; do
		on "$n" feedctl -q tail -f -n 1 "$FEED" >"$TMP/$n.$i" 2>"$TMP/$n.$i.err" &
	done
done
heard() {
	local n i
	for n in reader other; do
		for i in 1 2 3; do
			grep -q "$1" "$TMP/$n.$i" || return 1
		done
	done
}
check "all have the first entry" wait_until 60 heard first
before=$(on c1 cat /sys/class/net/l/statistics/rx_bytes)
for i in 1 2 3 4 5 6 7 8 9 10; do
	echo "live number $i." >"$TMP/live"
	add author a "$TMP/live"
done
check "all hear the tenth append" wait_until 60 heard "live number 10."
check "and none is missing" heard "live number 5."
crossed=$(($(on c1 cat /sys/class/net/l/statistics/rx_bytes) - before))
check_between "ten appends crossed the author's link in $crossed bytes" "$crossed" 1000 20000

say "longer than a FOLLOW lives: it is renewed"
sleep 31
echo "after the renewal" >"$TMP/live"
add author a "$TMP/live"
check "all hear it" wait_until 60 heard "after the renewal"

story_end
