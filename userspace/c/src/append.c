// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* The author's side. */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "feed.h"

ssize_t feed_appendv(int fd, const struct iovec *iov, size_t count,
		     const struct feed_append *how, int flags)
{
	union {
		char room[CMSG_SPACE(sizeof(struct feed_append))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {
		/* sendmsg() does not write to the vector. */
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = count,
	};

	if (how != NULL) {
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_FEED;
		cmsg->cmsg_type = FEED_CMSG_APPEND;
		cmsg->cmsg_len = CMSG_LEN(sizeof(*how));
		memcpy(CMSG_DATA(cmsg), how, sizeof(*how));
	}
	return sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

ssize_t feed_append(int fd, const void *buf, size_t len,
		    const struct feed_append *how, int flags)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	return feed_appendv(fd, &iov, 1, how, flags);
}

int feed_set_final(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_FEED, FEED_OPT_FINAL, &on, sizeof(on));
}

int feed_set_next_by(int fd, uint64_t ms)
{
	return setsockopt(fd, SOL_FEED, FEED_OPT_NEXT_BY, &ms, sizeof(ms));
}
