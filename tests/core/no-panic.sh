#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# feed_core must not be able to panic, and must not take much stack: its
# release object, built with the overflow checks and the optimisation level of
# the kernel, is searched. Says KTAP.
#
# Generic functions of other crates that feed_core uses are compiled into its
# object too (ed25519-compact's SHA-512). They are those crates' affair, and
# are told apart by their names.
#
#   tests/core/no-panic.sh [OBJECT]     OBJECT: search this one, build nothing
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

frame_max=2048 # bytes
target=${CARGO_TARGET_DIR:-target}/no-panic

echo "KTAP version 1"
echo "1..3"

object=${1:-}
if [ -z "$object" ]; then
	object=$target/feed_core.o
	mkdir -p -- "$target"
	CARGO_TARGET_DIR=$target CARGO_PROFILE_RELEASE_OPT_LEVEL=2 \
		cargo rustc --quiet --locked --release -p feed_core --lib -- \
		--emit=obj="$object" -Ccodegen-units=1 -Cpanic=abort >&2
fi
# A name of feed_core has it anywhere before its arguments: methods are
# <feed_core::T>::f, trait methods <T as feed_core::Trait>::f.
functions=$(objdump --disassemble --reloc --demangle -- "$object" |
	awk '/^[0-9a-f]+ <.*>:$/ { sub(/^[0-9a-f]+ </, ""); sub(/>:$/, ""); name = $0; next }
		name ~ /feed_core/ { print name "\t" $0 }')
count=$(cut -f1 <<<"$functions" | sort -u | wc -l)
if [ "$count" -ge 20 ]; then
	echo "ok 1 the object has code of feed_core"
else
	echo "not ok 1 the object has code of feed_core # found $count functions"
fi

report() { # NUMBER TEXT FINDINGS
	if [ -z "$3" ]; then
		echo "ok $1 $2"
	else
		sed 's/^/# /' <<<"$3"
		echo "not ok $1 $2"
	fi
}

panics=$(awk -F'\t' '/R_[A-Z0-9_]+.*(panicking|_fail\>)/ {
		sub(/.*R_[A-Z0-9_]+[ \t]+/, "", $0); print }' <<<"$functions" | sort -u)
where=$(awk -F'\t' '/R_[A-Z0-9_]+.*(panicking|_fail\>)/ { print $1 }' <<<"$functions" | sort -u)
report 2 "nothing in it can panic" "${panics:+$panics in $where}"

frames=$(sed -n 's/^\([^\t]*\)\t.*sub  *\$\(0x[0-9a-f]*\),%rsp.*/\2 \1/p' <<<"$functions" |
	while read -r size name; do
		[ $((size)) -le "$frame_max" ] || echo "$((size)) bytes: $name"
	done)
report 3 "no stack frame is over $frame_max bytes" "$frames"

[ -z "$panics$frames" ] && [ "$count" -ge 20 ]
