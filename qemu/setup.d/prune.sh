# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Take out of the cache what serves nobody any more: it would grow with every
# checkout and every kernel that there ever was.

# What was built of checkouts that have gone. in-root notes whose it is.
prune_targets() {
	local note
	for note in "$FEED_CACHE"/target/*/.checkout; do
		[ -s "$note" ] || continue
		[ -d "$(cat "$note")" ] || rm -rf "${note%/.checkout}"
	done
}

# prune_kernels RESOLVED: packages, sources and results of all kernels but the
# resolved ones ("SERIES VERSION ABI FLAVOUR" on each line). The source that a
# User-Mode kernel was built from stays with that: its module needs both.
prune_kernels() {
	local versions abis path name
	versions=$(awk '{ print $2 }' "$1")
	abis=$({ awk '{ print $3 }' "$1"; cat "$FEED_CACHE"/uml*/.feed-source 2>/dev/null || :; })
	for path in "$FEED_CACHE"/deb/*_*_*.deb; do
		[ -f "$path" ] || continue
		name=${path##*/} name=${name#*_}
		grep -Fxq -- "${name%_*}" <<<"$versions" || prune_path "$path"
	done
	for path in "$FEED_CACHE"/source/* "$FEED_ROOT"/usr/src/linux-{headers-*-common,kbuild-*}; do
		name=${path##*/} name=${name#linux-headers-} name=${name#linux-kbuild-} name=${name%-common}
		[[ $name != *.new && $name != *.part ]] || continue # being unpacked
		grep -Fxq -- "${name%-full}" <<<"$abis" || prune_path "$path"
	done
	for path in "$FEED_KERNELS"/*/; do
		path=${path%/} name=${path##*/}
		if [ -L "$path" ] || grep -Fxq -- "$name" "$FEED_KERNELS/list"; then
			continue
		fi
		prune_path "$path" "$FEED_ROOT/usr/lib/modules/$name" "$FEED_ROOT/usr/src/linux-headers-$name"
	done
}

prune_path() {
	local path
	for path; do
		[ -e "$path" ] || continue
		say "  ${path#"$FEED_CACHE"/} is of a kernel that has gone: removed"
		rm -rf "$path" "$(manifest_file "$path")" "$(manifest_file "$path")"_*
	done
}
