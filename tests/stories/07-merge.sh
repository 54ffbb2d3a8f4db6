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
new_feed author a "$TMP/one"
check "the path works" on reader feedctl head "$FEED"

add author a "$TMP/one"
random_file two 1000
add author a "$TMP/two"
# Answers take 300 ms, so that all hundred ask while the first lookup is out.
must on author tc qdisc add dev r root netem delay 300ms
before=$(counter author rx-lookups)
before_l=$(on c1 cat /sys/class/net/l/statistics/rx_bytes)
check "a hundred readers get it" python3 "$TESTS/stories/merge.py" reader "$FEED" 2 "$TMP/two" 100
asked=$(($(counter author rx-lookups) - before))
crossed=$(($(on c1 cat /sys/class/net/l/statistics/rx_bytes) - before_l))
# A head, the entry, and what was asked again before 300 ms of RTT were known.
check_between "the author was asked $asked times" "$asked" 1 14
check_between "$crossed bytes crossed the link for 1000 of payload" "$crossed" 1000 12000

story_end
