# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stage root: Debian trixie with the tool chain, as a plain directory.
# Debian's own rustc is needed because Rust metadata is exact to the compiler,
# and the root serves test machines as their read-only root file system.

ROOT_SUITE=trixie

# The mirror's address is the host's own: whatever apt here uses for Debian,
# another suite lies beside it. Prints sources.list lines; nothing when the
# host's configuration names no Debian mirror, then mmdebstrap's default holds.
root_sources() {
	local main=${AF_FEED_MIRROR:-} security=
	if [ -z "$main" ] && command -v apt-get >/dev/null; then
		main=$(host_mirror Debian)
		security=$(host_mirror Debian-Security)
	fi
	[ -n "$main" ] || return 0
	printf 'deb %s %s main\n' "$main" "$ROOT_SUITE" "$main" "$ROOT_SUITE-updates" \
		"$main" "$ROOT_SUITE-backports"
	[ -z "$security" ] || printf 'deb %s %s-security main\n' "$security" "$ROOT_SUITE"
}

host_mirror() {
	# shellcheck disable=SC2016 # apt expands these, not the shell
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null |
		awk -F'|' -v label="$1" '$1 == "Debian" && $2 == label && $3 == "main" && !seen++ { print $4 }'
}

# A proxy that the host's apt uses is needed for mmdebstrap's downloads too.
root_proxy_options() {
	apt-config dump 2>/dev/null |
		sed -n 's/^\(Acquire::https\{0,1\}::Proxy[^ ]* ".\{1,\}";\)$/--aptopt=\1/p'
}

root_key() {
	fingerprint "$ROOT_SUITE" "$(list_words "$FEED_CHECKOUT/qemu/setup.d/root-packages.txt")"
}

# mmdebstrap writes a tar stream, unpacked without owners: the directory is
# then wholly the caller's, also when the caller is not root. Device nodes are
# left out; in-root and the test machines bring their own /dev.
# root_make DIR LIST: with the packages of a list.
root_make() {
	local dir=$1 packages sources options
	packages=$(list_words "$2" | paste -sd,)
	mapfile -t sources < <(root_sources)
	mapfile -t options < <(root_proxy_options)
	# 2 GB pass through TMPDIR. Debian 13's /tmp is half of the RAM, and the cache
	# lies in a home that mmdebstrap's other user ids may not enter.
	# Of the Rust sources only the standard library is needed, 40 MB of 1 GB.
	TMPDIR=/var/tmp mmdebstrap --variant=minbase --include="$packages" \
		--aptopt='Apt::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/src/rustc-*/*' \
		--dpkgopt='path-include=/usr/src/rustc-*/library/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		"${options[@]}" \
		"$ROOT_SUITE" - "${sources[@]}" |
		tar -x -C "$dir" --no-same-owner --exclude='./dev/*'
}

# Places that in-root and the machines mount over, and the link by which the
# package's own paths to a Rust library tree are found.
root_finish() {
	local dir=$1
	mkdir -p "$dir/proc" "$dir/sys" "$dir/dev" "$dir/tmp" "$dir/run" "$dir/mnt"
	: >"$dir/etc/resolv.conf"
	if ! grep -qs backports "$dir/etc/apt/sources.list" "$dir"/etc/apt/sources.list.d/*; then
		# mmdebstrap chose the mirror: take the suite beside it.
		sed -n "s/^\(deb .*\) $ROOT_SUITE main.*/\1 $ROOT_SUITE-backports main/p" \
			"$dir/etc/apt/sources.list" >"$dir/etc/apt/sources.list.d/backports.list"
	fi
	apt-config dump 2>/dev/null | sed -n '/^Acquire::https\{0,1\}::Proxy[^ ]* ".\{1,\}";$/p' \
		>"$dir/etc/apt/apt.conf.d/90host-proxy"
	# One user id is all that an unprivileged in-root has: apt cannot change to _apt.
	echo 'APT::Sandbox::User "root";' >"$dir/etc/apt/apt.conf.d/90one-user"
}

stage_root() {
	local key new=$FEED_CACHE/root.new
	key=$(root_key)
	if stamp_is "$FEED_ROOT/.feed-root" "$key"; then
		stage_cached root "$FEED_ROOT"
		return
	fi
	stage_begin root "Debian $ROOT_SUITE with the tool chain, about 450 MB of packages"
	rm -rf "$new"
	mkdir -p "$new"
	logged root "mmdebstrap" root_make "$new" "$FEED_CHECKOUT/qemu/setup.d/root-packages.txt"
	root_finish "$new"
	stamp_set "$new/.feed-root" "$key"
	rm -rf "$FEED_ROOT"
	mv "$new" "$FEED_ROOT"
	stage_end "$(du -sh "$FEED_ROOT" | cut -f1)"
}
