#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r----l[c1]r----l[reader]
#
# A directory crosses a cache by feedctl alone, while somebody follows; then the
# author is gone, and what the reader threw away comes from the cache.
. "$(dirname -- "$0")/../lib.sh"

load
chain 2
FEED=$(key a)
DIR=$TMP/dir
mkdir -p "$DIR/sub"
for i in $(seq 1 40); do
	head -c $((i * i * 50)) /dev/urandom >"$DIR/sub/file$i"
done
head -c 18000000 /dev/urandom >"$DIR/big"
: >"$DIR/empty"

hops() {
	python3 - "$1" <<'PY'
import json, sys
print(json.loads(open(sys.argv[1]).read().splitlines()[-1])["total"]["hops"])
PY
}

check "the author appends a directory" on author feedctl -q append --key "$TMP/a" --new --dir "$DIR"
check "the reader reads it" on reader feedctl -q cat "$FEED" --timeout 60000 --out "$TMP/out" --stats="$TMP/stats"
check "every file is as it was" diff -r "$DIR" "$TMP/out"
check_equal "over two hops" "$(hops "$TMP/stats")" "{'2': 44}"

on reader feedctl tail -f -n 1 "$FEED" >"$TMP/followed" 2>&1 &
must wait_until 60 grep -qa . "$TMP/followed"
check "an append while the reader follows" on author sh -c "echo live | feedctl append --key $TMP/a --lines"
check "reaches it" wait_until 60 grep -qax live "$TMP/followed"

say "the author is gone"
must ip -n author link set dev r down
must on reader feedctl store flush
check "the reader reads again" on reader feedctl -q cat "$FEED" 0..45 --timeout 60000 --out "$TMP/again" --stats="$TMP/stats"
rm -f "$TMP/again/44"
check "every file is as it was" diff -r "$DIR" "$TMP/again"
check_equal "from the cache" "$(hops "$TMP/stats")" "{'1': 45}"

story_end
