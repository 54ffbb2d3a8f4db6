#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What stories say (tests/lib.sh): one that cannot go on says why, wherever the
# output of the step goes that has failed.
. "$(dirname -- "$0")/../lib.sh"

# told WHAT STATUS WANT LINE…: the story of these lines says so, and ends so.
told() {
	local what=$1 status=$2 want=$3
	shift 3
	printf '%s\n' ". '$TESTS/lib.sh'" "$@" >"$TMP/tale.sh"
	timeout 600 bash "$TMP/tale.sh" >"$TMP/said" 2>&1
	check_equal "$what: its end" "$?" "$status"
	check_equal "$what: its words" "$(cat "$TMP/said")" "$want"
}

FAILING='must sh -c "echo because; exit 3"'
WHY='    # $ sh -c echo because; exit 3 -> 3
    # because
  not ok 1 could not go on: sh -c echo because; exit 3
  1..1'

told "nothing fails" 0 '  ok 1 it went on
  1..1' 'must true' 'ok "it went on"'
told "a step fails" 1 "$WHY" "$FAILING" 'ok "it went on"'
told "into nothing" 1 "$WHY" "$FAILING >/dev/null 2>&1" 'ok "it went on"'
told "into a pipe" 1 "$WHY" "$FAILING | grep -o nothing" 'ok "it went on"'
told "into a word" 1 "$WHY" "word=\$($FAILING)" 'ok "it went on: $word"'
told "in a job" 1 "$WHY" "{ $FAILING; } >/dev/null &" 'wait_until 300 false' 'ok "it went on"'
told "something has failed before" 1 '  not ok 1 a case
    # $ false -> 1
  not ok 2 could not go on: false
  1..2' 'not_ok "a case"' 'must false >/dev/null' 'ok "it went on"'
told "a shell of its own ends" 1 '  not ok 1 the story ended early with status 7
  1..1' 'exit 7 >/dev/null'

story_end
