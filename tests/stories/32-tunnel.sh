#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]tun==tun[reader]       GRE with sums, over r--l that sums nothing up and cuts nothing
#
# A tunnel carries long frames, and has them cut for a device that does not: each
# piece with a header of the tunnel and the sum of all behind that.
. "$(dirname -- "$0")/../lib.sh"

load
node author reader
link author r reader l
must ip -n author address add 192.0.2.1/24 dev r
must ip -n reader address add 192.0.2.2/24 dev l
if ! modprobe -q ip_gre || ! ip -n author link add tun type gretap local 192.0.2.1 remote 192.0.2.2 csum; then
	skip "a tunnel" "this kernel has none"
fi
must ip -n reader link add tun type gretap local 192.0.2.2 remote 192.0.2.1 csum
for n in author reader; do
	must ip -n "$n" link set dev tun up
	port "$n" tun
done
uplink reader tun
random_file whole 1000000
random_file cut 1000000
FEED=$(key tunnel)
new_feed author tunnel "$TMP/whole" "$TMP/cut"

# transfer SEQ FILE: what the author sends is recorded.
transfer() {
	local recorder before
	on reader tcpdump -q --immediate-mode -B 65536 -s 65535 -U -i l -w "$TMP/$2.pcap" \
		proto gre and src host 192.0.2.1 >/dev/null 2>"$TMP/$2.err" &
	recorder=$!
	must wait_until 60 grep -q listening "$TMP/$2.err"
	before=$(packets)
	check "windows $2: an entry" same reader "$FEED" "$1" "$TMP/$2"
	PACKETS=$(($(packets) - before))
	ip netns pids reader | xargs -r kill
	wait "$recorder"
}

packets() {
	on reader cat /sys/class/net/l/statistics/rx_packets
}

# A megabyte is 31 windows, or at least 680 frames that are not long.
transfer 0 whole
check_between "windows whole: in as few packets" "$PACKETS" 32 600
for what in tx tx-gre-segmentation tx-gre-csum-segmentation; do
	must on author ethtool -K r "$what" off >/dev/null
done
transfer 1 cut
check_between "windows cut: in as many packets" "$PACKETS" 680 5000
absorb python3 "$TESTS/stories/sums.py" "$TMP/cut.pcap"

story_end
