#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[reader]       the link carries 10 Mbit/s each way
#
# A link that is slow and loses nothing: what is asked for is asked for once,
# although a megabyte of credit would stand in its queue for a second.
. "$(dirname -- "$0")/../lib.sh"

load
chain 1
modprobe sch_netem 2>/dev/null
for end in "author r" "reader l"; do
	set -- $end
	must on "$1" tc qdisc add dev "$2" root netem limit 10000 delay 20ms rate 10mbit
done
FEED=$(key a)
random_file big 3000000
new_feed author a "$TMP/big"
READ_TIMEOUT_MS=120000
check "three megabytes" same reader "$FEED" 0 "$TMP/big"
lost=$(on author tc -s qdisc show dev r | sed -n 's/.*dropped \([0-9]*\).*/\1/p')
check_between "the link lost nothing ($lost)" "$lost" 0 0
again=$(counter reader resent)
check_between "nothing was asked for again ($again times)" "$again" 0 5
sent=$(on author tc -s qdisc show dev r | sed -n 's/.*Sent \([0-9]*\) bytes.*/\1/p')
# With heads and, for each time, what one window has with its own.
check_between "and nothing was sent twice without ($sent bytes)" "$sent" 3000000 $((3220000 + again * 36000))

story_end
