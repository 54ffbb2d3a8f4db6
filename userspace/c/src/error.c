// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* What to do about an errno of this family. */

#include <errno.h>
#include <string.h>

#include "feed.h"

const char *feed_strerror(int err)
{
	switch (err) {
	case EAFNOSUPPORT:
		return "this kernel has no AF_FEED; load the module: sudo insmod feed.ko (or modprobe feed)";
	case ENETDOWN:
		return "no port to ask on; add one: sudo feedctl port add DEV";
	case ENETUNREACH:
		return "no route to this feed; add one: sudo feedctl route add default dev DEV";
	case ETIMEDOUT:
		return "nobody answered in time; check links and routes, or wait longer (FEED_OPT_TIMEOUT)";
	case EBADMSG:
		return "not genuine: the feed is forked (FEED_OPT_FORK has the evidence) or the proof does not hold";
	case ESTALE:
		return "this node does not know how far the feed has got; give the last head kept, or say that the feed is new";
	case ENOKEY:
		return "no secret key; set FEED_OPT_SECRET_KEY first";
	case EKEYREJECTED:
		return "the name does not belong to the secret key, or a grant has handed the feed over to another key";
	case EADDRINUSE:
		return "another program in this network namespace is this feed's author";
	case EMSGSIZE:
		return "an entry is at most 16 MiB; split it";
	case EPIPE:
		return "the feed is closed for ever (its head says FINAL)";
	case ENOSPC:
		return "the store is full; raise its limit: sudo feedctl store set limit SIZE";
	case EDQUOT:
		return "your own feeds have reached this user's limit";
	case ENOBUFS:
		return "no room to pin more of it in memory; raise RLIMIT_MEMLOCK, unmap others, or read it";
	case ENODATA:
		return "nothing there: no head is known yet, or the closed feed has ended";
	default:
		return strerror(err);
	}
}
