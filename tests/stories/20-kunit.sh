#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tests that are built into the module of the debugging kernel: the store by
# itself, in all the ways that no socket can reach.
. "$(dirname -- "$0")/../lib.sh"

SUITE=/sys/kernel/debug/kunit/feed_store

[ -d "${SUITE%/*}" ] || skip "the store by itself" "this kernel has no KUnit; the debug bed's has"
load
must test -w "$SUITE/run"
echo 1 >"$SUITE/run"
cat "$SUITE/results" >"$TMP/results"
grep '#' "$TMP/results" | sed 's/^ */    /'
while read -r verdict name; do
	case $verdict in
	ok) ok "store: $name" ;;
	*) not_ok "store: $name" ;;
	esac
done < <(sed -nE 's/^    ((not )?ok) [0-9]+ /\1 /p' "$TMP/results" | sed 's/^not ok/not_ok/')
check_equal "as many as there are" "$CASES" "$(sed -n 's/^    1\.\.//p' "$TMP/results")"
check "the whole suite passed" grep -qE '^ok [0-9]+ feed_store$' "$TMP/results"

story_end
