#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[reader]
#
# One payload in fifty feeds lies in each store once.
. "$(dirname -- "$0")/../lib.sh"

load
chain 1
FILL=$TESTS/stories/fill.py
COUNT=50
random_file blob 400000
used0=$(figure author live)
must on author python3 "$FILL" copies "$COUNT" "$TMP/blob"
used=$(($(figure author live) - used0))
check_between "the author holds $used bytes for $COUNT x 400,000" "$used" 400000 1200000

used0=$(figure reader live)
crossed0=$(on reader cat /sys/class/net/l/statistics/rx_bytes)
check_equal "all $COUNT read right" "$(on reader python3 "$FILL" same "$COUNT" "$TMP/blob")" "$COUNT"
used=$(($(figure reader live) - used0))
crossed=$(($(on reader cat /sys/class/net/l/statistics/rx_bytes) - crossed0))
check_between "the reader holds $used bytes" "$used" 400000 1200000
check_between "and fetched $crossed" "$crossed" 400000 1000000

story_end
