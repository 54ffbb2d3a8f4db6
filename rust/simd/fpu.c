// SPDX-License-Identifier: GPL-2.0
/*
 * The FPU and the processor's features, which are macros in C.
 */
#include "fpu.h"

#if defined(CONFIG_X86_64)

#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#ifdef CONFIG_UML
#include <linux/preempt.h>

/*
 * User-Mode Linux is a process: its host keeps the vector registers, also over
 * the signals that are its interrupts, and knew them usable when it listed
 * them among its features. Only a switch of tasks would lose them.
 */
#define cpu_has_xfeatures(mask, name) true
#undef kernel_fpu_begin
#undef kernel_fpu_end
#define kernel_fpu_begin() preempt_disable()
#define kernel_fpu_end() preempt_enable()
#else
#include <asm/fpu/types.h>
#endif

enum feed_simd feed_helper_simd_level(void)
{
	if (boot_cpu_has(X86_FEATURE_AVX512F) && boot_cpu_has(X86_FEATURE_AVX512VL) &&
	    !boot_cpu_has(X86_FEATURE_PREFER_YMM) &&
	    cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512, NULL))
		return FEED_SIMD_AVX512;
	if (boot_cpu_has(X86_FEATURE_AVX2) &&
	    cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM, NULL))
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
