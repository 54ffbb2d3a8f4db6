#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [one]     [two]      no link between them, one machine
#
# Two namespaces are strangers: no feed, port, route, limit, counter or author
# of one is seen in the other.
. "$(dirname -- "$0")/../lib.sh"

load
node one two
FEED=$(key a)
random_file blob 50000
new_feed one a "$TMP/blob"
check "one has the feed" bash -c "ip netns exec one feedctl feed ls | grep -q ${FEED#feed:}"
check_equal "two knows no feed" "$(on two feedctl feed ls)" ""
check_equal "two holds no byte" "$(figure two live)" 0
check "two cannot read it: ENETDOWN" on two python3 -c "
import errno, feedsock, sys
try:
    feedsock.reader(bytes.fromhex('${FEED#feed:}'))
except OSError as error:
    sys.exit(error.errno != errno.ENETDOWN)
sys.exit('it was read')"

say "both may have an author of one key"
check "the same key can be an author in two while it is one in one" python3 - <<PY
import os, feedsock
from wire.spaces import inside
with inside("one"):
    a = feedsock.author(b"strangers and their one seed 123")
with inside("two"):
    b = feedsock.author(b"strangers and their one seed 123")
a.send(b"here")
b.send(b"there")
PY
must ip -n one link add d0 type dummy
must ip -n one link set dev d0 up
must on one feedctl port add d0
must on one feedctl route add default dev d0
must on one feedctl role set cache
must on one feedctl store set limit 16M
check_equal "no port in two" "$(on two feedctl port)" ""
check_equal "no route in two" "$(on two feedctl route)" ""
check_equal "two is a host" "$(on two feedctl role | head -n 1)" host
check "another limit in two" test "$(figure two limit)" != "$(figure one limit)"
check_equal "a port of one cannot be had by two" "$(on two feedctl port add d0 2>&1 >/dev/null | wc -l)" 1
check "a flush of two leaves one alone" bash -c "ip netns exec two feedctl store flush; ip netns exec one feedctl -q cat $FEED/0 | cmp - $TMP/blob"

say "changes need CAP_NET_ADMIN, reading needs nothing"
check "an ordinary user may list" on one setpriv --reuid 65534 --clear-groups --inh-caps=-all feedctl port
check "and change nothing" bash -c "! ip netns exec one setpriv --reuid 65534 --clear-groups --inh-caps=-all feedctl role set host"

story_end
