# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stage kernels: find the kernels that the module is built for, and fetch them.
#
# The archive moves on, so no version stands here. A kernel qualifies when it
# was configured with CONFIG_RUST=y and its image, headers and source are all
# to be had in the same version: the source is where its Rust metadata comes
# from. Of every series X.Y the newest qualifies; the newest of all is the
# default. The cloud flavour is what test machines boot; when this host itself
# runs a kernel of another flavour that qualifies, that one is fetched too.
#
# Result, one directory $FEED_KERNELS/RELEASE for each:
#   facts      shell variables: release, version, series, abi, rustc, kdir, …
#   vmlinuz    the package's kernel image, its SHA-256 in the facts
#   config     its configuration
# and, unpacked into the root, /usr/src/linux-headers-* and /lib/modules/*.
# $FEED_KERNELS/list holds the releases, newest first; default is a link.

KERNEL_FLAVOUR=cloud-amd64

# apt runs inside the root: it has the suites, and its keys check signatures.
kernels_apt() {
	(cd "$FEED_CACHE/deb" && "$FEED_CHECKOUT/qemu/in-root" "$@")
}

kernels_apt_update() {
	"$FEED_CHECKOUT/qemu/in-root" --rw apt-get update
}

kernels_have_lists() {
	compgen -G "$FEED_ROOT/var/lib/apt/lists/*Packages*" >/dev/null
}

# kernels_versions PACKAGE: the versions to be had, one a line.
kernels_versions() {
	kernels_apt apt-cache madison "$1" 2>/dev/null | awk -F' *[|] *' '/Packages$/ { print $2 }'
}

# Lines "SERIES VERSION ABI FLAVOUR", newest first, one per series and flavour.
kernels_candidates() {
	local flavours=("$KERNEL_FLAVOUR") running flavour package abi series version
	running=$(uname -r)
	case $running in
	*+deb*-"$KERNEL_FLAVOUR") ;;
	*+deb*-amd64) flavours+=(amd64) ;;
	esac
	for flavour in "${flavours[@]}"; do
		kernels_apt apt-cache pkgnames linux-headers- |
			sed -n "s/^linux-headers-\([0-9][0-9.]*+deb[0-9.]*\)-$flavour\$/\1/p" | sort -Vr |
			while read -r abi; do
				series=$(cut -d. -f1,2 <<<"$abi")
				package=linux-headers-$abi-$flavour
				version=$(kernels_versions "$package" | head -n 1)
				kernels_versions "linux-source-$series" | grep -Fxq -- "$version" || continue
				kernels_versions "linux-image-$abi-$flavour" | grep -Fxq -- "$version" || continue
				printf '%s %s %s %s\n' "$series" "$version" "$abi" "$flavour"
			done | awk '!seen[$1 FS $4]++'
	done
}

# kernels_closure PACKAGE VERSION: it and the packages of the same kernel that
# it depends on. Which these are changes from series to series.
kernels_closure() {
	local todo=("$1") done_=' ' package
	while [ ${#todo[@]} -gt 0 ]; do
		package=${todo[0]}
		todo=("${todo[@]:1}")
		[[ $done_ != *" $package "* ]] || continue
		done_+="$package "
		printf '%s\n' "$package"
		mapfile -t -O ${#todo[@]} todo < <(
			kernels_apt apt-cache show "$package=$2" | sed -n 's/^\(Pre-\)\{0,1\}Depends: //p' |
				sed 's/[,|] */\n/g' | sed 's/[ (:].*//' |
				grep -E '^linux-(base|binary|modules|headers|kbuild)-[0-9]' || true
		)
	done
}

# kernels_fetch VERSION PACKAGE…: download what is not there yet. apt checks
# the hashes of the signed package lists; the manifest guards it from then on.
kernels_fetch() {
	local version=$1 package file
	shift
	for package; do
		file=$FEED_CACHE/deb/$(kernels_deb "$package" "$version")
		! manifest_check "$file" || continue
		logged download "download of $package" kernels_apt apt-get download "$package=$version"
		[ -f "$file" ] || die "apt fetched $package, but not as $file"
		manifest_record "$file"
	done
}

# The file name apt gives a downloaded package: a colon would become %3a, but
# kernel versions have none. Headers shared by all are "all" packages.
kernels_deb() {
	case $1 in
	linux-headers-*-common | linux-source-*) printf '%s_%s_all.deb' "$1" "$2" ;;
	*) printf '%s_%s_amd64.deb' "$1" "$2" ;;
	esac
}

# kernels_deb_file PACKAGE VERSION MEMBER: print one file of a package.
kernels_deb_file() {
	"$FEED_CHECKOUT/qemu/in-root" dpkg-deb --fsys-tarfile "$FEED_CACHE/deb/$(kernels_deb "$1" "$2")" |
		tar -xO "$3"
}

# Unpack into the root through its /lib -> /usr/lib links.
kernels_unpack() {
	local version=$1 package
	shift
	for package; do
		"$FEED_CHECKOUT/qemu/in-root" dpkg-deb --fsys-tarfile \
			"$FEED_CACHE/deb/$(kernels_deb "$package" "$version")" |
			tar -x -C "$FEED_ROOT" --no-same-owner --keep-directory-symlink \
				--exclude='./usr/share/doc' --exclude='./usr/share/bug' --exclude='./usr/share/lintian'
	done
}

