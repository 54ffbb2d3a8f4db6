# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stages uml-debug and uml: the default kernel's source as User-Mode Linux, a
# kernel that runs as a process. The debug one has every checker on; the other
# none, for measuring. Each build directory serves as KDIR of its module.

# Any change of source, configuration or compiler means a new build.
uml_key() {
	local name=$1 abi=$2
	shift 2
	fingerprint "$name" "$abi" "$(cat "$@")" "$(declare -f uml_patch_data uml_patch_traces)" \
		"$("$FEED_CHECKOUT/qemu/in-root" sh -c 'rustc --version; gcc --version; clang-19 --version; bindgen --version')"
}

# What is patched already stays as it is, with its time.
uml_patch_source() {
	grep -q '\.ldata' "$1/arch/um/kernel/uml.lds.S" || uml_patch_data "$1"
	grep -q 'ops != &dump_ops' "$1/arch/um/kernel/stacktrace.c" || uml_patch_traces "$1"
}

# clang's large code model puts data into sections that UML's linker script
# does not list; unlisted, they land behind the end of the kernel's data, where
# lockdep takes static locks for dynamic ones and gives up.
uml_patch_data() {
	local script
	for script in dyn uml; do
		sed -i -e 's/^\(\t *\)\{0,1\}\( *\)DATA_DATA$/&\n    *(.ldata .ldata.*)/' \
			-e 's/^\( *\)\*(\.bss \.bss\.\* \.gnu\.linkonce\.b\.\*)$/&\n\1*(.lbss .lbss.*)/' \
			"$1/arch/um/kernel/$script.lds.S"
	done
	for script in ldata lbss; do
		grep -q "\.$script" "$1/arch/um/kernel/dyn.lds.S" ||
			die "arch/um/kernel/dyn.lds.S of this kernel has another form than expected"
	done
}

# KASAN and kmemleak keep a stack trace of every allocation, for which UML asks
# of each word on the stack whether code lies there: under RCU, which lockdep
# watches. That took nine tenths of a debug kernel's time. They keep only return
# addresses that frame pointers lead to: no other word is worth asking about.
uml_patch_traces() {
	local file=$1/arch/um/kernel/stacktrace.c
	sed -i -e 's/^void dump_trace(.*/static const struct stacktrace_ops dump_ops;\n\n&/' \
		-e 's/^\t\tif (__kernel_text_address(addr)) {$/\t\tif ((ops != \&dump_ops || (unsigned long)sp == bp + sizeof(long)) \&\&\n\t\t    __kernel_text_address(addr)) {/' \
		"$file"
	if ! grep -q 'ops != &dump_ops' "$file" || ! grep -q 'ops dump_ops;' "$file"; then
		die "arch/um/kernel/stacktrace.c of this kernel has another form than expected"
	fi
}

# Every line of the fragments must be in the final configuration: a renamed or
# unmet option would otherwise silently leave a checker off.
uml_check_config() {
	local config=$1 missing
	shift
	missing=$(cat "$@" | grep '^CONFIG_' | grep -Fxv -f "$config" || true)
	[ -z "$missing" ] || die "the User-Mode kernel's configuration lost: $(paste -sd' ' <<<"$missing")"
}

# uml_make SOURCE DIR LLVM FRAGMENT…: configure and compile inside the root.
uml_make() {
	local source=$1 dir=$2 llvm=$3
	shift 3
	local make=("$FEED_CHECKOUT/qemu/in-root" make -C "$source" ARCH=um "O=$dir" --no-print-directory)
	[ -z "$llvm" ] || make+=("LLVM=$llvm")
	cat "$@" >"$dir/fragment.config"
	"${make[@]}" KCONFIG_ALLCONFIG="$dir/fragment.config" allnoconfig
	uml_check_config "$dir/.config" "$@"
	"${make[@]}" "-j$(nproc)"
}

uml_stage() {
	local name=$1 llvm=$2 series abi source_deb source dir key
	shift 2
	[ -s "$FEED_KERNELS/list" ] || stage_kernels
	# shellcheck source=/dev/null
	. "$FEED_KERNELS/default/facts"
	source=$FEED_CACHE/source/$abi-full
	dir=$FEED_CACHE/$name
	key=$(uml_key "$name" "$abi" "$@")
	if stamp_is "$dir/.feed-uml" "$key" && manifest_check "$dir/linux"; then
		stage_cached "$name" "$abi"
		return
	fi
	stage_begin "$name" "User-Mode Linux of $abi, about 10 minutes on two processors"
	if [ ! -d "$source" ]; then
		mkdir -p "$FEED_CACHE/source"
		logged source "unpacking of linux-source-$series" uml_unpack "$series" \
			"$FEED_CACHE/deb/$source_deb" "$source"
	fi
	uml_patch_source "$source"
	# make knows what a changed option or compiler makes stale, and goes on
	# where it was interrupted; only another source starts anew.
	if ! stamp_is "$dir/.feed-source" "$abi"; then
		rm -rf "$dir"
		mkdir -p "$dir"
		stamp_set "$dir/.feed-source" "$abi"
	fi
	rm -f "$dir/.feed-uml"
	logged "$name" "compilation" uml_make "$source" "$dir" "$llvm" "$@"
	manifest_record "$dir/linux"
	stamp_set "$dir/.feed-uml" "$key"
	stage_end "$dir/linux"
}

uml_unpack() {
	rm -rf "$3.part"
	overlay_unpack_source "$1" "$2" "$3.part"
	mv "$3.part" "$3"
}

# KASAN and Rust together need clang.
stage_uml_debug() {
	uml_stage uml-debug -19 "$FEED_CHECKOUT/qemu/uml/base.config" "$FEED_CHECKOUT/qemu/uml/debug.config"
}

stage_uml() {
	uml_stage uml '' "$FEED_CHECKOUT/qemu/uml/base.config" "$FEED_CHECKOUT/qemu/uml/release.config"
}
