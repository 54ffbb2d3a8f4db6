#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[reader]
#
# One payload in fifty feeds lies in each store once.
. "$(dirname -- "$0")/../lib.sh"

load
chain 1
random_file blob 400000
used0=$(figure author live)
for i in $(seq 1 50); do
	key "k$i" >"$TMP/name$i"
	new_feed author "k$i" "$TMP/blob"
done
used=$(($(figure author live) - used0))
check_between "the author holds $used bytes for 50 x 400,000" "$used" 400000 1200000

used0=$(figure reader live)
crossed0=$(on reader cat /sys/class/net/l/statistics/rx_bytes)
for i in $(seq 1 50); do
	same reader "$(cat "$TMP/name$i")" 0 "$TMP/blob" || { not_ok "feed $i reads right"; break; }
done
ok "all fifty read right"
used=$(($(figure reader live) - used0))
crossed=$(($(on reader cat /sys/class/net/l/statistics/rx_bytes) - crossed0))
check_between "the reader holds $used bytes" "$used" 400000 1200000
check_between "and fetched $crossed" "$crossed" 400000 1000000

story_end
