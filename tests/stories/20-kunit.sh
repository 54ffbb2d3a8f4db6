#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tests that are built into the module of the debugging kernel: the store by
# itself, in all the ways that no socket can reach, authors for whom it has no
# place, long frames that the stack cuts, and vector code.
. "$(dirname -- "$0")/../lib.sh"

SUITES=/sys/kernel/debug/kunit

[ -d "$SUITES" ] || skip "the store by itself" "this kernel has no KUnit; the debug bed's has"
load
for suite in store author frames simd; do
	begun=$CASES
	must test -w "$SUITES/feed_$suite/run"
	echo 1 >"$SUITES/feed_$suite/run"
	cat "$SUITES/feed_$suite/results" >"$TMP/results"
	grep '#' "$TMP/results" | sed 's/^ */    /'
	while read -r verdict name; do
		case $verdict in
		ok) ok "$suite: $name" ;;
		*) not_ok "$suite: $name" ;;
		esac
	done < <(sed -nE 's/^    ((not )?ok) [0-9]+ /\1 /p' "$TMP/results" | sed 's/^not ok/not_ok/')
	check_equal "$suite: as many as there are" "$((CASES - begun))" \
		"$(sed -n 's/^    1\.\.//p' "$TMP/results")"
	check "$suite: the whole suite passed" grep -qE "^ok [0-9]+ feed_$suite\$" "$TMP/results"
done

story_end
