# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stage overlay: the Rust metadata that Debian's header packages lack.
#
# An out-of-tree Rust module needs what the kernel's rust/ directory leaves
# behind (crate metadata, procedural macros, target description). Compiled
# from the same source, by the same compiler, with the header package's own
# configuration, it comes out as it was when the kernel was built: nothing of
# the kernel itself is built. The guard below proves that it fits: every
# symbol that this rust/ would export must be one that the package's
# Module.symvers lists, and the other way round. A mangled Rust name holds a
# hash of its crate, so a difference in source, flags or compiler shows.

# Parts of the kernel source that the overlay is made of, and what the demo
# publishes as real content.
OVERLAY_SOURCE=(rust scripts drivers/base/base.h drivers/android Documentation/networking)

# The few kinds of file that building a module reads; Makefile and parameters
# tell our own bindgen run what the kernel's used.
OVERLAY_KEEP=(-name '*.rmeta' -o -name '*.so' -o -name '*_generated.rs' -o -name 'generated_*.rs'
	-o -path rust/Makefile -o -path rust/bindgen_parameters)

overlay_source_dir() {
	printf '%s/source/%s' "$FEED_CACHE" "$1"
}

# overlay_unpack_source SERIES DEB DIR PART…: the source package holds one
# tarball; take these parts of it, or all without any.
overlay_unpack_source() {
	local series=$1 deb=$2 dir=$3
	shift 3
	rm -rf "$dir.new"
	mkdir -p "$dir.new"
	"$FEED_CHECKOUT/qemu/in-root" dpkg-deb --fsys-tarfile "$deb" |
		tar -xO "./usr/src/linux-source-$series.tar.xz" |
		tar -xJ -C "$dir.new" --strip-components=1 "${@/#/linux-source-$series/}"
	mv "$dir.new" "$dir"
}

# Lay the sources into the header package (inside the root) and compile rust/.
# Without an empty may-sync-config the kernel's Makefile would regenerate the
# configuration, and delete autoconf.h in doing so.
overlay_compile() {
	local headers=$1 common=$2 source=$3 script
	cp -a "$source/rust" "$FEED_ROOT$common/"
	(cd "$source" && find drivers -name '*.h' -print0 | cpio -0 -pdm --quiet "$FEED_ROOT$common")
	for script in "$source"/scripts/*rust*; do
		[ -e "$FEED_ROOT$common/scripts/${script##*/}" ] || cp "$script" "$FEED_ROOT$common/scripts/"
	done
	cat >"$FEED_CACHE/rust-metadata.mk" <<-'MAKE'
		feed-rust-metadata: ; +$(Q)$(MAKE) $(build)=rust
	MAKE
	# shellcheck disable=SC2016 # expanded by the inner shell
	"$FEED_CHECKOUT/qemu/in-root" --rw sh -euc '
		cd "$1"
		rustc -O --edition=2021 -o /tmp/generate_rust_target scripts/generate_rust_target.rs
		/tmp/generate_rust_target <include/config/auto.conf >scripts/target.json
		make -j"$(nproc)" MAKEFILES="$2" feed-rust-metadata may-sync-config= need-compiler=1
	' sh "$headers" "$FEED_CACHE/rust-metadata.mk"
}

# overlay_guard RELEASE DIR: exports of the overlay against Module.symvers.
overlay_guard() {
	local release=$1 headers=$2 ours theirs difference
	ours=$(sed -n 's/^EXPORT_SYMBOL_RUST_GPL(\(.*\));$/\1/p' \
		"$headers"/rust/exports_*_generated.h | LC_ALL=C sort -u)
	theirs=$(awk '$3 == "vmlinux" && $2 ~ /^(_R|rust_)/ { print $2 }' \
		"$headers/Module.symvers" | LC_ALL=C sort -u)
	[ -n "$ours" ] || die "$release: the overlay exports no symbol at all"
	difference=$(LC_ALL=C comm -3 <(printf '%s\n' "$ours") <(printf '%s\n' "$theirs"))
	if [ -n "$difference" ]; then
		head -n 5 <<<"$difference" >&2
		die "$release: Rust metadata does not fit the package ($(wc -l <<<"$difference") exported symbols differ); refused"
	fi
	say "  $release: all $(wc -l <<<"$ours") exported Rust symbols match Module.symvers"
}

