/* SPDX-License-Identifier: GPL-2.0 */
/* Prototypes for trace.c; bindgen reads them. */
#ifndef FEED_TRACE_H
#define FEED_TRACE_H

#include <linux/types.h>

void feed_trace_verify(const char *what, size_t what_len, bool ok, const u8 *feed, u64 n);
void feed_trace_drop(const char *reason, size_t reason_len, u32 ifindex, const u8 *mac);
bool feed_trace_sending(void);
void feed_trace_lookup(const char *what, size_t what_len, u32 ifindex, const u8 *mac,
		       const u8 *feed);
void feed_trace_answer(const char *what, size_t what_len, u32 ifindex, const u8 *mac, u32 bytes);
void feed_trace_fork(const u8 *feed);

#endif
