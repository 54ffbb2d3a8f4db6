# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the stories share: KTAP, namespaces and links, waiting, figures, and the
# proof at the end that nothing was left behind. A story is a bash script that
# draws its topology, sources this, and ends with `story_end`.
#
# A story runs inside a test machine (see tests/stories/run) as root. Its KTAP
# is indented by two blanks: it is a part of the run's. Everything else that is
# printed starts with `#`.

set -uo pipefail

TESTS=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
PROGS=${FEED_TEST_PROGS:-$TESTS/progs/bin}
STORY=$(basename -- "$0" .sh)
TMP=$(mktemp -d "/tmp/$STORY.XXXXXX")
export PYTHONPATH=$TESTS PYTHONDONTWRITEBYTECODE=1

CASES=0
FAILED=0
NODES=()
# Where the story's words go, also those of a step whose output goes elsewhere.
exec {SEEN}>&1

# --- KTAP -----------------------------------------------------------------

say() {
	printf '    # %s\n' "$*"
}

ok() {
	CASES=$((CASES + 1))
	printf '  ok %d %s\n' "$CASES" "$*"
}

not_ok() {
	CASES=$((CASES + 1))
	FAILED=$((FAILED + 1))
	printf '  not ok %d %s\n' "$CASES" "$*"
}

# skip WHAT REASON: this kernel lacks what the story looks at. Ends the story.
skip() {
	CASES=$((CASES + 1))
	printf '  ok %d %s # SKIP %s\n' "$CASES" "$1" "$2"
	story_end
}

# check WHAT COMMAND…: the command must succeed; its output is shown if not.
check() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		ok "$what"
	else
		say "\$ $* -> $?"
		[ -z "$out" ] || printf '%s\n' "$out" | tail -n 30 | sed 's/^/    # /'
		not_ok "$what"
	fi
}

# check_equal WHAT GOT WANT
check_equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		say "got  '$2'"
		say "want '$3'"
		not_ok "$1"
	fi
}

# check_between WHAT GOT LEAST MOST
check_between() {
	if [ -n "$2" ] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then
		ok "$1"
	else
		say "got '$2', not between $3 and $4"
		not_ok "$1"
	fi
}

