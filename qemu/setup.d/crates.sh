# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stage crates: what Cargo.lock files pin, fetched by the root's cargo into cargo's
# home (shared with the host), where host and root builds find it offline.

# The workspace's, and that of the machines' PID 1, a workspace of its own
# because it is linked for another target.
CRATES_WORKSPACES=(. qemu/init)

# Names of the archives that the lock files pin by checksum.
crates_pinned() {
	cd "$FEED_CHECKOUT" && awk -F'"' '
		/^\[\[package\]\]/ { name = version = "" }
		/^name = /         { name = $2 }
		/^version = /      { version = $2 }
		/^checksum = /     { printf "%s-%s.crate %s\n", name, version, $2 }
	' "${CRATES_WORKSPACES[@]/%//Cargo.lock}" | sort -u
}

# Every fetched archive against Cargo.lock's checksum. cargo itself checks
# only when it downloads. Sizes and times are remembered as in the manifest,
# so an untouched archive is not hashed again.
crates_check() {
	local record=$FEED_CACHE/manifest/crates archive sum file seen fresh=''
	declare -A known=()
	if [ -f "$record" ]; then
		while read -r file seen; do known[$file]=$seen; done <"$record"
	fi
	while read -r archive sum; do
		for file in "$FEED_CARGO_HOME"/registry/cache/*/"$archive"; do
			[ -f "$file" ] || continue
			seen="$sum $(stat -c '%s %Y' -- "$file")"
			if [ "${known[$file]:-}" != "$seen" ] &&
				[ "$(sha256sum <"$file" | cut -d' ' -f1)" != "$sum" ]; then
				die "damaged cached file: $file (not the checksum in Cargo.lock); remove it and run qemu/setup again"
			fi
			fresh+="$file $seen"$'\n'
		done
	done < <(crates_pinned)
	printf '%s' "$fresh" >"$record"
}

crates_fetch() {
	local workspace
	for workspace in "${CRATES_WORKSPACES[@]}"; do
		"$FEED_CHECKOUT/qemu/in-root" cargo fetch --locked --target x86_64-unknown-linux-gnu \
			--manifest-path "$FEED_CHECKOUT/$workspace/Cargo.toml" "$@" || return
	done
}

stage_crates() {
	local stamp=$FEED_CACHE/crates.stamp key
	[ -f "$FEED_ROOT/.feed-root" ] || stage_root
	key=$(fingerprint "$(crates_pinned)" "$FEED_CARGO_HOME")
	crates_check
	# Offline first: another checkout may have fetched the same crates. The
	# stamp spares even that, unless cargo's home was emptied.
	if stamp_is "$stamp" "$key" &&
		[ -n "$(sh "$FEED_CHECKOUT/rust/crates.sh" "$FEED_CHECKOUT/Cargo.lock" blake3 2>/dev/null)" ]; then
		stage_cached crates
		return
	fi
	stage_begin crates "$(crates_pinned | wc -l) third-party crates, by cargo"
	if ! crates_fetch --offline >/dev/null 2>&1; then
		logged crates "cargo fetch" crates_fetch
	fi
	crates_check
	stamp_set "$stamp" "$key"
	stage_end
}
