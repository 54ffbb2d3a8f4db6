# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Progress, atomic results and the manifest of checksums, for all stages.

SETUP_START=$SECONDS

say() {
	printf '[%3ds] %s\n' $((SECONDS - SETUP_START)) "$*"
}

die() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}

# One process at a time in a stage: two would unpack into the same place. Each
# stage has its own lock, so that `make` need not wait for a kernel's build.
lock_stage() {
	exec {lock_fd}>"$FEED_CACHE/.lock-$1"
	if ! flock --nonblock "$lock_fd"; then
		say "$1: waiting for another qemu/setup at the same stage"
		flock "$lock_fd"
	fi
}

unlock_stage() {
	exec {lock_fd}>&-
}

# stage_begin NAME WHAT: announce; stage_end: how long it took.
stage_begin() {
	stage_name=$1
	stage_start=$SECONDS
	say "$1: $2"
}

stage_end() {
	say "$stage_name: done in $((SECONDS - stage_start)) s${1:+, $1}"
}

stage_cached() {
	say "$1: up to date${2:+ ($2)}"
}

# logged LOG WHAT CMD…: run with the output in a log file, print a heart beat
# so that a long step is seen to live, and show the log's end on failure.
logged() {
	local log=$FEED_CACHE/log/$1.log what=$2 began=$SECONDS beat=0 pid status=0
	shift 2
	# A process group of its own: an interrupt must end all of it, and a shell's
	# background commands would ignore the terminal's.
	set -m
	"$@" >"$log" 2>&1 </dev/null {lock_fd}>&- &
	pid=$!
	set +m
	# Whatever ends us, also a closed terminal or a reader of our output that has
	# gone: nothing may write on while the next run writes to the same place.
	# shellcheck disable=SC2064 # expanded now, while the name is in scope
	trap "kill -TERM -- -$pid 2>/dev/null || :; wait $pid || :" EXIT
	trap 'exit 130' INT TERM HUP PIPE
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if [ $((SECONDS - began)) -ge $((beat + 15)) ]; then
			beat=$((SECONDS - began))
			say "  $what: ${beat} s, $(tail -c 200 "$log" | tr '\r' '\n' | tail -n 1 | cut -c 1-70)"
		fi
	done
	wait "$pid" || status=$?
	trap - EXIT INT TERM HUP PIPE
	if [ "$status" -ne 0 ]; then
		tail -n 25 "$log" >&2
		die "$what failed (status $status); the whole log is $log"
	fi
}

# fingerprint WORD…: a short key over the words, for stamps.
fingerprint() {
	printf '%s\n' "$@" | sha256sum | cut -c 1-16
}

# Words of a package list: comments and empty lines dropped.
list_words() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"
}

# The manifest remembers size, mtime and SHA-256 of every downloaded or built
# file that later stages trust. A file whose size and mtime are as recorded is
# taken at its word; any other is hashed again, and refused by name when its
# content is not what was recorded. A file that is gone is no error: the check
# fails, and its stage makes it again.
manifest_file() {
	printf '%s/manifest/%s' "$FEED_CACHE" "$(printf '%s' "${1#"$FEED_CACHE"/}" | tr '/ ' '__')"
}

manifest_record() {
	local file
	for file; do
		printf '%s %s\n' "$(stat -c '%s %Y' -- "$file")" "$(sha256sum <"$file" | cut -d' ' -f1)" \
			>"$(manifest_file "$file")"
	done
}

manifest_check() {
	local file record size mtime sum
	for file; do
		record=$(manifest_file "$file")
		[ -f "$record" ] && [ -f "$file" ] || return 1
		read -r size mtime sum <"$record"
		[ "$(stat -c '%s %Y' -- "$file")" != "$size $mtime" ] || continue
		if [ "$(sha256sum <"$file" | cut -d' ' -f1)" != "$sum" ]; then
			die "damaged cached file: $file (its SHA-256 is not the recorded $sum); remove it and run qemu/setup again"
		fi
		# Same content, new times: a copied cache. Remember them.
		printf '%s %s\n' "$(stat -c '%s %Y' -- "$file")" "$sum" >"$record"
	done
}

# A stamp says that a result was completed, and from what.
stamp_is() {
	[ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

stamp_set() {
	printf '%s\n' "$2" >"$1.new"
	mv -f "$1.new" "$1"
}
