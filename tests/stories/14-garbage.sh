#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# limit: 900
#
#   [author]r----l[c1]r----l[reader]
#   [enemy]x------e[c1]
#
# A million random or mutated frames into the cache while a transfer goes
# through it. FEED_FLOOD=N sends fewer.
. "$(dirname -- "$0")/../lib.sh"

FLOOD=${FEED_FLOOD:-1000000}
SIZE=30000
COUNT=200

load
chain 2
node enemy
link enemy x c1 e
port c1 e
FILL=$TESTS/stories/fill.py
must on author python3 "$FILL" append content "$COUNT" "$SIZE"
FEED=$(on author python3 "$FILL" name content)

say "frames to mutate: what the reader's link carries during a small transfer"
on reader python3 "$TESTS/stories/sample.py" l "$TMP/samples" &
sampler=$!
wait_until 10 test -e "$TMP/samples.ready"
check "a transfer" on reader python3 "$FILL" read content 0 5 "$SIZE"
wait "$sampler"
must on reader feedctl store flush
must on c1 feedctl store flush

# Frames beyond the softirq's own queue never reach anybody.
echo 1000000 >/proc/sys/net/core/netdev_max_backlog
lines=$(logged | wc -l)
arrived=$(counter c1 frames-in)
on reader python3 "$FILL" read content 0 "$COUNT" "$SIZE" >"$TMP/read" 2>&1 &
transfer=$!
MAC=$(mac c1 e)
check "a third of the frames: random, to the cache" on enemy "$PROGS/flood" x $((FLOOD / 3)) random "$MAC"
check "a third: mutated, to the cache" on enemy "$PROGS/flood" x $((FLOOD / 3)) mutated "$MAC" "$TMP/samples"
check "a third: mutated, to the group" on enemy "$PROGS/flood" x $((FLOOD - FLOOD / 3 * 2)) mutated 03:00:46:45:45:44 "$TMP/samples"
wait "$transfer"
status=$?
say "$(tail -n 1 "$TMP/read")"
check_equal "the transfer ended with the right bytes" "$status" 0
arrived=$(($(counter c1 frames-in) - arrived))
check_between "$arrived frames arrived" "$arrived" "$FLOOD" $((FLOOD + 1000000))
check_equal "nothing is in the log" "$(logged | tail -n +$((lines + 1)) | head -n 5)" ""

say "random frames alone: each is dropped under a name"
before=$(counter c1 frames-in)
drops=$(on c1 feedctl -j stats show --all)
check "ten thousand" on enemy "$PROGS/flood" x 10000 random "$MAC"
# (Followers renew meanwhile.)
check_between "all arrived" "$(($(counter c1 frames-in) - before))" 10000 11000
named=$(python3 "$TESTS/stories/drops.py" "$drops" "$(on c1 feedctl -j stats show --all)")
say "$named"
check_between "all were dropped by name" "${named%% *}" 10000 40000

must on reader feedctl store flush
check "all that the cache holds is right" on reader python3 "$FILL" read content 0 "$COUNT" "$SIZE"
say "feed $FEED"

story_end
