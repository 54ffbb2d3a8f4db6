#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[reader]
#
# The kernel has its memory elsewhere, while a store that lies in it is read: some
# pages are said to be bad, all are moved together, and a block of the machine's
# memory goes, although the store has in it what it keeps ready for frames to
# come. What is read stays right; what is lost is fetched again. With the module
# gone nobody is asked.
. "$(dirname -- "$0")/../lib.sh"

MEMORY=/sys/devices/system/memory
FILL=$TESTS/stories/fill.py
FRAMES=$TESTS/stories/frames.py
COUNT=40
SIZE=1000000
SMALL=300
HELD=$PROGS/mapped_held
MAPPED=20
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

# A block without anything in it that cannot be moved. It comes back for what can.
sync
echo 3 >/proc/sys/vm/drop_caches
block=
for one in $(cd "$MEMORY" && echo memory[0-9]*); do
	if into "$one" offline 2>/dev/null; then
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
must on author "$HELD" author "$MAPPED" 67000
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

say "$block"
# What has been read is forgotten, and is fetched to where pages come from first.
must into "$block" online_movable
must on reader feedctl store flush
echo 3 >/proc/sys/vm/drop_caches
must python3 "$FRAMES" save "$TMP/others"
must everything
size=$((0x$(cat "$MEMORY/block_size_bytes")))
start=$((0x$(cat "$MEMORY/$block/phys_index") * size))
inside() { # FILE
	python3 "$FRAMES" in "$1" "$start" "$size"
}
pages=$((COUNT * SIZE / 4096))
here=$(inside "$TMP/others")
say "$here of the pages that came lie in it, the store has $pages"
check "the store lies in it" test "$here" -ge $((pages * 9 / 10))
must python3 "$FRAMES" save "$TMP/before"
before=$(migrated)
check "the kernel moves pages together" beside tee /proc/sys/vm/compact_memory <<<1
moved=$(($(migrated) - before))
came=$(inside "$TMP/before")
say "$moved moved, $came of them to other places in it"
check "some of the store's among them" test "$moved" -ge $((pages / 10)) -a "$came" -ge $((pages / 50))
# Which must not keep it: what a program maps of it is copied.
mkfifo "$TMP/hold"
on reader "$HELD" hold "$MAPPED" 67000 <"$TMP/hold" >"$TMP/held" 2>&1 &
holder=$!
exec 9>"$TMP/hold"
must wait_until 60 grep -q holding "$TMP/held"
check "it goes" beside leave "$block"
check_equal "it has gone" "$(cat "$MEMORY/$block/state")" offline
exec 9>&-
wait "$holder"
check_equal "what a program has mapped of it stays as it was" "$(tail -n 1 "$TMP/held")" right
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
