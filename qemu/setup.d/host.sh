# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stage host: the few packages this machine itself needs, and what no package
# can give it.

# For the set-up of all stages with what tests and demo build then.
HOST_FREE_GB=12

# Print the packages whose command is absent. sbin is searched too: an
# ordinary user's PATH lacks it.
host_missing() {
	local command package
	while read -r command package; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null || printf '%s\n' "$package"
	done < <(list_words "$FEED_CHECKOUT/qemu/setup.d/host-packages.txt")
}

# What stops a set-up later and less clearly.
host_fits() {
	local free user file
	[ "$(uname -m)" = x86_64 ] || die "this machine is $(uname -m); only x86_64 is supported"
	if [ ! -f "$FEED_ROOT/.feed-root" ]; then
		free=$(df --output=avail -BG "$FEED_CACHE" | tr -dc '0-9')
		[ "$free" -ge "$HOST_FREE_GB" ] ||
			die "$free GB are free at $FEED_CACHE, $HOST_FREE_GB are needed; AF_FEED_CACHE=DIR names another place"
	fi
	[ "$(id -u)" -ne 0 ] || return 0
	# The Debian root is entered under one other user id, made under many.
	unshare --user --map-root-user true 2>/dev/null ||
		die "user namespaces are forbidden here; allow them:" \
			"sudo sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1"
	[ ! -f "$FEED_ROOT/.feed-root" ] || return 0
	user=$(id -un)
	for file in /etc/subuid /etc/subgid; do
		grep -qs "^\($user\|$(id -u)\):" "$file" ||
			die "$user has no line in $file; give one:" \
				"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $user"
	done
}

stage_host() {
	local missing as_root=()
	host_fits
	mapfile -t missing < <(host_missing)
	if [ ${#missing[@]} -eq 0 ]; then
		stage_cached host
		return
	fi
	stage_begin host "packages by apt: ${missing[*]}"
	command -v apt-get >/dev/null ||
		die "this host has no apt-get; install by hand what provides: ${missing[*]}"
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			die "not root and no sudo; run as root: apt-get install ${missing[*]}"
		# Asked for here: below, nobody could type a password.
		sudo -v || die "sudo refuses; run as root: apt-get install ${missing[*]}"
		as_root=(sudo)
	fi
	logged host-update "apt-get update" "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=600 update
	logged host-install "apt-get install" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}"
	stage_end
}
