// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* Position, knowledge and patience of a socket: one option each. */

#include <errno.h>
#include <sys/socket.h>

#include "feed.h"

/* An answer of another length comes from a kernel with another ABI. */
static int get(int fd, int option, void *value, socklen_t size)
{
	socklen_t len = size;

	if (getsockopt(fd, SOL_FEED, option, value, &len) != 0)
		return -1;
	if (len != size) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}

int feed_seek(int fd, uint64_t seq, uint64_t offset)
{
	struct feed_seek to = { .seq = seq, .offset = offset };

	return setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to));
}

int feed_head(int fd, struct feed_head *head)
{
	return get(fd, FEED_OPT_HEAD, head, sizeof(*head));
}

int feed_info(int fd, struct feed_info *info)
{
	return get(fd, FEED_OPT_INFO, info, sizeof(*info));
}

int feed_fork(int fd, struct feed_fork *fork)
{
	return get(fd, FEED_OPT_FORK, fork, sizeof(*fork));
}

int feed_set_timeout(int fd, uint64_t ms)
{
	return setsockopt(fd, SOL_FEED, FEED_OPT_TIMEOUT, &ms, sizeof(ms));
}

int feed_timeout(int fd, uint64_t *ms)
{
	return get(fd, FEED_OPT_TIMEOUT, ms, sizeof(*ms));
}
