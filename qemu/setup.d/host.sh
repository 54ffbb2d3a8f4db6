# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stage host: the few packages this machine itself needs.

# Print the packages whose command is absent. sbin is searched too: an
# ordinary user's PATH lacks it.
host_missing() {
	local command package
	while read -r command package; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null || printf '%s\n' "$package"
	done < <(list_words "$FEED_CHECKOUT/qemu/setup.d/host-packages.txt")
}

stage_host() {
	local missing as_root=()
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
