// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* The reader's side. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "feed.h"

/* Room for an entry whose length is not known yet. */
#define FIRST_ROOM	4096

static void take_info(struct msghdr *msg, struct feed_entry_info *info)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level == SOL_FEED &&
		    cmsg->cmsg_type == FEED_CMSG_ENTRY &&
		    cmsg->cmsg_len >= CMSG_LEN(sizeof(*info)))
			memcpy(info, CMSG_DATA(cmsg), sizeof(*info));
	}
}

ssize_t feed_read(int fd, void *buf, size_t len, struct feed_entry_info *info,
		  int *flags)
{
	union {
		char room[CMSG_SPACE(sizeof(struct feed_entry_info))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;

	if (info != NULL) {
		memset(info, 0, sizeof(*info));
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
	}
	got = recvmsg(fd, &msg, flags != NULL ? *flags : 0);
	if (got < 0)
		return -1;
	if (info != NULL)
		take_info(&msg, info);
	if (flags != NULL)
		*flags = msg.msg_flags;
	return got;
}

static int grow(void **buf, size_t *size, size_t wanted)
{
	void *bigger;

	if (*buf != NULL && *size >= wanted)
		return 0;
	bigger = realloc(*buf, wanted);
	if (bigger == NULL)
		return -1;
	*buf = bigger;
	*size = wanted;
	return 0;
}

ssize_t feed_read_entry(int fd, void **buf, size_t *size,
			struct feed_entry_info *info)
{
	struct feed_entry_info last;
	size_t filled = 0;

	if (info == NULL)
		info = &last;
	if (grow(buf, size, FIRST_ROOM) != 0)
		return -1;
	for (;;) {
		int flags = 0;
		ssize_t got = feed_read(fd, (char *)*buf + filled, *size - filled,
					info, &flags);

		/* A failure between two pieces leaves the position behind the
		 * first: go back, so that the next call gives the whole entry.
		 */
		if (got < 0) {
			int saved = errno;

			if (filled > 0)
				feed_seek(fd, info->seq, 0);
			errno = saved;
			return -1;
		}
		filled += (size_t)got;
		if (flags & MSG_EOR)
			return (ssize_t)filled;
		if (got == 0) {
			errno = ENODATA;
			return -1;
		}
		/* The first piece tells the length, so this grows once. */
		if (grow(buf, size, info->len > filled ? info->len : filled + FIRST_ROOM) != 0)
			return -1;
	}
}
