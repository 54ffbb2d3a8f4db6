# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stage rivals: what the benchmark sets beside AF_FEED, in a Debian root of its
# own. Only the benchmark asks for it.
#
# nginx, wrk and Node.js are Debian's; hypercore comes by npm and iroh-blobs by
# cargo, both pinned by the lock files in tests/bench/rivals, and lie in
# /opt/rivals of that root. Each part is made again only when what it is made
# from has changed.

RIVALS_ROOT=$FEED_CACHE/rivals
RIVALS_SOURCE=$FEED_CHECKOUT/tests/bench/rivals
RIVALS_PACKAGES=$FEED_CHECKOUT/qemu/setup.d/rivals-packages.txt

rivals_in_root() {
	FEED_ROOT_DIR=$RIVALS_ROOT "$FEED_CHECKOUT/qemu/in-root" --rw "$@"
}

# rivals_part NAME WHAT FILE…: run rivals_make_NAME unless it was run for the
# same files.
rivals_part() {
	local name=$1 what=$2 key stamp=$RIVALS_ROOT/.feed-$1
	shift 2
	key=$(fingerprint "$(declare -f "rivals_make_$name")" "$(cat "$@")")
	if ! stamp_is "$stamp" "$key"; then
		stage_begin rivals "$what"
		logged "rivals-$name" "$name" "rivals_make_$name"
		stamp_set "$stamp" "$key"
		stage_end
	fi
}

rivals_make_hypercore() {
	local to=$RIVALS_ROOT/opt/rivals/hypercore
	rm -rf "$to"
	mkdir -p "$to"
	cp "$RIVALS_SOURCE"/hypercore/{package.json,package-lock.json,.npmrc,rival.js} "$to/"
	# Its packages bring their compiled parts along; there is nothing to run.
	rivals_in_root env HOME=/tmp npm ci --prefix /opt/rivals/hypercore --omit=dev --ignore-scripts || return
	# For all systems there are; one is needed.
	find "$to/node_modules" -path '*/prebuilds/*' -prune -type d ! -name linux-x64 -exec rm -rf {} +
}

rivals_make_iroh() {
	local to=$RIVALS_ROOT/opt/rivals target=$FEED_CACHE/rivals-target
	rivals_in_root cargo build --locked --release --target-dir "$target" \
		--manifest-path "$RIVALS_SOURCE/iroh/Cargo.toml" || return
	mkdir -p "$to"
	install -m 755 "$target/release/feed-rival-iroh" "$to/"
	rm -rf "$target"
}

stage_rivals() {
	local key new=$RIVALS_ROOT.new
	key=$(fingerprint "$ROOT_SUITE" "$(list_words "$RIVALS_PACKAGES")")
	if ! stamp_is "$RIVALS_ROOT/.feed-rivals" "$key"; then
		stage_begin rivals "Debian $ROOT_SUITE with nginx, wrk, Node.js and what builds the others, about 350 MB of packages"
		rm -rf "$new"
		mkdir -p "$new"
		logged rivals "mmdebstrap" root_make "$new" "$RIVALS_PACKAGES"
		root_finish "$new"
		stamp_set "$new/.feed-rivals" "$key"
		rm -rf "$RIVALS_ROOT"
		mv "$new" "$RIVALS_ROOT"
		stage_end "$(du -sh "$RIVALS_ROOT" | cut -f1)"
	fi
	rivals_part hypercore "hypercore, by npm" "$RIVALS_SOURCE"/hypercore/{package.json,package-lock.json,.npmrc,rival.js}
	rivals_part iroh "iroh-blobs, by cargo, about 5 minutes on two processors" \
		"$RIVALS_SOURCE"/iroh/{Cargo.toml,Cargo.lock,src/main.rs}
	stage_cached rivals "$RIVALS_ROOT"
}
