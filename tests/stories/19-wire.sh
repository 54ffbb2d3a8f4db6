#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]       both links are recorded
#
# What crosses the links: no lookup holds a name in clear, frames are never
# short, and every answer proves itself (tests/verify_pcap.py checks the
# recording with other libraries; here the tests' own code does).
. "$(dirname -- "$0")/../lib.sh"

load
chain 2
for dev in l r; do
	on c1 tcpdump -q -i "$dev" -w "$TMP/$dev.pcap" -U -s 0 ether proto 0x88b5 >/dev/null 2>"$TMP/$dev.err" &
	must wait_until 20 grep -q listening "$TMP/$dev.err"
done
FEED=$(key a)
random_file small 300
random_file big 100000
seq 1 100 >"$TMP/lines"
new_feed author a "$TMP/small" "$TMP/big"
add author a --lines "$TMP/lines"
check "a transfer" same reader "$FEED" 1 "$TMP/big"
check "the rest" on reader bash -c "feedctl -q cat $FEED 0..102 >/dev/null"
add author a "$TMP/small"
check "an append later" same reader "$FEED" 102 "$TMP/small"
ip netns pids c1 | xargs -r kill
wait
for dev in l r; do
	absorb python3 "$TESTS/stories/recorded.py" "$TMP/$dev.pcap" "$FEED"
done
if [ -n "${FEED_KEEP_PCAP:-}" ]; then
	cp "$TMP/l.pcap" "$TMP/r.pcap" "$FEED_KEEP_PCAP/"
fi

story_end
