#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]       100 readers in one namespace
#
# A hundred programs want one entry at once: it is asked for once, and crosses
# each link once.
. "$(dirname -- "$0")/../lib.sh"

load
chain 2
FEED=$(key a)
random_file one 800
random_file two 1000
new_feed author a "$TMP/one" "$TMP/two"
# Less than the first time-out of a lookup (200 ms), more than a hundred threads
# need to start: all of them ask while the one lookup is out. From the start, so
# that the nodes know how long an answer takes.
modprobe sch_netem 2>/dev/null
must on author tc qdisc add dev r root netem delay 150ms
check "the reader has the head, and no entry" on reader feedctl head "$FEED"

asked=$(counter author lookups-in)
passed_on=$(counter c1 lookups-in)
crossed=$(on c1 cat /sys/class/net/l/statistics/rx_bytes)
check "a hundred readers get it" on reader python3 "$TESTS/stories/merge.py" "$FEED" 1 "$TMP/two" 100
check_equal "the cache was asked once" "$(($(counter c1 lookups-in) - passed_on))" 1
check_equal "the author was asked once" "$(($(counter author lookups-in) - asked))" 1
crossed=$(($(on c1 cat /sys/class/net/l/statistics/rx_bytes) - crossed))
check_between "$crossed bytes crossed the author's link for 1000 of payload" "$crossed" 1000 1500

say "and from two namespaces at once: the cache merges"
node other
link c1 s other l
port c1 s
port other l
uplink other l
must on c1 feedctl store flush
must on reader feedctl store flush
check "both know the head" bash -c "for n in reader other; do ip netns exec \$n feedctl head $FEED || exit 1; done"
asked=$(counter author lookups-in)
for n in reader other; do
	on "$n" python3 "$TESTS/stories/merge.py" "$FEED" 0 "$TMP/one" 50 >"$TMP/$n.out" 2>&1 &
done
wait
check "fifty readers here" grep -q '^50 of 50' "$TMP/reader.out"
check "fifty readers there" grep -q '^50 of 50' "$TMP/other.out"
check_equal "the author was asked once" "$(($(counter author lookups-in) - asked))" 1

story_end