# A part that prints its own KTAP (a C program, a Python story): its results
# are taken over one by one. One that says less than it planned has failed.
absorb() {
	local line status planned=none cases=$CASES failed=$FAILED
	while IFS= read -r line; do
		case $line in
		*"not ok "[0-9]*) line=${line#*not ok }; not_ok "${line#* }" ;;
		*"ok "[0-9]*) line=${line#*ok }; ok "${line#* }" ;;
		*"  1.."[0-9]*) planned=${line#*1..} ;;
		*KTAP*) ;;
		*) printf '%s\n' "    # ${line#"${line%%[![:space:]#]*}"}" ;;
		esac
	done < <("$@" 2>&1; echo "status $?" >"$TMP/absorbed")
	wait_until 60 test -s "$TMP/absorbed"
	read -r _ status <"$TMP/absorbed"
	rm -f "$TMP/absorbed"
	[ "$planned" = $((CASES - cases)) ] || not_ok "$*: $((CASES - cases)) results, planned $planned"
	[ "$status" -eq 0 ] || [ "$FAILED" -gt "$failed" ] || not_ok "$* ended with status $status"
}

# A step that the rest of the story stands on: failing, it ends the story, from
# within a pipe or a background job, too. Why is told where the story's words
# go, for the step's own output may go to a file, or to nobody.
must() {
	local out status
	out=$("$@" 2>&1)
	status=$?
	if [ "$status" -ne 0 ]; then
		{
			say "\$ $* -> $status"
			[ -z "$out" ] || printf '%s\n' "$out" | tail -n 30 | sed 's/^/    # /'
		} >&"$SEEN"
		# `finish` tells the result: a subshell does not know its number.
		printf '%s\n' "could not go on: $*" >>"$TMP/ended"
		[ "$BASHPID" = "$$" ] || kill -TERM "$$"
		exit 1
	fi
	[ -z "$out" ] || printf '%s\n' "$out"
}

# wait_until SECONDS COMMAND…: poll a condition; never sleep for luck.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

# --- the module -----------------------------------------------------------

load() {
	say "modprobe feed $*"
	must modprobe feed "$@"
}

# failures on|off: where the kernel can make allocations fail, programs may have
# any of their own fail (tests/progs/failing.h), without a word; or what the
# kernel begins with.
failures() {
	local what name
	local -A set=([verbose]=0 [ignore-gfp-wait]=N [min-order]=0 [task-filter]=Y [times]=-1)
	[ "$1" = on ] || set=([verbose]=2 [ignore-gfp-wait]=Y [min-order]=1 [task-filter]=N [times]=1)
	for what in failslab fail_page_alloc fail_usercopy; do
		for name in "${!set[@]}"; do
			[ ! -e "/sys/kernel/debug/$what/$name" ] || echo "${set[$name]}" >"/sys/kernel/debug/$what/$name"
		done
	done
	# Of the tasks that ask for it.
	what=/sys/kernel/debug/failslab/probability
	[ ! -e "$what" ] || if [ "$1" = on ]; then echo 100; else echo 0; fi >"$what"
}

loaded() {
	[ -d /sys/module/feed ]
}

# No socket of the family is left, closed ones that wait to be freed included.
idle() {
	[ "$(cat /sys/module/feed/refcnt)" -eq 0 ]
}

# --- nodes and links ------------------------------------------------------

# node NAME…: network namespaces with the loopback up.
node() {
	local n
	for n in "$@"; do
		must ip netns add "$n"
		must ip -n "$n" link set dev lo up
		NODES+=("$n")
	done
}

# on NODE COMMAND…
on() {
	local n=$1
	shift
	ip netns exec "$n" "$@"
}

# Only our frames cross the links: nodes have this from the machine.
{
	echo 1 >/proc/sys/net/core/devconf_inherit_init_net
	echo 1 | tee /proc/sys/net/ipv6/conf/{all,default}/disable_ipv6
} >/dev/null 2>&1

# link A DEV B DEV [MTU]: a cable; devices of one node need different names.
link() {
	local mtu=${5:-1500}
	must ip -n "$1" link add name "$2" mtu "$mtu" type veth peer name "$4" mtu "$mtu" netns "$3"
	must ip -n "$1" link set dev "$2" up
	must ip -n "$3" link set dev "$4" up
}

mac() {
	on "$1" cat "/sys/class/net/$2/address"
}

# port NODE DEV…
port() {
	local n=$1 dev
	shift
	for dev in "$@"; do
		must on "$n" feedctl port add "$dev"
	done
}

# uplink NODE DEV [via MAC]: the default route.
uplink() {
	local n=$1
	shift
	must on "$n" feedctl route add default dev "$@"
}

cache() {
	local n
	for n in "$@"; do
		must on "$n" feedctl role set cache
	done
}

# chain HOPS [MTU]: author - c1 - … - reader with HOPS links; each node but the
# author sends lookups to the left, the nodes between are caches.
# Devices: l towards the author, r towards the reader.
chain() {
	local hops=$1 mtu=${2:-1500} i left=author right
	node author
	for ((i = 1; i <= hops; i++)); do
		right=c$i
		[ "$i" -lt "$hops" ] || right=reader
		node "$right"
		link "$left" r "$right" l "$mtu"
		port "$left" r
		port "$right" l
		uplink "$right" l
		[ "$right" = reader ] || cache "$right"
		left=$right
	done
}

# --- feeds ----------------------------------------------------------------

# key NAME: a new key in $TMP/NAME; prints the feed's name.
key() {
	must feedctl key new "$TMP/$1" | grep -o 'feed:[0-9a-f]*' | head -n 1
}

# new_feed NODE KEY FILE…: the first entries of a feed.
new_feed() {
	local n=$1 k=$2
	shift 2
	must on "$n" feedctl -q append --new --key "$TMP/$k" "$@" >/dev/null
}

add() {
	local n=$1 k=$2
	shift 2
	must on "$n" feedctl -q append --key "$TMP/$k" "$@" >/dev/null
}

# A file of random bytes.
random_file() {
	head -c "$2" /dev/urandom >"$TMP/$1"
}

# read_entry NODE FEED SEQ FILE: into FILE; per-entry figures in FILE.stats.
read_entry() {
	on "$1" feedctl -q cat --timeout "${READ_TIMEOUT_MS:-20000}" --stats="$4.stats" "$2/$3" >"$4"
}

# same NODE FEED SEQ FILE: what NODE reads is FILE, byte for byte.
same() {
	read_entry "$1" "$2" "$3" "$TMP/got.$1.$3" && cmp "$TMP/got.$1.$3" "$4"
}

# stat_of NODE FEED SEQ FIELD, of the last read_entry by same().
stat_of() {
	sed -n "/\"seq\":$3[,}]/s/.*\"$4\":\([0-9]*\).*/\1/p" "$TMP/got.$1.$3.stats" | head -n 1
}

# counter NODE NAME: 0 if the node has none of that name.
counter() {
	on "$1" feedctl stats show --all | awk -v name="$2" '$1 == name { v = $2 } END { print v + 0 }'
}

# figure NODE NAME: a figure of the store.
figure() {
	on "$1" feedctl store show | awk -v name="$2" '$1 == name { v = $2 } END { print v + 0 }'
}

# --- the end --------------------------------------------------------------

nodes_gone() {
	local n
	for n in "${NODES[@]}"; do
		[ ! -e "/run/netns/$n" ] || return 1
	done
}

unload() {
	rmmod feed 2>&1
}

# Every object that was made has gone: the module logs pairs when it goes, as
# `segments created 12 freed 12`.
leaks() {
	logged | grep -oE '[a-z]+ (created|reserved|opened) [0-9]+ (freed|released|closed) [0-9]+' |
		awk '{ pairs++ } $3 != $5 { print; bad = 1 }
		     END { if (!pairs) { print "the module logged no pairs"; bad = 1 } exit bad }'
}

mark_log() {
	LOG_MARK="feed-story $STORY $$ $RANDOM"
	echo "$LOG_MARK" >/dev/kmsg
}

# Lines that the kernel logged since the story began, less those of links.
logged() {
	dmesg | awk -v mark="$LOG_MARK" 'index($0, mark) { seen = 1; next } seen' |
		grep -vE 'IPv6: ADDRCONF|entered promiscuous|left promiscuous|link becomes ready|greatest stack depth|feed-story' || true
}

# Namespaces go, the module goes, nothing stays.
story_end() {
	local n
	[ "${#NODES[@]}" -eq 0 ] || for n in "${NODES[@]}"; do
		ip netns pids "$n" 2>/dev/null | xargs -r kill -9 2>/dev/null
		ip netns del "$n" 2>/dev/null
	done
	NODES=()
	if loaded; then
		check "rmmod works" wait_until 60 unload
		check "every object that was made has gone" leaks
	fi
	exit 0
}

finish() {
	local status=$? n
	trap - EXIT
	exec >&"$SEEN"
	if [ -s "$TMP/ended" ]; then
		not_ok "$(head -n 1 "$TMP/ended")"
	elif [ "$status" -ne 0 ] && [ "$FAILED" -eq 0 ]; then
		not_ok "the story ended early with status $status"
	fi
	if [ "$status" -ne 0 ]; then
		[ "${#NODES[@]}" -eq 0 ] || for n in "${NODES[@]}"; do
			ip netns pids "$n" 2>/dev/null | xargs -r kill -9 2>/dev/null
			ip netns del "$n" 2>/dev/null
		done
		! loaded || wait_until 60 unload || say "the module cannot be unloaded"
	fi
	printf '  1..%d\n' "$CASES"
	rm -rf "$TMP"
	[ "$FAILED" -eq 0 ] && [ "$CASES" -gt 0 ] || exit 1
	exit 0
}

trap finish EXIT
trap 'exit 130' INT TERM
mark_log
