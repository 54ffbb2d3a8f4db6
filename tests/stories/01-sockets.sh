#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [reader]l----r[mute]      mute has no port but for a while: frames end there
#
# Socket semantics and every errno of the table, numbered, in C. Not here:
# EBADMSG (13-hostile), ENOSPC (10-limit), ESTALE's end (17-reboot), EDQUOT
# (21-quota).
. "$(dirname -- "$0")/../lib.sh"

load
node alone
absorb on alone "$PROGS/sockets_author"
absorb on alone "$PROGS/sockets_reader"
absorb on alone "$PROGS/sockets_wakes"
absorb on alone "$PROGS/sockets_uring"
failures on
absorb on alone "$PROGS/sockets_failing"
failures off

node reader mute
link reader l mute r
port reader l
absorb on reader "$PROGS/sockets_network" unroutable
uplink reader l
absorb on reader "$PROGS/sockets_network" silent

say "a feed of mute, which is there, which is not, and which is there again"
port mute r
# So that no answer can be there before connect() returns.
modprobe sch_netem 2>/dev/null
must on mute tc qdisc add dev r root netem delay 100ms
must on mute "$PROGS/sockets_network" author
absorb on reader "$PROGS/sockets_network" answered
must on mute feedctl port del r
absorb on reader "$PROGS/sockets_network" partial
port mute r
absorb on reader "$PROGS/sockets_network" again
on mute "$PROGS/sockets_network" later &
later=$!
absorb on reader "$PROGS/sockets_network" late
wait "$later"
check_equal "the author went on" "$?" 0

story_end
