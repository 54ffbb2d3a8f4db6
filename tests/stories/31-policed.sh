#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[reader]       both devices carry long frames, something between them drops each
#
# A queue, or a policer, that never lets as much through at once as a long
# frame has: what is asked for again goes in frames of the MTU, and soon
# everything does.
. "$(dirname -- "$0")/../lib.sh"

load
READ_TIMEOUT_MS=60000
modprobe sch_tbf 2>/dev/null
modprobe -a sch_ingress cls_matchall act_police 2>/dev/null

# queue: 20 frames of the MTU wait, but no long one.
queue() {
	must on author tc qdisc add dev r root tbf rate 400mbit burst 65536 limit 30000
}

# police: for whom this kernel has them.
police() {
	on author tc qdisc add dev r clsact &&
		on author tc filter add dev r egress matchall action police rate 400mbit burst 30000 conform-exceed drop/ok
}

# A window is 32 KiB.
random_file first 3000000
random_file second 3000000
for what in queue police; do
	chain 1
	if ! $what 2>/dev/null; then
		ok "$what: an entry # SKIP this kernel has none"
		continue
	fi
	FEED=$(key "$what")
	new_feed author "$what" "$TMP/first" "$TMP/second"
	check "$what: an entry" same reader "$FEED" 0 "$TMP/first"
	check "$what: another" same reader "$FEED" 1 "$TMP/second"
	count=$(on reader cat /sys/class/net/l/statistics/rx_packets)
	check_between "$what: in frames of the MTU" "$count" 4000 20000
	again=$(counter reader resent)
	check_between "$what: that some windows did not come was noticed" "$again" 1 20000
	for n in "${NODES[@]}"; do must ip netns del "$n"; done
	NODES=()
done

story_end
