// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* From a key or a name to a descriptor. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "feed.h"

#define FAMILY_FILE	"/sys/module/feed/parameters/family"

int feed_family(void)
{
	int saved = errno, family = AF_FEED, number;
	FILE *file = fopen(FAMILY_FILE, "re");

	if (file != NULL) {
		if (fscanf(file, "%d", &number) == 1 && number > 0)
			family = number;
		fclose(file);
	}
	/* Without the module there is no such file, which is no failure here:
	 * socket() reports it.
	 */
	errno = saved;
	return family;
}

static int open_socket(int family, unsigned int flags)
{
	int type = SOCK_SEQPACKET | SOCK_CLOEXEC;

	if (flags & FEED_OPEN_NONBLOCK)
		type |= SOCK_NONBLOCK;
	return socket(family, type, 0);
}

/* Close @fd without losing the errno that tells why. */
static int fail(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

int feed_public_key(int fd, uint8_t name[FEED_KEY_LEN])
{
	socklen_t len = FEED_KEY_LEN;

	return getsockopt(fd, SOL_FEED, FEED_OPT_PUBLIC_KEY, name, &len);
}

int feed_open_author(const uint8_t seed[FEED_KEY_LEN], unsigned int flags,
		     const struct feed_head *head)
{
	struct sockaddr_feed addr;
	int family, fd;

	if (flags & ~(unsigned int)(FEED_OPEN_NEW | FEED_OPEN_NONBLOCK)) {
		errno = EINVAL;
		return -1;
	}
	family = feed_family();
	fd = open_socket(family, flags);
	if (fd < 0)
		return -1;

	memset(&addr, 0, sizeof(addr));
	addr.sfeed_family = (__kernel_sa_family_t)family;
	if (flags & FEED_OPEN_NEW)
		addr.sfeed_flags = FEED_BIND_NEW;

	if (setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, seed, FEED_KEY_LEN) != 0)
		return fail(fd);
	/* The name is what the kernel derives, so it cannot be the wrong one. */
	if (feed_public_key(fd, addr.sfeed_key) != 0)
		return fail(fd);
	if (head != NULL &&
	    setsockopt(fd, SOL_FEED, FEED_OPT_AUTHOR_HEAD, head, sizeof(*head)) != 0)
		return fail(fd);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0)
		return fail(fd);
	return fd;
}

int feed_open_reader(const uint8_t name[FEED_KEY_LEN], uint64_t seq,
		     unsigned int flags)
{
	struct sockaddr_feed addr;
	int family, fd;

	if (flags & ~(unsigned int)FEED_OPEN_NONBLOCK) {
		errno = EINVAL;
		return -1;
	}
	family = feed_family();
	fd = open_socket(family, flags);
	if (fd < 0)
		return -1;

	memset(&addr, 0, sizeof(addr));
	addr.sfeed_family = (__kernel_sa_family_t)family;
	addr.sfeed_seq = seq;
	memcpy(addr.sfeed_key, name, FEED_KEY_LEN);

	/* Without blocking, the head is waited for by poll(): POLLOUT. */
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 &&
	    !((flags & FEED_OPEN_NONBLOCK) && errno == EINPROGRESS))
		return fail(fd);
	return fd;
}
