#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# feed_core must not be able to panic, and nothing must take much stack: release
# objects, built with the overflow checks and the optimisation level of the
# kernel, are searched. Says KTAP.
#
#   tests/core/no-panic.sh [OBJECT]...   OBJECT: search these, build nothing
#
# Built are the crate itself and the example engine_object, which uses the
# engine: generic code exists only where it is used. Best of all are objects of
# Kbuild (feed_core.o, feed_main.o), since the kernel's own core library has
# overflow checks too, in all that it inlines.
#
# Panics of other crates are their affair, also where feed_core makes the
# compiler instantiate it (ed25519-compact's SHA-512), or calls it as a trait's
# method. Stack is taken from the same 16 KiB whoever takes it: every function of
# an object counts, but for those of Ed25519, which run at the depth of a work
# item or a system call and nowhere else.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

frame_max=2048 # bytes
# Of whose functions frames may be larger; the last is the example, which runs on hosts.
may_be_large='ed25519_compact::|engine_object'
target=${CARGO_TARGET_DIR:-target}/no-panic

objects=("$@")
if [ $# -eq 0 ]; then
	mkdir -p -- "$target"
	build() { # OBJECT CARGO-ARGUMENT...
		CARGO_TARGET_DIR=$target CARGO_PROFILE_RELEASE_OPT_LEVEL=2 \
			cargo rustc --quiet --locked --release -p feed_core "${@:2}" -- \
			--emit=obj="$target/$1" -Ccodegen-units=1 -Cpanic=abort \
			-Csymbol-mangling-version=v0 >&2
		objects+=("$target/$1")
	}
	build feed_core.o --lib
	build engine_object.o --example engine_object
fi

echo "KTAP version 1"
echo "1..$((3 * ${#objects[@]}))"
number=0
failed=0

report() { # TEXT FINDINGS
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number $1"
	else
		sed 's/^/# /' <<<"$2"
		echo "not ok $number $1"
		failed=1
	fi
}

for object in "${objects[@]}"; do
	name=${object##*/}
	# Function and line of code.
	all=$(objdump --disassemble --reloc --demangle -- "$object" |
		awk '/^[0-9a-f]+ <.*>:$/ { sub(/^[0-9a-f]+ </, ""); sub(/>:$/, ""); name = $0; next }
			NF { print name "\t" $0 }')
	# Of all functions that have to do with feed_core.
	code=$(awk -F'\t' '$1 ~ /feed_core/ &&
		$1 !~ /^<+(ed25519_compact|blake3|heapless|engine_object|feed_main|kernel)::/' <<<"$all")
	count=$(cut -f1 <<<"$code" | sort -u | wc -l)
	few=
	[ "$count" -ge 20 ] || few="found $count functions"
	report "$name has code of feed_core" "$few"

	panics=$(awk -F'\t' '/R_[A-Z0-9_]+.*(panicking|_fail\>)/ {
			sub(/-0x.*/, "", $NF); print $NF " in " $1 }' <<<"$code" | sort -u)
	report "$name cannot panic" "$panics"

	frames=$(sed -n 's/^\([^\t]*\)\t.*sub  *\$\(0x[0-9a-f]*\),%rsp.*/\2 \1/p' <<<"$all" |
		while read -r size function; do
			[ $((size)) -le "$frame_max" ] || [[ $function =~ $may_be_large ]] ||
				echo "$((size)) bytes: $function"
		done)
	report "$name has no stack frame over $frame_max bytes" "$frames"
done

exit "$failed"