# kernels_image RELEASE FILE: copy the kernel image; its place depends on the
# series.
kernels_image() {
	local place
	for place in "$FEED_ROOT/usr/lib/modules/$1/vmlinuz" "$FEED_ROOT/boot/vmlinuz-$1"; do
		if [ -f "$place" ]; then
			cp --remove-destination "$place" "$2"
			return
		fi
	done
	die "the image packages of $1 hold no vmlinuz at a known place"
}

# kernels_one SERIES VERSION ABI FLAVOUR: put the release on the list when it
# qualifies.
kernels_one() {
	local series=$1 version=$2 abi=$3 flavour=$4
	local release=$abi-$flavour headers images config rustc sum dir
	dir=$FEED_KERNELS/$release
	mapfile -t headers < <(kernels_closure "linux-headers-$release" "$version")
	kernels_fetch "$version" "linux-headers-$release"
	# The answer is in the header package itself, without unpacking it all.
	config=$(kernels_deb_file "linux-headers-$release" "$version" \
		"./usr/src/linux-headers-$release/include/config/auto.conf")
	if ! grep -q '^CONFIG_RUST=y' <<<"$config"; then
		say "  $release: no CONFIG_RUST, left out"
		return
	fi
	mapfile -t images < <(kernels_closure "linux-image-$release" "$version")
	say "  $release: CONFIG_RUST=y, version $version"
	kernels_fetch "$version" "${headers[@]}" "${images[@]}" "linux-source-$series"
	mkdir -p "$dir"
	kernels_unpack "$version" "${headers[@]}" "${images[@]}"
	kernels_image "$release" "$dir/vmlinuz"
	cp --remove-destination "$FEED_ROOT/usr/src/linux-headers-$release/.config" "$dir/config"
	manifest_record "$dir/vmlinuz"
	sum=$(sha256sum <"$dir/vmlinuz" | cut -d' ' -f1)
	rustc=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' <<<"$config")
	"$FEED_CHECKOUT/qemu/in-root" --rw depmod "$release"
	cat >"$dir/facts" <<-FACTS
		# Written by qemu/setup; read by shell and make.
		release='$release'
		series='$series'
		version='$version'
		abi='$abi'
		rustc='$rustc'
		kdir='/usr/src/linux-headers-$release'
		vmlinuz_sha256='$sum'
		source_deb='$(kernels_deb "linux-source-$series" "$version")'
	FACTS
	printf '%s\n' "$release" >>"$FEED_KERNELS/list.new"
}

# kernels_fact RELEASE NAME: one of the facts.
kernels_fact() {
	sed -n "s/^$2='\(.*\)'\$/\1/p" "$FEED_KERNELS/$1/facts"
}

# Every kernel on the list is unpacked in the root at hand, its files sound.
kernels_current() {
	local release
	[ -z "$FEED_REFRESH" ] && [ -s "$FEED_KERNELS/list" ] || return 1
	while read -r release; do
		stamp_is "$FEED_ROOT/.feed-kernels" "$(kernels_key)" || return 1
		manifest_check "$FEED_KERNELS/$release/vmlinuz" \
			"$FEED_CACHE/deb/$(kernels_fact "$release" source_deb)" || return 1
	done <"$FEED_KERNELS/list"
}

kernels_key() {
	fingerprint "$(cat "$FEED_ROOT/.feed-root")" "$(cat "$FEED_KERNELS/list")"
}

stage_kernels() {
	local candidate
	[ -f "$FEED_ROOT/.feed-root" ] || stage_root
	if kernels_current; then
		stage_cached kernels "$(paste -sd' ' "$FEED_KERNELS/list")"
		return
	fi
	stage_begin kernels "Debian's kernels with CONFIG_RUST=y, about 350 MB for each"
	mkdir -p "$FEED_CACHE/deb"
	# A root that was made anew has no package lists, whatever was resolved before.
	if [ -n "$FEED_REFRESH" ] || [ ! -s "$FEED_KERNELS/resolved" ] || ! kernels_have_lists; then
		logged apt-update "package lists" kernels_apt_update
	fi
	if [ -s "$FEED_KERNELS/resolved" ] && [ -z "$FEED_REFRESH" ]; then
		say "  taking the resolution of $(date -r "$FEED_KERNELS/resolved" +%F); --refresh asks again"
	else
		kernels_candidates >"$FEED_KERNELS/resolved.new"
		[ -s "$FEED_KERNELS/resolved.new" ] ||
			die "the archive has no kernel with image, headers and source; see $FEED_CACHE/log/apt-update.log"
		mv "$FEED_KERNELS/resolved.new" "$FEED_KERNELS/resolved"
	fi
	: >"$FEED_KERNELS/list.new"
	while read -r -u 9 candidate; do
		# shellcheck disable=SC2086 # four words
		kernels_one $candidate
	done 9<"$FEED_KERNELS/resolved"
	[ -s "$FEED_KERNELS/list.new" ] || die "no kernel in the archive has CONFIG_RUST=y"
	mv "$FEED_KERNELS/list.new" "$FEED_KERNELS/list"
	ln -sfn "$(head -n 1 "$FEED_KERNELS/list")" "$FEED_KERNELS/default"
	stamp_set "$FEED_ROOT/.feed-kernels" "$(kernels_key)"
	prune_kernels "$FEED_KERNELS/resolved"
	stage_end "default is $(head -n 1 "$FEED_KERNELS/list")"
}
