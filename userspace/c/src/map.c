// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* Entries in a program's memory. */

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "feed.h"

int feed_map_entry(int fd, const void **at, struct feed_entry_info *info)
{
	socklen_t len = sizeof(*info);
	void *start;
	int saved;

	if (getsockopt(fd, SOL_FEED, FEED_OPT_MAP, info, &len) != 0)
		return -1;
	if (len != sizeof(*info)) {
		errno = EPROTO;
		return -1;
	}
	*at = NULL;
	if (info->len == 0)
		return 0;
	start = mmap(NULL, info->len, PROT_READ, MAP_SHARED, fd, 0);
	if (start == MAP_FAILED) {
		/* It was taken: go back, so that the next call gives it again. */
		saved = errno;
		feed_seek(fd, info->seq, 0);
		errno = saved;
		return -1;
	}
	*at = start;
	return 0;
}

int feed_unmap_entry(const void *at, size_t len)
{
	return at != NULL ? munmap((void *)(uintptr_t)at, len) : 0;
}
