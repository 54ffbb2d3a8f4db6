#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]
#                 \s--l[other]
#
# Ten times a forwarder's limit goes through it: it is never above the limit,
# and what two neighbours asked for is kept while a scan goes by (LRU would
# have lost all of it).
. "$(dirname -- "$0")/../lib.sh"

LIMIT=$((2 << 20))
SIZE=30000
HOT=15			# 0.45 MB: fits in the limit
SCAN=700		# 21 MB: ten times the limit

load
chain 2
node other
link c1 s other l
port c1 s
port other l
uplink other l
must on c1 feedctl store set limit "$LIMIT"
for n in reader other; do must on "$n" feedctl store set limit 8M; done
FILL=$TESTS/stories/fill.py
must on author python3 "$FILL" append hot "$HOT" "$SIZE"
must on author python3 "$FILL" append scan "$SCAN" "$SIZE"

check "the hot set is read here" on reader python3 "$FILL" read hot 0 "$HOT" "$SIZE"
check "and there" on other python3 "$FILL" read hot 0 "$HOT" "$SIZE"

watch() {
	local most=0 used
	while [ ! -e "$TMP/scanned" ]; do
		used=$(figure c1 used)
		[ "$used" -le "$most" ] || most=$used
		sleep 0.1
	done
	echo "$most" >"$TMP/most"
}
watch &
watcher=$!
check "a scan of ten times the limit" on reader python3 "$FILL" read scan 0 "$SCAN" "$SIZE"
touch "$TMP/scanned"
wait "$watcher"
check_between "the forwarder never held more than its limit" "$(cat "$TMP/most")" 1000000 "$LIMIT"
check_between "it evicted" "$(figure c1 evicted)" 150 100000

must on other feedctl store flush
result=$(on other python3 "$FILL" read hot 0 "$HOT" "$SIZE")
say "the hot set afterwards: $result"
check "it still reads right" test "${result#right $HOT wrong 0}" != "$result"
near=$(sed -n 's/.* 1:\([0-9]*\).*/\1/p' <<<"$result")
# LRU keeps nothing: since the hot set was read, ten times the limit went by.
check_between "a good part of it was still in the forwarder" "$near" $((HOT / 3)) "$HOT"

say "an author's own data is not evicted: at the limit appends fail"
must on author feedctl store set limit 24M
check_equal "the author gets ENOSPC" "$(on author python3 "$FILL" fill full "$SIZE" | cut -d' ' -f1)" ENOSPC
check "what was appended before still reads right" on reader python3 "$FILL" read scan 690 700 "$SIZE"

story_end
