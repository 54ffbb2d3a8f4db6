#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[reader]
#
# The programs that README quotes exchange entries over one cable: what each of
# C, Python and Rust says, each of them hears.
. "$(dirname -- "$0")/../lib.sh"

EXAMPLES=$TESTS/examples
say_c() { on "$1" "$EXAMPLES/hello-c" "$2"; }
say_python() { on "$1" python3 "$EXAMPLES/hello.py" "$2"; }
say_rust() { on "$1" "$EXAMPLES/hello-rust" "$2"; }

load
chain 1
for author in c python rust; do
	feed=$(must "say_$author" author "words of $author" | tail -n 1)
	say "$author said $feed"
	for reader in c python rust; do
		# A reader goes on for ever: an open feed may get longer.
		"say_$reader" reader "$feed" >"$TMP/heard" 2>&1 &
		listener=$!
		check "$reader hears $author" wait_until 60 grep -q "words of $author$" "$TMP/heard"
		{ pkill -P "$listener"; kill "$listener"; } 2>/dev/null
		wait "$listener" 2>/dev/null
		must on reader feedctl store flush
	done
	check "feedctl hears $author" on reader sh -c "feedctl cat $feed/0 | grep -qx 'words of $author'"
done

say "the bare system calls"
exchange_c() { on "$1" "$EXAMPLES/exchange-c" "${@:2}"; }
exchange_python() { on "$1" python3 "$EXAMPLES/exchange.py" "${@:2}"; }
for author in c python; do
	name=$(must "exchange_$author" author give "$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')" one two three)
	for reader in c python; do
		check_equal "$reader takes what $author gave" "$("exchange_$reader" reader take "$name" 3 2>&1 | tr '\n' '|')" \
			"0: one|1: two|2: three|"
		must on reader feedctl store flush
	done
done

say "entries in memory"
seed=$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
name=$(must exchange_c author give "$seed" four five six)
check_equal "libfeed maps what was given" "$(on reader "$EXAMPLES/map" "feed:$name" 3 2>&1 | tr '\n' '|')" \
	"0: four|1: five|2: six|"

check "socat hears" on reader sh -c "
	name=$(printf '%s' "${feed#feed:}")
	socat -u -T 3 SOCKET-CONNECT:18:0:x000000000000\$(printf '00%.0s' 1 2 3 4 5 6 7 8)\$name,socktype=5 - | grep -q 'words of rust'"

story_end