# overlay_pack HEADERS SOURCE ARCHIVE: keep what module builds read.
overlay_pack() {
	cp "$2/Makefile" "$2/bindgen_parameters" "$1/rust/"
	(
		cd "$1" || exit
		{
			# An interrupted rustc leaves a directory rmeta… behind.
			find rust -type f ! -path '*/rmeta*/*' \( "${OVERLAY_KEEP[@]}" \) -printf '%p\n'
			printf '%s\n' scripts/target.json
		} | LC_ALL=C sort | tar -c --dereference -T - | zstd -q -T0 -f -o "$3.new"
	)
	mv "$3.new" "$3"
}

# overlay_install HEADERS COMMON ARCHIVE: only the packed files stay in the
# root, whether they were compiled just now or come from the cache.
overlay_install() {
	rm -rf "$1/rust" "$2/rust" "$2/drivers"
	zstd -dc "$3" | tar -x -C "$1" --no-same-owner --keep-directory-symlink
}

overlay_one() {
	local release=$1 series version abi rustc kdir source_deb headers common archive key have
	# shellcheck source=/dev/null
	. "$FEED_KERNELS/$release/facts"
	headers=$FEED_ROOT$kdir
	common=/usr/src/linux-headers-$abi-common
	archive=$FEED_KERNELS/$release/rust-metadata.tar.zst
	key=$(fingerprint "$version" "$rustc" "${OVERLAY_SOURCE[*]}" "${OVERLAY_KEEP[*]}")
	if stamp_is "$FEED_KERNELS/$release/rust-metadata.stamp" "$key" && manifest_check "$archive"; then
		if ! stamp_is "$headers/.feed-rust" "$key"; then
			overlay_install "$headers" "$FEED_ROOT$common" "$archive"
			stamp_set "$headers/.feed-rust" "$key"
			say "  $release: unpacked from the cache"
		fi
		return
	fi
	have=$("$FEED_CHECKOUT/qemu/in-root" rustc --version)
	[ "$have" = "$rustc" ] ||
		die "$release was built by '$rustc', the root has '$have': metadata would not fit"
	if [ ! -d "$(overlay_source_dir "$abi")" ]; then
		mkdir -p "$FEED_CACHE/source"
		logged source "unpacking of linux-source-$series" overlay_unpack_source "$series" \
			"$FEED_CACHE/deb/$source_deb" "$(overlay_source_dir "$abi")" "${OVERLAY_SOURCE[@]}"
	fi
	logged "overlay-$release" "Rust metadata of $release" \
		overlay_compile "$kdir" "$common" "$(overlay_source_dir "$abi")"
	overlay_guard "$release" "$headers"
	overlay_pack "$headers" "$(overlay_source_dir "$abi")/rust" "$archive"
	manifest_record "$archive"
	overlay_install "$headers" "$FEED_ROOT$common" "$archive"
	stamp_set "$FEED_KERNELS/$release/rust-metadata.stamp" "$key"
	stamp_set "$headers/.feed-rust" "$key"
}

stage_overlay() {
	local release ready=1
	[ -s "$FEED_KERNELS/list" ] || stage_kernels
	while read -r release; do
		[ -f "$FEED_ROOT/usr/src/linux-headers-$release/.feed-rust" ] || ready=
	done <"$FEED_KERNELS/list"
	[ -n "$ready" ] || stage_begin overlay "Rust metadata for each kernel, one minute and a half of CPU each"
	while read -r -u 9 release; do
		overlay_one "$release"
	done 9<"$FEED_KERNELS/list"
	if [ -n "$ready" ]; then
		stage_cached overlay
	else
		stage_end
	fi
}
