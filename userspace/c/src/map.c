// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* Entries in a program's memory. */

#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "feed.h"

int feed_map_at(int fd, uint64_t seq, size_t len, const void **at)
{
	void *start;

	/* Beyond what mmap() can be asked for there are no entries. */
	if (seq > (uint64_t)INT64_MAX >> FEED_MAP_SHIFT) {
		errno = ENODATA;
		return -1;
	}
	start = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)FEED_MAP_OFFSET(seq));
	if (start == MAP_FAILED)
		return -1;
	*at = start;
	return 0;
}

int feed_map_entry(int fd, const void **at, struct feed_entry_info *info)
{
	socklen_t len = sizeof(*info);
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
	if (feed_map_at(fd, info->seq, info->len, at) != 0) {
		/* It was taken: go back, so that the next call gives it again. */
		saved = errno;
		feed_seek(fd, info->seq, 0);
		errno = saved;
		return -1;
	}
	return 0;
}

int feed_unmap_entry(const void *at, size_t len)
{
	return at != NULL ? munmap((void *)(uintptr_t)at, len) : 0;
}
