#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [reader]l----r[mute]      mute has no module's port: frames end there
#
# Socket semantics and every errno of the table, numbered, in C.
. "$(dirname -- "$0")/../lib.sh"

load
node alone
absorb on alone "$PROGS/sockets_author"
absorb on alone "$PROGS/sockets_reader"

node reader mute
link reader l mute r
port reader l
absorb on reader "$PROGS/sockets_network" unroutable
uplink reader l
absorb on reader "$PROGS/sockets_network" silent

story_end
