#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[reader]      [alone]
#
# Entries in the memory of programs: what mmap() shows and refuses, in C; and
# that what is mapped stays as it was, whatever becomes of the store, the
# socket and the namespace's memory meanwhile.
. "$(dirname -- "$0")/../lib.sh"

HELD=$PROGS/mapped_held
# Two windows and a half page each: whole pages, and one that is copied.
COUNT=100
SIZE=67000

load
node alone
failures on
absorb on alone "$PROGS/mapped"
failures off

chain 1
must on author "$HELD" author "$COUNT" "$SIZE"
check "entries are mapped once they were fetched, not before" on reader "$HELD" absent "$COUNT" "$SIZE"
must on reader feedctl store flush
out=$(on reader "$HELD" again "$COUNT" "$SIZE")
check_equal "they say that they came one hop" "$out" "right, $COUNT hops"
out=$(on reader "$HELD" again "$COUNT" "$SIZE")
check_equal "and then that they were here" "$out" "right, 0 hops"

say "all of them are mapped, by a program that has closed its socket"
mkfifo "$TMP/hold"
on reader "$HELD" hold "$COUNT" "$SIZE" <"$TMP/hold" >"$TMP/held" 2>&1 &
holder=$!
exec 9>"$TMP/hold"
check "they are right" wait_until 60 grep -q holding "$TMP/held"
pages=$(((SIZE + 4095) / 4096 * 4 * COUNT))
check_between "the program's memory says so" "$(awk '$1 == "VmSize:" { print $2 }' "/proc/$(pgrep -x mapped_held)/status")" "$pages" $((pages + 100000))

echo 3 >/proc/sys/vm/drop_caches
check "after drop_caches they can be fetched again" on reader "$HELD" again "$COUNT" "$SIZE"
must on reader feedctl store flush
check "after a flush, too" on reader "$HELD" absent "$COUNT" "$SIZE"
# As much again, so that what was freed would be something else by now.
for i in 1 2 3; do
	must on reader feedctl store flush
	must on reader "$HELD" again "$COUNT" "$SIZE"
done
check "the module cannot go" test "$(rmmod feed 2>&1 | grep -c 'in use')" -eq 1
check "its socket lives as long" test "$(cat /sys/module/feed/refcnt)" -gt 0
exec 9>&-
wait "$holder"
check_equal "what it has mapped never changed" "$(tail -n 1 "$TMP/held")" right
check "then its socket goes" wait_until 60 idle

say "a limit of the store that holds a quarter of them"
must on reader feedctl store set limit 2M
check "they are mapped one after the other" on reader "$HELD" again "$COUNT" "$SIZE"

say "a namespace that is deleted while its pages are mapped"
mkfifo "$TMP/hold2"
on reader "$HELD" hold 20 "$SIZE" <"$TMP/hold2" >"$TMP/held2" 2>&1 &
holder=$!
exec 9>"$TMP/hold2"
check "they are right" wait_until 60 grep -q holding "$TMP/held2"
must ip netns del reader
NODES=(alone author)
exec 9>&-
wait "$holder"
check_equal "they stay so" "$(tail -n 1 "$TMP/held2")" right

story_end
