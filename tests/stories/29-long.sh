#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--a[bridge]b--l[reader]       MTU 1500
#
# A window goes out as one long frame where the device carries such, as those of
# one machine do. In front of one that does not it is cut into frames of the
# MTU; from such a device frames are sent that need no cut.
. "$(dirname -- "$0")/../lib.sh"

load
modprobe bridge 2>/dev/null
node author bridge reader
link author r bridge a 1500
link bridge b reader l 1500
must ip -n bridge link add name br type bridge
must ip -n bridge link set dev a master br
must ip -n bridge link set dev b master br
must ip -n bridge link set dev br up
port author r
port reader l
uplink reader l
FEED=$(key long)
random_file small 300
new_feed author long "$TMP/small"

# long NODE DEV on|off: whether the device carries long frames.
long() {
	must on "$1" ethtool -K "$2" tx-sctp-segmentation "$3" >/dev/null
}

frames() {
	on reader cat /sys/class/net/l/statistics/rx_packets
}

# transfer SEQ HOW: a megabyte, which is 31 windows, or at least 680 frames that are not long.
transfer() {
	local before
	random_file "$2" 1000000
	add author long "$TMP/$2"
	before=$(frames)
	check "windows $2: an entry" same reader "$FEED" "$1" "$TMP/$2"
	FRAMES=$(($(frames) - before))
}

transfer 1 whole
check_between "windows whole: in as few frames" "$FRAMES" 32 300
long bridge b off
transfer 2 cut
check_between "windows cut by the stack: in as many frames" "$FRAMES" 680 5000
long bridge b on
long author r off
transfer 3 built
check_between "windows built for the MTU: in as many frames" "$FRAMES" 680 5000
long author r on
transfer 4 again
check_between "windows whole again: in as few frames" "$FRAMES" 32 300
modprobe sch_netem 2>/dev/null
must on author tc qdisc add dev r root netem limit 10000 loss 3% corrupt 3%
transfer 5 lossy

story_end
