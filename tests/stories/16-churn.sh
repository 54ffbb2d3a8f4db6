#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]
#
# Everything comes and goes at the worst moment: ports in the middle of
# transfers, namespaces with work in flight.
. "$(dirname -- "$0")/../lib.sh"

FILL=$TESTS/stories/fill.py
COUNT=150
SIZE=30000

# holds NODE BYTES: a transfer has got that far.
holds() {
	[ "$(figure "$1" live)" -ge "$2" ]
}

# slow KBIT: what the author sends goes at that rate. Slow enough, a transfer
# cannot end before the machine has done what is to happen in its middle.
slow() {
	must on author tc qdisc replace dev r root netem delay 5ms rate "$1kbit" limit 10000
}

# grew NODE COUNTER FROM
grew() {
	[ "$(counter "$1" "$2")" -gt "$3" ]
}

load
check "a module in use stays" python3 -c '
import subprocess, feedsock
with feedsock.Socket():
    raise SystemExit(subprocess.run(["rmmod", "feed"], stderr=subprocess.DEVNULL).returncode == 0)'

modprobe sch_netem 2>/dev/null
say "ports vanish in the middle of transfers"
chain 2
must on author python3 "$FILL" append content "$COUNT" "$SIZE"
for round in 1 2 3; do
	slow 2000
	on reader timeout 300 python3 "$FILL" read content 0 "$COUNT" "$SIZE" >"$TMP/read" 2>&1 &
	transfer=$!
	wait_until 60 holds reader 200000 || not_ok "round $round: the transfer does not begin"
	must on c1 feedctl port del l
	check "round $round: it was in the middle" test "$(figure reader live)" -lt $((COUNT * SIZE))
	# Long enough for the reader to miss it.
	missed=$(counter reader resent)
	wait_until 60 grew reader resent "$missed" || not_ok "round $round: the reader misses nothing"
	slow 50000
	port c1 l
	uplink c1 l
	wait "$transfer"
	check_equal "round $round: the transfer goes on when the port is back" "$?" 0
	must on reader feedctl store flush
	must on c1 feedctl store flush
done
slow 2000
on reader timeout 300 python3 "$FILL" read content 0 "$COUNT" "$SIZE" >"$TMP/read" 2>&1 &
transfer=$!
wait_until 60 holds reader 200000 || not_ok "the last transfer does not begin"
say "a cable is pulled out with its devices"
must ip -n c1 link del dev l
check_equal "the port has gone with its device" "$(on c1 feedctl port | grep -c ' l ')" 0
check_equal "and its route" "$(on c1 feedctl route)" ""
kill "$transfer" 2>/dev/null
wait "$transfer"

say "namespaces die with work in flight"
for n in "${NODES[@]}"; do ip netns del "$n"; done
NODES=()
for round in 1 2 3 4 5; do
	chain 2
	slow 1000
	must on author python3 "$FILL" append "content $round" 100 "$SIZE"
	readers=()
	for i in 1 2 3 4; do
		on reader python3 "$FILL" read "content $round" $((i * 20)) 100 "$SIZE" >/dev/null 2>&1 &
		readers+=($!)
	done
	wait_until 60 holds reader 60000 || not_ok "round $round: the transfers do not begin"
	check "round $round: work is in flight" test "$(figure reader live)" -lt $((100 * SIZE))
	case $round in
	1 | 2) must ip netns del c1 ;;
	3 | 4) must ip netns del author ;;
	*) ip netns pids reader | xargs -r kill -9; must ip netns del reader ;;
	esac
	{
		kill -9 "${readers[@]}"
		for n in author c1 reader; do
			ip netns pids "$n" | xargs -r kill -9
			ip netns del "$n"
		done
		wait "${readers[@]}"
	} 2>/dev/null
	NODES=()
	check "round $round: all that was used is given back" wait_until 60 idle
done
check "the module is free" wait_until 60 unload
check "every object has gone" leaks

story_end
