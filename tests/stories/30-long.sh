#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--a[bridge]b--l[reader]       MTU 1500
#
# A window goes out as one long frame where the device carries such, as those of
# one machine do. In front of one that does not it is cut into frames of the
# MTU, behind a VLAN's tag, too; from such a device frames are sent that need no
# cut.
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

# count NODE DEV rx|tx: frames that it has received or sent.
count() {
	on "$1" cat "/sys/class/net/$2/statistics/$3_packets"
}

# transfer HOW: one more entry of a megabyte, which is 31 windows, or at least 680 frames that are not
# long. What the author's DEV has sent, and what has come.
SEQ=0
DEV=r
transfer() {
	local sent came
	random_file "$1" 1000000
	add author long "$TMP/$1"
	sent=$(count author "$DEV" tx)
	came=$(count reader l rx)
	SEQ=$((SEQ + 1))
	check "windows $1: an entry" same reader "$FEED" "$SEQ" "$TMP/$1"
	SENT=$(($(count author "$DEV" tx) - sent))
	CAME=$(($(count reader l rx) - came))
}

# transfer_long HOW: as windows, one as one. Who asks for windows again, because the machine is busy, gets
# no long frames for a while.
transfer_long() {
	local deadline=$((SECONDS + 90))
	transfer "$1"
	until [ "$SENT" -lt 300 ] || [ "$SECONDS" -gt "$deadline" ]; do
		transfer "$1"
	done
	check_between "windows $1: sent in as few frames" "$SENT" 32 300
}

whole() {
	transfer_long "$1"
	check_between "windows $1: come in as few frames" "$CAME" 32 300
}

# Not by the author's device.
cut() {
	transfer_long "$1"
	check_between "windows $1: come in as many frames" "$CAME" 680 5000
}

short() {
	transfer "$1"
	check_between "windows $1: sent in as many frames" "$SENT" 680 5000
}

whole "whole"
long bridge b off
cut "cut by the stack"
long bridge b on
long author r off
short "built for the MTU"
long author r on
must on author ethtool -K r sg off >/dev/null
short "built for who takes no pages"
must on author ethtool -K r sg on >/dev/null
whole "whole again"

# The same behind a tag that is a part of the frame where it is cut.
must ip -n author link add link r name r.7 type vlan id 7
must ip -n author link set dev r.7 up
must ip -n reader link add link l name l.7 type vlan id 7
must ip -n reader link set dev l.7 up
must on author ethtool -K r txvlan off >/dev/null
for end in "author r" "reader l"; do
	set -- $end
	must on "$1" feedctl port del "$2"
	port "$1" "$2.7"
done
uplink reader l.7
DEV=r.7
whole "whole, tagged"
long bridge b off
cut "cut, tagged"
long bridge b on

modprobe sch_netem 2>/dev/null
must on author tc qdisc add dev r root netem limit 10000 loss 3% corrupt 3%
transfer lossy

# A device whose MTU shrinks below what a frame has before the payload is no port
# any more; what it was to carry just then is lost.
random_file shrunk 8000000
add author long "$TMP/shrunk"
same reader "$FEED" $((SEQ + 1)) "$TMP/shrunk" &
reading=$!
for _ in {1..20}; do
	must ip -n author link set dev r mtu 68
	must ip -n author link set dev r mtu 1500
	must ip -n author link set dev r.7 mtu 1500
	on author feedctl port add r.7 >/dev/null 2>&1
done
wait "$reading"
check_equal "while a device shrinks: an entry" $? 0

story_end
