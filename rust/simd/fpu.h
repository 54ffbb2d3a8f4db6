/* SPDX-License-Identifier: GPL-2.0 */
/* Prototypes for simd/fpu.c; bindgen and the C compiler read the same lines. */
#ifndef FEED_SIMD_FPU_H
#define FEED_SIMD_FPU_H

#include <linux/types.h>

/* The widest vector code that may be used. */
enum feed_simd {
	FEED_SIMD_NONE,
	FEED_SIMD_SSE41,
	FEED_SIMD_AVX2,
	FEED_SIMD_AVX512,
};

enum feed_simd feed_helper_simd_level(void);
bool feed_helper_fpu_usable(void);
void feed_helper_fpu_begin(void);
void feed_helper_fpu_end(void);

#endif
