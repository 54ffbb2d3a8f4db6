# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Stage image: what the test machines boot from, made by qemu/lab out of the
# root. The lab knows itself when nothing has changed.

stage_image() {
	[ -s "$FEED_KERNELS/list" ] || stage_kernels
	stage_begin image "root file system and PID 1 of the test machines"
	logged image "qemu/lab image" "$FEED_CHECKOUT/qemu/lab" image
	stage_end
}
