#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# limit: 900
#
#   [author]r--l[c1]r--l[reader]
#
# Everything comes and goes at the worst moment: the module a hundred times,
# ports in the middle of transfers, namespaces with work in flight.
. "$(dirname -- "$0")/../lib.sh"

FILL=$TESTS/stories/fill.py
ROUNDS=${FEED_RELOADS:-100}

slab_of() {
	awk '$1 == "Slab:" { print $2 }' /proc/meminfo
}

say "load and unload $ROUNDS times, with sockets, a port and an entry each time"
must ip netns add scratch
NODES=(scratch)
must ip -n scratch link add name d0 type dummy
must ip -n scratch link set dev d0 up
failed=0
before=0
for ((i = 1; i <= ROUNDS; i++)); do
	modprobe feed || failed=$i
	on scratch feedctl port add d0 || failed=$i
	on scratch python3 "$FILL" append "round $i" 3 5000 >/dev/null || failed=$i
	# Not `wait_until`: with the last socket closed the module must be free.
	rmmod feed || failed=$i
	[ "$failed" -eq 0 ] || break
	# What the kernel keeps for itself has settled after some rounds.
	[ "$i" -ne $((ROUNDS / 2)) ] || before=$(slab_of)
done
check_equal "all $ROUNDS rounds" "$failed" 0
check "every object of every round has gone" leaks
check_between "the second half left no slab behind (kB)" "$(($(slab_of) - before + 100000))" 0 $((100000 + ROUNDS * 40))

load
check "a module in use stays" python3 -c '
import subprocess, feedsock
with feedsock.Socket():
    raise SystemExit(subprocess.run(["rmmod", "feed"], stderr=subprocess.DEVNULL).returncode == 0)'
ip netns del scratch
NODES=()

say "ports vanish in the middle of transfers"
chain 2
must on author python3 "$FILL" append content 400 30000
for round in 1 2 3; do
	on reader timeout 120 python3 "$FILL" read content 0 400 30000 >"$TMP/read" 2>&1 &
	transfer=$!
	wait_until 20 test "$(figure reader live)" -gt 200000
	must on c1 feedctl port del l
	sleep 0.3
	port c1 l
	uplink c1 l
	wait "$transfer"
	check_equal "round $round: the transfer goes on when the port is back" "$?" 0
	must on reader feedctl store flush
	must on c1 feedctl store flush
done
on reader timeout 60 python3 "$FILL" read content 0 400 30000 >"$TMP/read" 2>&1 &
transfer=$!
wait_until 20 test "$(figure reader live)" -gt 200000
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
	must on author python3 "$FILL" append "content $round" 100 30000
	for i in 1 2 3 4; do
		on reader timeout 20 python3 "$FILL" read "content $round" $((i * 20)) 100 30000 >/dev/null 2>&1 &
	done
	wait_until 20 test "$(figure reader live)" -gt 60000
	case $round in
	1 | 2) ip netns del c1 ;;
	3 | 4) ip netns del author ;;
	*) ip netns pids reader | xargs -r kill -9; ip netns del reader ;;
	esac
	for n in author c1 reader; do
		ip netns pids "$n" 2>/dev/null | xargs -r kill -9 2>/dev/null
		ip netns del "$n" 2>/dev/null
	done
	wait
	NODES=()
	ok "round $round"
done
check "the module is free at once" wait_until 20 unload
check "every object has gone" leaks

story_end
