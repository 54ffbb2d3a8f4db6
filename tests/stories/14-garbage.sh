#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# limit: 3600
#
#   [author]r----l[c1]r----l[reader]
#   [enemy]x------e[c1]
#
# A million random or mutated frames into the cache while transfers go through
# it. FEED_FLOOD=N sends fewer.
. "$(dirname -- "$0")/../lib.sh"

FLOOD=${FEED_FLOOD:-1000000}
QUIET=10000	# of each kind, when nobody else talks
SIZE=30000
COUNT=${FEED_TRANSFER:-200}

load
chain 2
node enemy
link enemy x c1 e
port c1 e
FILL=$TESTS/stories/fill.py
must on author python3 "$FILL" append content "$COUNT" "$SIZE"

say "frames to mutate: what the reader's link carries during a small transfer"
on reader python3 "$TESTS/stories/sample.py" l "$TMP/samples" &
sampler=$!
wait_until 60 test -e "$TMP/samples.ready"
check "a transfer" on reader python3 "$FILL" read content 0 5 "$SIZE"
wait "$sampler"

# Frames that came by the enemy's port.
came() {
	on c1 feedctl -j port | tr -d ' \n' | sed -n 's/.*"dev":"e"[^}]*"rx":{"frames":\([0-9]*\).*/\1/p'
}

# flood COUNT MODE DESTINATION: says how many frames and how many empty ones.
flood() {
	on enemy "$PROGS/flood" x "$1" "$2" "$3" "$TMP/samples" >>"$TMP/flood" 2>&1
}

# sent WORD: the sum of what the floods said of it.
sent() {
	awk -v word="$1" '{ for (i = 1; i < NF; i++) if ($i == word) sum += $(i + 1) } END { print sum + 0 }' "$TMP/flood"
}

# Frames beyond the softirq's own queue never reach anybody.
echo 1000000 >/proc/sys/net/core/netdev_max_backlog
lines=$(logged | wc -l)
before=$(came)
counters=$(on c1 feedctl -j stats show --all)
MAC=$(mac c1 e)
GROUP=03:00:46:45:45:44

# A third is random, two are mutated, of which one goes to the group.
begin=$(date +%s%3N)
{
	flood $((FLOOD / 3)) random "$MAC" &&
		flood $((FLOOD / 3)) mutated "$MAC" &&
		flood $((FLOOD - FLOOD / 3 * 2)) mutated "$GROUP"
	echo "status $?" >"$TMP/flooded"
} &
flooding=$!
transfers=0
wrong=0
until [ -e "$TMP/flooded" ] && [ "$transfers" -gt 0 ]; do
	must on reader feedctl store flush
	must on c1 feedctl store flush
	transfers=$((transfers + 1))
	began=$SECONDS
	on reader python3 "$FILL" read content 0 "$COUNT" "$SIZE" >"$TMP/read" 2>&1 || {
		wrong=$((wrong + 1))
		for n in reader c1 author; do
			say "$n: $(on "$n" feedctl stats show | paste -sd' ' | tr -s ' ')"
		done
		# In the result itself: a summary shows nothing else.
		not_ok "transfer $transfers, for $((SECONDS - began)) s beside the flood: $(tail -n 2 "$TMP/read" | paste -sd' ')"
	}
done
wait "$flooding"
took=$(($(date +%s%3N) - begin))
say "$FLOOD frames in $((took / 1000)) s, $((FLOOD * 1000 / took)) frames/s; $(grep seed "$TMP/flood" | paste -sd' ')"
check_equal "$FLOOD frames were sent" "$(cat "$TMP/flooded") $(sent sent)" "status 0 $FLOOD"
check_equal "each of $transfers transfers meanwhile ended with the right bytes" "$wrong" 0
check_equal "all frames arrived" "$(($(came) - before))" "$FLOOD"
named=$(python3 "$TESTS/stories/drops.py" "$counters" "$(on c1 feedctl -j stats show --all)")
say "$named"
read -r drops lookups answers _ <<<"$named"
check_between "$((FLOOD - $(sent empty))) of them held something: each was dropped by name or is a lookup or an answer" \
	"$((drops + lookups + answers))" "$((FLOOD - $(sent empty)))" 1000000000
check_equal "nothing is in the log" "$(logged | tail -n +$((lines + 1)) | head -n 5)" ""

say "without transfers the sums are exact"
for mode in random mutated; do
	[ "$mode" = random ] && most=105 || most=5000
	rm "$TMP/flood"
	before=$(came)
	counters=$(on c1 feedctl -j stats show --all)
	check "$QUIET $mode frames" flood "$QUIET" "$mode" "$MAC"
	check_equal "all arrived ($mode)" "$(($(came) - before))" "$QUIET"
	named=$(python3 "$TESTS/stories/drops.py" "$counters" "$(on c1 feedctl -j stats show --all)")
	say "$named; $(sent empty) empty"
	read -r drops lookups _ <<<"$named"
	# Nothing was asked of the enemy, so that no answer of its is taken. Nearly
	# all random frames are dropped whole or hold one message, others many.
	check_between "what was no lookup was dropped by name ($mode)" "$drops" \
		"$((QUIET - $(sent empty) - lookups))" "$((QUIET * most / 100))"
done

must on reader feedctl store flush
check "all that the cache holds is right" on reader python3 "$FILL" read content 0 "$COUNT" "$SIZE"

story_end
