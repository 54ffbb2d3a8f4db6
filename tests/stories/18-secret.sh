#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An author's secret is in kernel memory while its socket is open, and nowhere
# after it was closed.
. "$(dirname -- "$0")/../lib.sh"

load
# User-Mode Linux registers no memory that /proc/kcore could show.
[ -r /proc/kcore ] || skip "the secret is wiped" "this kernel has no /proc/kcore; the stock one has"

MASKED=$(od -An -vtx1 -N32 /dev/urandom | tr -d ' \n')
mkfifo "$TMP/in"
"$PROGS/secret" hold <"$TMP/in" >"$TMP/out" 2>&1 &
exec 9>"$TMP/in"
echo "$MASKED" >&9
must wait_until 60 grep -q held "$TMP/out"
before=$("$PROGS/secret" scan "$MASKED")
say "while it is open: $before"
check_between "it is in memory while the socket is open" "$(grep -o 'found [0-9]*' <<<"$before" | cut -d' ' -f2)" 200 420
echo close >&9
must wait_until 60 grep -q closed "$TMP/out"
# One look only: what is left lying about goes away by itself in the end.
must wait_until 60 idle
after=$("$PROGS/secret" scan "$MASKED")
say "after it was closed: $after"
check_equal "it is nowhere after the socket was closed" "$(grep -o 'found [0-9]*' <<<"$after")" "found 0"
exec 9>&-
wait

story_end
