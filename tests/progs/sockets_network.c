// SPDX-License-Identifier: GPL-2.0
/*
 * What connect() and recv() say about a network that does not answer. The
 * story around it makes the network: a word tells which one this is.
 *
 *   unroutable   there is a port, but no route
 *   silent       there is a route to a neighbour that never answers
 *   answered     the neighbour has the feed that was made by `author`
 *   partial      as silent, and what `answered` has learnt is known
 *   again        as answered, after partial
 *   late         as again, while `later` runs
 */
#define _GNU_SOURCE
#include <time.h>

#include "feedsock.h"

#define FEED	400
#define SMALL	"read while the author was there"
#define BIG	100000	/* bytes of entry 1, which nobody has read before `again`, and of entry 3 */
#define LATER_S	8	/* until entry 3 is there: longer than FEED_OPT_TIMEOUT, which is 5 s */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void no_route(void)
{
	address a = name_of(350, 0);
	int fd = feed_socket();

	CHECK_ERR(connect_to(fd, &a), ENETUNREACH);
	nonblocking(fd);
	CHECK_ERR(connect_to(fd, &a), ENETUNREACH);
}

static void time_out(void)
{
	address a = name_of(351, 0);
	int fd = feed_socket();
	double begin = seconds();

	set_timeout_ms(fd, 400);
	CHECK_ERR(connect_to(fd, &a), ETIMEDOUT);
	CHECK(seconds() - begin >= 0.39);
	CHECK(seconds() - begin < 10);
	/* It can be tried again. */
	CHECK_ERR(connect_to(fd, &a), ETIMEDOUT);
}

static void in_progress(void)
{
	address a = name_of(352, 0);
	int fd = feed_socket(), error = 0;
	socklen_t len = sizeof(error);

	set_timeout_ms(fd, 2000);
	nonblocking(fd);
	CHECK_ERR(connect_to(fd, &a), EINPROGRESS);
	CHECK_ERR(connect_to(fd, &a), EALREADY);
	CHECK_EQ(ready(fd, POLLOUT, 0), 0);
	CHECK(ready(fd, POLLOUT, 20000) & (POLLOUT | POLLERR));
	CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	CHECK_EQ(error, ETIMEDOUT);
	CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	CHECK_EQ(error, 0);
}

static void connect_interrupted(void)
{
	address a = name_of(353, 0);
	pid_t child = fork();

	if (child == 0) {
		int fd = feed_socket();

		set_timeout_ms(fd, 60000);
		connect_to(fd, &a);
		_exit(0);
	}
	usleep(100000);
	/* A task that waits for the network can be killed. */
	CHECK_EQ(kill(child, SIGKILL), 0);
	CHECK_EQ(waitpid(child, NULL, 0), child);
}

static char big[BIG];

static int make_feed(void)
{
	int fd = new_author(FEED);

	append(fd, SMALL);
	CHECK_EQ(send(fd, big, BIG, 0), BIG);
	append(fd, "after it");
	return 0;
}

static int go_on(void)
{
	int fd = feed_socket();
	address a;

	set_seed(fd, FEED);
	a = address_of(fd, 0, 0);
	CHECK_EQ(bind_to(fd, &a), 0);
	sleep(LATER_S);
	CHECK_EQ(send(fd, big, BIG, 0), BIG);
	return 0;
}

static void connected_later(void)
{
	address a = name_of(FEED, 0);
	int fd = feed_socket(), error = -1;
	socklen_t len = sizeof(error);

	nonblocking(fd);
	CHECK_ERR(connect_to(fd, &a), EINPROGRESS);
	CHECK_EQ(ready(fd, POLLOUT, 10000), POLLOUT);
	CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	CHECK_EQ(error, 0);
	CHECK_ERR(connect_to(fd, &a), EISCONN);
	CHECK_EQ(head_of(fd).n, 3);
}

static void known_but_nowhere(void)
{
	/* The head is in the store, and says that there is an entry 1. */
	int fd = reader(FEED, 1);
	struct feed_info info;
	socklen_t len = sizeof(info);
	double begin = seconds();
	char c;

	set_timeout_ms(fd, 400);
	for (int times = 1; times <= 2; times++) {
		CHECK_ERR(recv(fd, &c, 1, 0), ETIMEDOUT);
		CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_INFO, &info, &len), 0);
		CHECK_EQ(info.known, 3);
		CHECK_EQ(info.next, 1);
		CHECK_EQ(info.offset, 0);
		CHECK_EQ(info.entries, 0);
		CHECK_EQ(info.timeouts, times);
	}
	CHECK(seconds() - begin >= 0.79);
	CHECK_ERR(recv(fd, &c, 1, MSG_DONTWAIT), EAGAIN);
}

static void read_big(int fd)
{
	static char got[BIG];
	size_t have = 0;

	while (have < BIG) {
		ssize_t part = recv(fd, got + have, BIG - have, 0);

		CHECK(part > 0);
		have += part;
	}
	CHECK_EQ(memcmp(got, big, BIG), 0);
}

/* One socket from before the neighbour goes until after it is back is more
 * than this program can have; see known_but_nowhere() for the position. */
static void found_again(void)
{
	int fd = reader(FEED, 1);
	char c[9];

	read_big(fd);
	CHECK_EQ(recv(fd, c, sizeof(c), 0), 8);
}

/* Only what is known to exist is looked for, and only since it is. */
static void read_late(void)
{
	read_big(reader(FEED, 3));
}

static const struct ktap_case unroutable[] = {
	{ "connect: ENETUNREACH without a route", no_route },
};

static const struct ktap_case silent[] = {
	{ "connect: ETIMEDOUT after FEED_OPT_TIMEOUT", time_out },
	{ "connect: EINPROGRESS, EALREADY, then POLLOUT and SO_ERROR", in_progress },
	{ "connect: can be killed", connect_interrupted },
};

static const struct ktap_case answered[] = {
	{ "connect: EINPROGRESS, then POLLOUT and no error", connected_later },
};

static const struct ktap_case partial[] = {
	{ "recv: known but found nowhere is ETIMEDOUT, the position stays", known_but_nowhere },
};

static const struct ktap_case again[] = {
	{ "recv: what was nowhere is read when it can be had", found_again },
};

static const struct ktap_case late[] = {
	{ "recv: bytes of what comes after FEED_OPT_TIMEOUT are waited for all the same", read_late },
};

int main(int argc, char **argv)
{
	const char *which = argc == 2 ? argv[1] : "";

	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)(i * 2654435761u >> 15);
	/* Bytes of their own: what the store holds already comes at once. */
	if (!strncmp(which, "late", 4))
		big[0]++;
	if (!strcmp(which, "author"))
		return make_feed();
	if (!strcmp(which, "later"))
		return go_on();
	if (!strcmp(which, "unroutable"))
		return ktap_main(unroutable, sizeof(unroutable) / sizeof(unroutable[0]));
	if (!strcmp(which, "silent"))
		return ktap_main(silent, sizeof(silent) / sizeof(silent[0]));
	if (!strcmp(which, "answered"))
		return ktap_main(answered, sizeof(answered) / sizeof(answered[0]));
	if (!strcmp(which, "partial"))
		return ktap_main(partial, sizeof(partial) / sizeof(partial[0]));
	if (!strcmp(which, "again"))
		return ktap_main(again, sizeof(again) / sizeof(again[0]));
	if (!strcmp(which, "late"))
		return ktap_main(late, sizeof(late) / sizeof(late[0]));
	fprintf(stderr, "usage: %s author|later|unroutable|silent|answered|partial|again|late\n",
		argv[0]);
	return 2;
}
