#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Find third-party crates in cargo's registry, as Cargo.lock pins them.
#
#   crates.sh LOCKFILE NAME…
#
# Prints NAME:VERSION:EDITION:DIRECTORY for each crate that is there; names on
# stderr what is not. cargo checked the archives against the lock file's
# checksums when it fetched them, and unpacked them beside its registry.
set -eu

lock=$1
shift
home=${CARGO_HOME:-$HOME/.cargo}
[ -f "$lock" ] || { echo "crates.sh: no $lock" >&2; exit 1; }

for name; do
	version=$(awk -v name="$name" -F'"' '
		/^name = /    { here = $2 == name }
		/^version = / { if (here) { print $2; exit } }' "$lock")
	if [ -z "$version" ]; then
		echo "crates.sh: $lock does not pin $name" >&2
		continue
	fi
	found=
	for dir in "$home"/registry/src/*/"$name-$version"; do
		[ -f "$dir/.cargo-ok" ] || continue
		# Without the line the edition is Rust's first.
		edition=$(sed -n 's/^edition *= *"\([0-9]*\)".*/\1/p' "$dir/Cargo.toml" | head -n 1)
		printf '%s:%s:%s:%s\n' "$name" "$version" "${edition:-2015}" "$dir"
		found=1
		break
	done
	[ -n "$found" ] || echo "crates.sh: crate $name $version is not in $home/registry" >&2
done
