#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[reader]
#
# Two namespaces, one cable: entries of every size cross it and arrive as they
# were, with their hops; the second reading needs no network.
. "$(dirname -- "$0")/../lib.sh"

load
chain 1
FEED=$(key a)
say "feed $FEED"

sizes=(1 63 64 65 1023 1024 1025 4095 4096 4097 32767 32768 32769 65537 300001)
files=()
for size in "${sizes[@]}"; do
	random_file "f$size" "$size"
	files+=("$TMP/f$size")
done
new_feed author a "${files[@]}"
for i in "${!sizes[@]}"; do
	check "an entry of ${sizes[i]} bytes arrives" same reader "$FEED" "$i" "${files[i]}"
done
# The first one was asked for by its own reader; what follows may have been
# fetched ahead by an earlier one, and is then found in the own store.
check_equal "one hop" "$(stat_of reader "$FEED" 0 hops)" 1

say "the cable is cut: what was read stays"
must ip -n author link set dev r down
check "read again from the own store" same reader "$FEED" 14 "${files[14]}"
check_equal "no hop" "$(stat_of reader "$FEED" 14 hops)" 0
must ip -n author link set dev r up

say "all in one go, by a fresh reader"
must on reader feedctl store flush
check "cat of the whole feed" on reader bash -c "feedctl -q cat $FEED 0..${#sizes[@]} | cmp - <(cat ${files[*]})"

say "a thousand small entries: one lookup brings a window"
seq 1 1000 >"$TMP/lines"
LINES_FEED=$(key b)
new_feed author b --lines "$TMP/lines"
before=$(cat "/sys/class/net/lo/statistics/tx_packets"; on reader cat /sys/class/net/l/statistics/tx_packets)
check "they arrive in order" on reader bash -c "feedctl -q cat --lines $LINES_FEED 0..1000 | cmp - $TMP/lines"
after=$(cat "/sys/class/net/lo/statistics/tx_packets"; on reader cat /sys/class/net/l/statistics/tx_packets)
sent=$(($(echo "$after" | tail -1) - $(echo "$before" | tail -1)))
check_between "the reader sent $sent frames for them" "$sent" 20 200

story_end
