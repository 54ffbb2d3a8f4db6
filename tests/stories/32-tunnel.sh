#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]==[reader]       GRE with sums, over r--l which in the end sums nothing up and cuts nothing
#   [first]==[a]==[b]==[c]==[d]x--y[last]       four such tunnels, bridged
#
# A tunnel carries long frames, and has them cut for a device that does not: each
# piece with a header of the tunnel and the sum of all behind that. Whatever way a
# long frame has come, the kernel warns of nothing when it is cut.
. "$(dirname -- "$0")/../lib.sh"

# tunnel NUMBER NODE DEV NODE DEV: over a new link; its ends have the name of the node that they lead to.
tunnel() {
	local here=192.0.2.$((4 * $1 + 1)) there=192.0.2.$((4 * $1 + 2))
	link "$2" "$3" "$4" "$5"
	must ip -n "$2" address add "$here/30" dev "$3"
	must ip -n "$4" address add "$there/30" dev "$5"
	ip -n "$2" link add "to-$4" type gretap local "$here" remote "$there" csum || return
	must ip -n "$4" link add "to-$2" type gretap local "$there" remote "$here" csum
	must ip -n "$2" link set dev "to-$4" up
	must ip -n "$4" link set dev "to-$2" up
}

load
modprobe -q ip_gre
node author reader
tunnel 0 author r reader l || skip "a tunnel" "this kernel has none"
port author to-reader
port reader to-author
uplink reader to-author
random_file first 300
FEED=$(key tunnel)
new_feed author tunnel "$TMP/first"

# count NODE DEV rx|tx: frames that it has received or sent.
count() {
	on "$1" cat "/sys/class/net/$2/statistics/$3_packets"
}

# transfer HOW: one more entry of a megabyte, which is 31 windows, or at least 680 frames that are not
# long. What the author's tunnel has sent, and what has come over the link, which is recorded. Who asks
# for windows again, because the machine is busy, gets no long frames for a while.
SEQ=0
transfer() {
	local deadline=$((SECONDS + 90)) recorder sent came
	while :; do
		random_file "$1" 1000000
		add author tunnel "$TMP/$1"
		on reader tcpdump -q --immediate-mode -B 65536 -s 65535 -U -i l -w "$TMP/$1.pcap" \
			proto gre and src host 192.0.2.1 >/dev/null 2>"$TMP/$1.err" &
		recorder=$!
		must wait_until 60 grep -q listening "$TMP/$1.err"
		sent=$(count author to-reader tx)
		came=$(count reader l rx)
		SEQ=$((SEQ + 1))
		check "windows $1: an entry" same reader "$FEED" "$SEQ" "$TMP/$1"
		SENT=$(($(count author to-reader tx) - sent))
		CAME=$(($(count reader l rx) - came))
		ip netns pids reader | xargs -r kill
		wait "$recorder"
		if [ "$SENT" -lt 300 ] || [ "$SECONDS" -gt "$deadline" ]; then
			break
		fi
	done
	check_between "windows $1: sent in as few frames" "$SENT" 32 300
}

transfer whole
check_between "windows whole: come in as few packets" "$CAME" 32 600
for what in tx tx-gre-segmentation tx-gre-csum-segmentation; do
	must on author ethtool -K r "$what" off >/dev/null
done
transfer cut
check_between "windows cut: come in as many packets" "$CAME" 680 5000
absorb python3 "$TESTS/stories/sums.py" "$TMP/cut.pcap"

# The end of each tunnel takes one from how often it was said that there is nothing to be summed up.
modprobe bridge 2>/dev/null
node first a b c d last
tunnel 1 first o a i
tunnel 2 a o b i
tunnel 3 b o c i
tunnel 4 c o d i
link d x last y
for between in "first a b" "a b c" "b c d" "c d"; do
	set -- $between
	must ip -n "$2" link add name br type bridge
	must ip -n "$2" link set dev "to-$1" master br
	must ip -n "$2" link set dev "${3:+to-}${3:-x}" master br
	must ip -n "$2" link set dev br up
done
port first to-a
port last y
uplink last y
random_file far 1000000
FEED=$(key chain)
new_feed first chain "$TMP/far"
check "behind four tunnels: an entry" same last "$FEED" 0 "$TMP/far"

story_end
