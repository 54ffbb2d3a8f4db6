#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [node]      with one port, a cable that leads nowhere
#
# The module is loaded, used and unloaded a hundred times: nothing stays.
# FEED_RELOADS=N does it less often.
. "$(dirname -- "$0")/../lib.sh"

ROUNDS=${FEED_RELOADS:-100}
FIRST=$((ROUNDS / 5))	# by then the kernel has what it keeps for itself

# kB that are not the page cache's: what a leak would add to. First the kernel
# must let go of what it merely keeps at hand, and KASAN of what it has in
# quarantine.
held() {
	local cache
	echo 3 >/proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done 2>/dev/null
	awk '$1 ~ /^(Slab|VmallocUsed|Percpu):$/ { sum += $2 } END { print sum }' /proc/meminfo
}

# holds_at_most KB
holds_at_most() {
	HELD=$(held)
	[ "$HELD" -le "$1" ]
}

must ip netns add node
NODES=(node)
must ip -n node link add name d0 type dummy
must ip -n node link set dev d0 up
key a >/dev/null
random_file entry 5000
failed=0
before=0
for ((i = 1; i <= ROUNDS; i++)); do
	modprobe feed || failed=$i
	on node feedctl port add d0 || failed=$i
	rm -f "$TMP/a.head"
	on node feedctl -q append --new --key "$TMP/a" "$TMP/entry" >/dev/null || failed=$i
	# Not `wait_until`: with the last socket closed the module must be free.
	rmmod feed || failed=$i
	[ "$failed" -eq 0 ] || break
	[ "$i" -ne "$FIRST" ] || before=$(held)
	[ $((i % 20)) -ne 0 ] || say "after $i rounds: $(held) kB"
done
check_equal "all $ROUNDS rounds" "$failed" 0
check "every object of every round has gone" leaks
# A page in each round would show.
check "the last $((ROUNDS - FIRST)) rounds left nothing behind: $before kB" \
	wait_until 60 holds_at_most $((before + (ROUNDS - FIRST) * 4))
say "now $(held) kB"

story_end
