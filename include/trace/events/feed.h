/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of AF_FEED: what was checked and how it came out, what was
 * dropped and why, which lookups and answers were sent and to whom, which feeds
 * turned out to be forked. A frame is told by its first message.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM feed

#if !defined(_TRACE_FEED_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_FEED_H

#include <linux/etherdevice.h>
#include <linux/tracepoint.h>

/* Texts come from Rust: they have a length and no null byte. */

TRACE_EVENT(feed_verify,
	TP_PROTO(const char *what, size_t what_len, bool ok, const u8 *feed, u64 n),
	TP_ARGS(what, what_len, ok, feed, n),
	TP_STRUCT__entry(
		__string_len(what, what, what_len)
		__field(bool, ok)
		__array(u8, feed, 32)
		__field(u64, n)
	),
	TP_fast_assign(
		__assign_str(what);
		__entry->ok = ok;
		memcpy(__entry->feed, feed, 32);
		__entry->n = n;
	),
	TP_printk("what=%s ok=%d feed=%s n=%llu",
		__get_str(what), __entry->ok,
		__print_hex_str(__entry->feed, 32), __entry->n)
);

TRACE_EVENT(feed_drop,
	TP_PROTO(const char *reason, size_t reason_len, u32 ifindex, const u8 *mac),
	TP_ARGS(reason, reason_len, ifindex, mac),
	TP_STRUCT__entry(
		__string_len(reason, reason, reason_len)
		__field(u32, ifindex)
		__array(u8, mac, ETH_ALEN)
	),
	TP_fast_assign(
		__assign_str(reason);
		__entry->ifindex = ifindex;
		memcpy(__entry->mac, mac, ETH_ALEN);
	),
	TP_printk("reason=%s ifindex=%u mac=%pM",
		__get_str(reason), __entry->ifindex, __entry->mac)
);

TRACE_EVENT(feed_lookup,
	TP_PROTO(const char *what, size_t what_len, u32 ifindex, const u8 *mac, const u8 *feed),
	TP_ARGS(what, what_len, ifindex, mac, feed),
	TP_STRUCT__entry(
		__string_len(what, what, what_len)
		__field(u32, ifindex)
		__array(u8, mac, ETH_ALEN)
		__array(u8, feed, 32)
	),
	TP_fast_assign(
		__assign_str(what);
		__entry->ifindex = ifindex;
		memcpy(__entry->mac, mac, ETH_ALEN);
		memcpy(__entry->feed, feed, 32);
	),
	TP_printk("what=%s ifindex=%u mac=%pM feed=%s",
		__get_str(what), __entry->ifindex, __entry->mac,
		__print_hex_str(__entry->feed, 32))
);

TRACE_EVENT(feed_answer,
	TP_PROTO(const char *what, size_t what_len, u32 ifindex, const u8 *mac, u32 bytes),
	TP_ARGS(what, what_len, ifindex, mac, bytes),
	TP_STRUCT__entry(
		__string_len(what, what, what_len)
		__field(u32, ifindex)
		__array(u8, mac, ETH_ALEN)
		__field(u32, bytes)
	),
	TP_fast_assign(
		__assign_str(what);
		__entry->ifindex = ifindex;
		memcpy(__entry->mac, mac, ETH_ALEN);
		__entry->bytes = bytes;
	),
	TP_printk("what=%s ifindex=%u mac=%pM bytes=%u",
		__get_str(what), __entry->ifindex, __entry->mac, __entry->bytes)
);

TRACE_EVENT(feed_fork,
	TP_PROTO(const u8 *feed),
	TP_ARGS(feed),
	TP_STRUCT__entry(
		__array(u8, feed, 32)
	),
	TP_fast_assign(
		memcpy(__entry->feed, feed, 32);
	),
	TP_printk("feed=%s", __print_hex_str(__entry->feed, 32))
);

#endif /* _TRACE_FEED_H */

#include <trace/define_trace.h>
