#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[reader]
#
# The store is page cache: it shows as Cached, costs little slab, is given back
# on drop_caches and under pressure without swap, and what is gone is fetched
# again.
. "$(dirname -- "$0")/../lib.sh"

meminfo() {
	awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo
}

load
FILL=$TESTS/stories/fill.py
SIZE=1000000
chain 1
total=$(($(meminfo MemTotal) / 1024))
# The author's copy is pinned, the reader's is not.
COUNT=$((total / 12))
say "$total MiB of memory, $COUNT entries of 1 MB"
check_equal "there is no swap" "$(meminfo SwapTotal)" 0
# The cap of all stores is an eighth of memory unless the machine's
# administrator says otherwise.
must feedctl store set cap "$((COUNT * 5 / 2))M"
for n in author reader; do must on "$n" feedctl store set limit "$((COUNT * 5 / 4))M"; done
must on author python3 "$FILL" append big "$COUNT" "$SIZE"

sync
echo 3 >/proc/sys/vm/drop_caches
# What programs consist of is in the page cache, too, before anything is compared.
must on reader python3 "$FILL" name big >/dev/null
cached=$(meminfo Cached)
slab=$(($(meminfo Slab) + $(meminfo VmallocUsed)))
check "the reader reads all of it" on reader python3 "$FILL" read big 0 "$COUNT" "$SIZE"
grown=$((($(meminfo Cached) - cached) / 1024))
kept=$(($(figure reader resident) >> 20))
slab=$((($(meminfo Slab) + $(meminfo VmallocUsed) - slab) / 1024))
say "stored $kept MiB: Cached +$grown MiB, Slab + VmallocUsed +$slab MiB"
check_between "the store holds it" "$kept" $((COUNT * 9 / 10)) $((COUNT * 12 / 10))
check_between "it shows as Cached" "$grown" $((kept * 9 / 10)) $((kept * 12 / 10 + 8))
check_between "Slab and VmallocUsed grew by less than a tenth" "$((slab < 0 ? 0 : slab))" 0 $((kept / 10))

say "drop_caches"
echo 1 >/proc/sys/vm/drop_caches
check_between "the pages are given back" "$(($(figure reader resident) >> 20))" 0 $((kept / 10))
check_between "Cached is as before" "$(((($(meminfo Cached) - cached) / 1024)))" -64 $((kept / 5))
check "the author's own are not" test "$(($(figure author resident) >> 20))" -ge $((COUNT * 9 / 10))
check "all reads right again" on reader python3 "$FILL" read big 0 "$COUNT" "$SIZE"

say "a memory hog"
kept=$(($(figure reader resident) >> 20))
kills=$(awk '$1 == "oom_kill" { print $2 }' /proc/vmstat)
# What lies below the high watermarks is free, but not for programs: a hog that
# took that too would leave nothing for the pages of those that run, and all of
# them would stand. So it takes the rest first, and then little by little until
# the store has given way.
reserve=$(awk '$1 == "high" { pages += $2 } END { print int(pages / 256) }' /proc/zoneinfo)
free=$(($(meminfo MemFree) / 1024))
mkfifo "$TMP/hold"
"$PROGS/hog" <"$TMP/hold" >"$TMP/hog" 2>&1 &
exec 9>"$TMP/hold"
hog() { # MIB MORE, TOTAL
	echo "$1" >&9
	wait_until 120 grep -qx "holding $2 MiB" "$TMP/hog"
}
resident() {
	echo $(($(figure reader resident) >> 20))
}
held=$((free - reserve))
check "it gets $held MiB" hog "$held" "$held"
while [ "$(resident)" -gt $((kept * 7 / 10)) ] && [ "$held" -lt $((free + kept)) ]; do
	held=$((held + 4))
	hog 4 "$held" || break
done
left=$(resident)
say "of $kept MiB $left MiB are left with $held MiB held, $free MiB were free, $reserve MiB of them in reserve"
check_between "the store shrank" "$left" 0 $((kept * 7 / 10))
check_equal "nobody was killed for memory" "$(awk '$1 == "oom_kill" { print $2 }' /proc/vmstat)" "$kills"
check "what is read meanwhile is right" on reader python3 "$FILL" read big 0 20 "$SIZE"
exec 9>&-
wait
check "and afterwards all of it" on reader python3 "$FILL" read big 0 "$COUNT" "$SIZE"
check "reclaimed segments were noticed" test "$(figure reader reclaimed)" -gt 0

story_end
