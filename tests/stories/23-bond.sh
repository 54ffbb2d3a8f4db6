#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A bond becomes what its first member is. A port that was Ethernet is none any
# more then: its addresses, and who builds its headers, are others.
. "$(dirname -- "$0")/../lib.sh"

load
node a
modprobe -q bonding && modprobe -q ip6_gre
if ! ip -n a link add bond type bond mode active-backup 2>/dev/null; then
	CASES=$((CASES + 1))
	echo "  ok $CASES a bond that changes its type # SKIP this kernel has no bonds"
	story_end
fi
port a bond
check_equal "a bond may be a port" "$(on a feedctl port | grep -c '^[0-9]*: bond ')" 1
must ip -n a link add tunnel type ip6gre local ::1 remote ::
must ip -n a link set dev tunnel master bond
check "it takes over the type of its member" bash -c '! ip -n a -d link show dev bond | grep -q link/ether'
check_equal "and is no port any more" "$(on a feedctl port | grep -c '^[0-9]*: bond ')" 0
check "nor can it be one" bash -c '! ip netns exec a feedctl port add bond'

story_end
