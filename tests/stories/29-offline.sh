#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[reader]
#
# The kernel has its memory elsewhere, while a store that lies in it is read: some
# pages are said to be bad, all are moved together, and a block of the machine's
# memory goes. What is read stays right; what is lost is fetched again. With the
# module gone nobody is asked.
. "$(dirname -- "$0")/../lib.sh"

MEMORY=/sys/devices/system/memory
FILL=$TESTS/stories/fill.py
FRAMES=$TESTS/stories/frames.py
COUNT=40
SIZE=1000000
SMALL=300
PAGES=20

into() { # BLOCK STATE
	echo "$2" >"$MEMORY/$1/state"
}

# What is in use just then stays: the kernel tries again until it is told not to.
leave() { # BLOCK
	timeout 60 bash -c "echo offline >$MEMORY/$1/state"
}

everything() {
	on reader python3 "$FILL" read large 0 "$COUNT" "$SIZE" &&
		on reader python3 "$FILL" read small 0 "$SMALL" 1000
}

# beside COMMAND…: while all is read again and again.
beside() {
	local status reads
	rm -f "$TMP/done" "$TMP/begun"
	while [ ! -e "$TMP/done" ]; do
		touch "$TMP/begun"
		everything >"$TMP/read" 2>&1 || cat "$TMP/read" >>"$TMP/wrong"
	done &
	reads=$!
	wait_until 60 test -e "$TMP/begun"
	"$@"
	status=$?
	touch "$TMP/done"
	wait "$reads"
	return "$status"
}

migrated() {
	awk '$1 == "pgmigrate_success" { print $2 }' /proc/vmstat
}

[ -e "$MEMORY/soft_offline_page" ] || skip "memory goes" "this kernel keeps what it has"

# A block without anything in it that cannot be moved is from now on for what can.
# (What a store has ready for frames to come cannot, and lies elsewhere.)
sync
echo 3 >/proc/sys/vm/drop_caches
block=
for one in $(cd "$MEMORY" && echo memory[0-9]*); do
	if into "$one" offline 2>/dev/null; then
		must into "$one" online_movable
		block=$one
		break
	fi
done
[ -n "$block" ] || skip "memory goes" "in every block is something that cannot be moved"

load
chain 1
for n in author reader; do must on "$n" feedctl store set limit 96M; done
must on author python3 "$FILL" append large "$COUNT" "$SIZE"
must on author python3 "$FILL" append small "$SMALL" 1000
must on reader python3 "$FILL" name large
must python3 "$FRAMES" save "$TMP/others"
check "the reader reads all of it" everything

say "bad pages"
python3 "$FRAMES" new "$TMP/others" "$PAGES" >"$TMP/frames"
gone=0
while read -r frame; do
	! { echo "$frame" >"$MEMORY/soft_offline_page"; } 2>/dev/null || gone=$((gone + 1))
done <"$TMP/frames"
check_between "the kernel no longer uses them" "$gone" $((PAGES / 2)) "$PAGES"
check "what was lost is fetched again" everything

say "all pages"
before=$(migrated)
check "the kernel moves pages together" beside tee /proc/sys/vm/compact_memory <<<1
moved=$(($(migrated) - before))
say "$moved of them, the store has $((COUNT * SIZE / 4096))"
check "some of the store's among them" test "$moved" -ge $((COUNT * SIZE / 4096 / 10))

say "$block"
check "it goes" beside leave "$block"
check_equal "it has gone" "$(cat "$MEMORY/$block/state")" offline
must into "$block" online_movable
check_equal "what was read meanwhile is right" "$(cat "$TMP/wrong" 2>/dev/null)" ""
check "and so is what is read then" everything

for n in author reader; do must ip netns del "$n"; done
NODES=()
check "rmmod works" wait_until 60 unload
check "every object that was made has gone" leaks
check "the block goes without the module" leave "$block"
must into "$block" online_kernel

story_end
