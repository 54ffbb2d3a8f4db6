/* SPDX-License-Identifier: GPL-2.0 */
/* The few lines that every C test needs to get an author or a reader. */
#ifndef FEEDSOCK_H
#define FEEDSOCK_H

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>

#include <linux/feed.h>

#include "ktap.h"

typedef struct sockaddr_feed address;

static inline int feed_socket(void)
{
	int fd = socket(AF_FEED, SOCK_SEQPACKET, 0);

	CHECK(fd >= 0);
	return fd;
}

/* Seeds differ from case to case: all of them share one store. */
static inline void set_seed(int fd, uint32_t number)
{
	uint8_t seed[FEED_KEY_LEN] = { 'f', 'e', 'e', 'd' };

	memcpy(seed + 8, &number, sizeof(number));
	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, seed, sizeof(seed)), 0);
}

static inline address address_of(int fd, uint16_t flags, uint64_t seq)
{
	address a = { .sfeed_family = AF_FEED, .sfeed_flags = flags, .sfeed_seq = seq };
	socklen_t len = sizeof(a.sfeed_key);

	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_PUBLIC_KEY, a.sfeed_key, &len), 0);
	CHECK_EQ(len, sizeof(a.sfeed_key));
	return a;
}

static inline address name_of(uint32_t number, uint64_t seq)
{
	int fd = feed_socket();
	address a;

	set_seed(fd, number);
	a = address_of(fd, 0, seq);
	close(fd);
	return a;
}

static inline int bind_to(int fd, const address *a)
{
	return bind(fd, (const struct sockaddr *)a, sizeof(*a));
}

static inline int connect_to(int fd, const address *a)
{
	return connect(fd, (const struct sockaddr *)a, sizeof(*a));
}

/* A bound author of a feed that is new. */
static inline int new_author(uint32_t number)
{
	int fd = feed_socket();
	address a;

	set_seed(fd, number);
	a = address_of(fd, FEED_BIND_NEW, 0);
	CHECK_EQ(bind_to(fd, &a), 0);
	return fd;
}

static inline int reader(uint32_t number, uint64_t seq)
{
	address a = name_of(number, seq);
	int fd = feed_socket();

	CHECK_EQ(connect_to(fd, &a), 0);
	return fd;
}

static inline void append(int fd, const char *text)
{
	CHECK_EQ(send(fd, text, strlen(text), 0), strlen(text));
}

static inline struct feed_head head_of(int fd)
{
	struct feed_head head;
	socklen_t len = sizeof(head);

	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_HEAD, &head, &len), 0);
	CHECK_EQ(len, sizeof(head));
	return head;
}

static inline void set_timeout_ms(int fd, uint64_t ms)
{
	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_TIMEOUT, &ms, sizeof(ms)), 0);
}

static inline void nonblocking(int fd)
{
	CHECK_EQ(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* What poll() says at once, or after a while. */
static inline int ready(int fd, int events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	CHECK(poll(&p, 1, timeout_ms) >= 0);
	return p.revents;
}

#endif /* FEEDSOCK_H */
