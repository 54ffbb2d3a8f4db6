/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BLAKE3's SSE41 code, from the crate's own sources, for the kernel.
 *
 * Call only between kernel_fpu_begin() and kernel_fpu_end(), and directly:
 * the functions have no ENDBR, so an indirect call would fault under IBT.
 */
#include <linux/linkage.h>

/* The kernel's return: with its mitigations, and what objtool demands. */
#ifdef RET
#define ret RET
#endif

#include "blake3_sse41_x86-64_unix.S"
