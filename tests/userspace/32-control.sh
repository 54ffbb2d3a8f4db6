#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [a]r----l[b]
#
# Ports, routes, role, shares and store by feedctl: what is set is shown, what
# is wrong is refused with a reason, and nothing changes without the right.
. "$(dirname -- "$0")/../lib.sh"

refused() {
	local what=$1 text=$2 out
	shift 2
	if out=$("$@" 2>&1 >/dev/null); then
		not_ok "$what"
	elif [[ $out == *"$text"* ]]; then
		ok "$what"
	else
		say "said '$out'"
		say "want '$text'"
		not_ok "$what"
	fi
}

json() {
	on "$1" feedctl -j "${@:3}" | python3 -c "
import json, sys
rows = [json.loads(line) for line in sys.stdin]
print($2)"
}

load
node a b
link a r b l
FEED=$(key k)
MAC=$(mac b l)

check_equal "no port at first" "$(on a feedctl port)" ""
check "port add" on a feedctl port add r
check_equal "port show" "$(json a '[(p["dev"], p["mtu"], p["up"], p["mac"]) for p in rows]' port)" "[('r', 1500, True, '$(mac a r)')]"
refused "twice" "cannot add the port" on a feedctl port add r
refused "no such device" "no device nodev" on a feedctl port add nodev
refused "the loopback" "cannot add the port" on a feedctl port add lo

check "route add default" on a feedctl route add default dev r
check "route add FEED via" on a feedctl route add "$FEED" dev r via "$MAC" cost 7
check_equal "feeds come before the default" "$(json a '[(r["cost"], r.get("via")) for r in rows]' route)" "[(7, '$MAC'), (0, None)]"
refused "a route needs a port" "dev DEV" on a feedctl route add default
refused "a route over a device that is no port" "cannot add the route" on a feedctl route add default dev lo
check "route del FEED" on a feedctl route del "$FEED" dev r via "$MAC"
check_equal "the default stays" "$(json a '[r["feed"] for r in rows]' route)" "['default']"
check "a route by id" on a feedctl route add "id:$(printf 'ab%.0s' $(seq 32))" dev r
check "what is shown can be taken away" sh -c "ip netns exec a feedctl route | sed -n 's/ cost.*//p' | grep '^id:' |
	xargs ip netns exec a feedctl route del"
check "route flush" on a feedctl route flush
check_equal "no route" "$(on a feedctl route)" ""

check_equal "a host at first" "$(json a 'rows[0]["role"]' role)" host
check "role set cache" on a feedctl role set cache
check_equal "is a cache" "$(json a 'rows[0]["role"]' role)" cache
check_equal "its neighbour is not" "$(json b 'rows[0]["role"]' role)" host

check "share add" on b feedctl share add "$FEED"
check_equal "share show" "$(json b '[s["shared"] for s in rows]' share)" "[True]"
check "share del" on b feedctl share del "$FEED"
check_equal "no share" "$(json b 'rows' share)" "[]"

check "store set limit" on a feedctl store set limit 8M
check_equal "is set" "$(json a 'rows[0]["limit"]' store)" $((8 << 20))
check "store flush" on a feedctl store flush

without() { on a setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
refused "nobody may not add a port" "CAP_NET_ADMIN" without feedctl port add r
refused "nobody may not flush" "CAP_NET_ADMIN" without feedctl store flush
check "nobody may look" without feedctl port show

check "port del takes its routes along" on a sh -c "feedctl route add default dev r && feedctl port del r"
check_equal "no route is left" "$(on a feedctl route)$(on a feedctl port)" ""

story_end
