// SPDX-License-Identifier: GPL-2.0
/*
 * What connect() and recv() say about a network that does not answer. The
 * story around it makes the network: a word tells which one this is.
 *
 *   unroutable   there is a port, but no route
 *   silent       there is a route to a neighbour that never answers
 *   partial      as silent, but the feed numbered 400 is known up to entry 1,
 *                whose payload is nowhere
 */
#define _GNU_SOURCE
#include <time.h>

#include "feedsock.h"

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

	set_timeout_ms(fd, 500);
	nonblocking(fd);
	CHECK_ERR(connect_to(fd, &a), EINPROGRESS);
	CHECK_ERR(connect_to(fd, &a), EALREADY);
	CHECK_EQ(ready(fd, POLLOUT, 0), 0);
	CHECK(ready(fd, POLLOUT, 10000) & (POLLOUT | POLLERR));
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

static void known_but_nowhere(void)
{
	int fd = reader(400, 1);
	struct feed_info info;
	socklen_t len = sizeof(info);
	char c;

	set_timeout_ms(fd, 400);
	CHECK_ERR(recv(fd, &c, 1, 0), ETIMEDOUT);
	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_INFO, &info, &len), 0);
	CHECK_EQ(info.next, 1);
	CHECK_EQ(info.timeouts, 1);
	CHECK_ERR(recv(fd, &c, 1, MSG_DONTWAIT), EAGAIN);
}

static const struct ktap_case unroutable[] = {
	{ "connect: ENETUNREACH without a route", no_route },
};

static const struct ktap_case silent[] = {
	{ "connect: ETIMEDOUT after FEED_OPT_TIMEOUT", time_out },
	{ "connect: EINPROGRESS, EALREADY, then POLLOUT and SO_ERROR", in_progress },
	{ "connect: can be killed", connect_interrupted },
};

static const struct ktap_case partial[] = {
	{ "recv: known but found nowhere is ETIMEDOUT, the position stays", known_but_nowhere },
};

int main(int argc, char **argv)
{
	const char *which = argc == 2 ? argv[1] : "";

	if (!strcmp(which, "unroutable"))
		return ktap_main(unroutable, sizeof(unroutable) / sizeof(unroutable[0]));
	if (!strcmp(which, "silent"))
		return ktap_main(silent, sizeof(silent) / sizeof(silent[0]));
	if (!strcmp(which, "partial"))
		return ktap_main(partial, sizeof(partial) / sizeof(partial[0]));
	fprintf(stderr, "usage: %s unroutable|silent|partial\n", argv[0]);
	return 2;
}
