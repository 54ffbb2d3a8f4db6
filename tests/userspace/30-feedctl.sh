#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# One node: what feedctl appends comes back, in every form, and it says what to
# do when something is missing.
. "$(dirname -- "$0")/../lib.sh"

# says WHAT TEXT COMMAND…: the command fails with one line that contains TEXT.
says() {
	local what=$1 text=$2 out
	shift 2
	if out=$("$@" 2>&1 >/dev/null); then
		say "\$ $* -> success"
		not_ok "$what"
	elif [[ $out == *"$text"* ]]; then
		ok "$what"
	else
		say "said '$out'"
		say "want '$text'"
		not_ok "$what"
	fi
}

FEED=$(key a)
says "no module: it says how to load it" "insmod feed.ko" feedctl cat "$FEED"
says "no module: netlink says the same" "insmod feed.ko" feedctl port show
load

cd "$TMP" || exit 1
says "a first append needs --new" "say --new" feedctl append -k a /etc/hostname
check "the first append" feedctl append -k a --new /etc/hostname
check "the head is kept" test "$(stat -c %s a.head)" -eq 160
check "one entry by its address" cmp /etc/hostname <(feedctl cat "$FEED/0")
says "--new is refused afterwards" "leave out --new" feedctl append -k a --new /etc/hostname

printf 'one\n\nthree' >lines
check "lines" feedctl append -k a --lines lines
check_equal "a line is an entry, an empty one too" "$(feedctl cat --lines "$FEED" 1..4)" "$(printf 'one\n\nthree')"
check "standard input is one entry" sh -c 'printf "a\nb\n" | feedctl append -k a'
check_equal "as it was" "$(feedctl cat "$FEED/4")" "$(printf 'a\nb')"
check "bits and time" feedctl append -k a --bits 4660 --time 1234567890123 lines
check_equal "come back" "$(feedctl -j cat "$FEED/5" | python3 -c '
import json, sys
e = json.load(sys.stdin)
print(e["bits"], e["time"], e["bytes"], e["hops"], e["network"], repr(e["text"]))')" "4660 1234567890123 10 0 False 'one\n\nthree'"
check_equal "tail" "$(feedctl tail -n 2 "$FEED" | tr '\n' '|')" "a|b|one||three|"
check_equal "head" "$(feedctl -j head "$FEED" | python3 -c '
import json, sys
h = json.load(sys.stdin)
print(h["entries"], h["epoch"], h["final"], len(h["head"]))')" "6 0 False 320"
check_equal "the kept head is the newest" "$(feedctl -j head "$FEED" | grep -o '"head":"[0-9a-f]*' | cut -d'"' -f4)" \
	"$(od -An -v -tx1 a.head | tr -d ' \n')"
says "a range over the end" "has only 6 entries" feedctl cat --timeout 300 "$FEED" 4..9
check_equal "feed ls" "$(feedctl feed ls | grep -c "^$FEED entries 6 epoch 0 hops 0.* own")" 1
check "every line of -j is JSON" python3 - "$FEED" <<'PY'
import json, subprocess, sys
for words in (["cat", sys.argv[1]], ["head", sys.argv[1]], ["feed", "ls"], ["port"], ["route"], ["store"],
              ["stats", "show", "--all"], ["role"], ["share"], ["key", "show", "a"]):
    for line in subprocess.check_output(["feedctl", "-j", *words], text=True).splitlines():
        json.loads(line)
PY

say "a directory, with a file of more than one entry"
mkdir -p dir/sub
printf x >dir/sub/x
: >dir/empty
head -c 20000000 /dev/urandom >dir/big
printf '%s' "$(seq 1 5000)" >dir/"a name with blanks"
before=$(feedctl -j head "$FEED" | grep -o '"entries":[0-9]*' | cut -d: -f2)
check "append --dir" feedctl append -k a --dir dir
check "cat --out" feedctl -q cat "$FEED" "$before.." --out out --stats=stats
check "every file is as it was" diff -r dir out
check_equal "statistics: entries, bytes, hops" "$(python3 - <<'PY'
import json
lines = [json.loads(line) for line in open("stats")]
total = lines.pop()["total"]
assert total["entries"] == len(lines) and total["bytes"] == sum(e["bytes"] for e in lines)
assert all(e["ms"] >= 0 for e in lines)
print(total["entries"], total["hops"])
PY
)" "6 {'0': 6}"
says "a file over 16 MiB alone is refused" "16 MiB" feedctl append -k a dir/big

say "following"
feedctl tail -f -n 1 "$FEED" >followed 2>&1 &
follower=$!
must wait_until 60 grep -q . followed
check "an append while somebody follows" sh -c 'echo live | feedctl append -k a --lines'
check "reaches the follower" wait_until 60 grep -qx live followed
sleep 300 | feedctl append -k a >/dev/null 2>&1 &
author=$!
check "a second author has to wait" wait_until 60 sh -c "feedctl append -k a lines 2>&1 | grep -q 'another program'"
must pkill -x sleep
must wait_until 60 sh -c "! kill -0 $author 2>/dev/null"
check "until the first one has ended" feedctl append -k a lines
check "closing the feed" feedctl append -k a --final /dev/null
check "ends the follower" wait_until 60 sh -c "! kill -0 $follower 2>/dev/null"
says "nothing can be appended to a closed feed" "closed for ever" feedctl append -k a /etc/hostname

say "after a reboot the store knows nothing"
FEED=$(key b)
check "a feed with one entry" feedctl append -k b --new lines
must rmmod feed
load
mv b.head kept
says "without the head it may not sign" "restore b.head" feedctl append -k b lines
says "and must not be told that the feed is new, if it can know" "leave out --new" \
	sh -c 'cp kept b.head; feedctl append -k b --new lines'
says "with the head it wants what the head covers" "neither in this node's store" feedctl append -k b --timeout 300 lines
head -c 100 kept >b.head
says "a damaged head is refused by name" "b.head holds no genuine head" feedctl append -k b lines
check "the head file was not touched" cmp b.head <(head -c 100 kept)

story_end
