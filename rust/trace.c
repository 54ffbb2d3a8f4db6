// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints, and functions for Rust that call them. Each tests its
 * static key first: while nobody traces it is a jump over nothing.
 */
#define CREATE_TRACE_POINTS
#include <trace/events/feed.h>

#include "trace.h"

/* Context: any. @feed has 32 bytes. */
void feed_trace_verify(const char *what, size_t what_len, bool ok, const u8 *feed, u64 n)
{
	trace_feed_verify(what, what_len, ok, feed, n);
}

/* Context: any. @mac has 6 bytes. */
void feed_trace_drop(const char *reason, size_t reason_len, u32 ifindex, const u8 *mac)
{
	trace_feed_drop(reason, reason_len, ifindex, mac);
}

/* Whether anybody wants to know what is sent. */
bool feed_trace_sending(void)
{
	return trace_feed_lookup_enabled() || trace_feed_answer_enabled();
}

/* Context: any. @mac has 6 bytes, @feed 32. */
void feed_trace_lookup(const char *what, size_t what_len, u32 ifindex, const u8 *mac,
		       const u8 *feed)
{
	trace_feed_lookup(what, what_len, ifindex, mac, feed);
}

/* Context: any. @mac has 6 bytes. */
void feed_trace_answer(const char *what, size_t what_len, u32 ifindex, const u8 *mac, u32 bytes)
{
	trace_feed_answer(what, what_len, ifindex, mac, bytes);
}

/* Context: any. @feed has 32 bytes. */
void feed_trace_fork(const u8 *feed)
{
	trace_feed_fork(feed);
}
