// SPDX-License-Identifier: GPL-2.0
/*
 * The FPU and the processor's features, which are macros in C.
 *
 * User-Mode Linux has no kernel_fpu_begin() to speak of and asks no processor:
 * it always says "none".
 */
#include "fpu.h"

#if defined(CONFIG_X86_64) && !defined(CONFIG_UML)

#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>

enum feed_simd feed_helper_simd_level(void)
{
	const u64 avx = XFEATURE_MASK_SSE | XFEATURE_MASK_YMM;

	if (boot_cpu_has(X86_FEATURE_AVX512F) && boot_cpu_has(X86_FEATURE_AVX512VL) &&
	    !boot_cpu_has(X86_FEATURE_PREFER_YMM) &&
	    cpu_has_xfeatures(avx | XFEATURE_MASK_AVX512, NULL))
		return FEED_SIMD_AVX512;
	if (boot_cpu_has(X86_FEATURE_AVX2) && cpu_has_xfeatures(avx, NULL))
		return FEED_SIMD_AVX2;
	if (boot_cpu_has(X86_FEATURE_XMM4_1))
		return FEED_SIMD_SSE41;
	return FEED_SIMD_NONE;
}

bool feed_helper_fpu_usable(void)
{
	return irq_fpu_usable();
}

void feed_helper_fpu_begin(void)
{
	kernel_fpu_begin();
}

void feed_helper_fpu_end(void)
{
	kernel_fpu_end();
}

#else

enum feed_simd feed_helper_simd_level(void)
{
	return FEED_SIMD_NONE;
}

bool feed_helper_fpu_usable(void)
{
	return false;
}

void feed_helper_fpu_begin(void)
{
}

void feed_helper_fpu_end(void)
{
}

#endif
