// SPDX-License-Identifier: GPL-2.0
/*
 * The reader's half of the socket table: connect() without a network, recv()
 * and its flags, control messages, the reader's options, poll, splice. Needs
 * no port: the author is in the same namespace.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include "feedsock.h"

static char buffer[1 << 16];

/* recvmsg() with room for one feed_entry_info; its flags come back in *flags. */
static ssize_t receive(int fd, void *to, size_t len, int *flags, struct feed_entry_info *info)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct feed_entry_info))];
	} control;
	struct iovec iov = { to, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(fd, &m, *flags);

	*flags = m.msg_flags;
	if (got >= 0 && info) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);

		CHECK(c != NULL);
		CHECK_EQ(c->cmsg_level, SOL_FEED);
		CHECK_EQ(c->cmsg_type, FEED_CMSG_ENTRY);
		CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(*info)));
		memcpy(info, CMSG_DATA(c), sizeof(*info));
		CHECK(CMSG_NXTHDR(&m, c) == NULL);
	}
	return got;
}

static int author_of(uint32_t number, int entries)
{
	int fd = new_author(number);
	char text[32];

	for (int i = 0; i < entries; i++) {
		snprintf(text, sizeof(text), "entry %d", i);
		append(fd, text);
	}
	return fd;
}

static void connect_addresses(void)
{
	int author = author_of(300, 1), fd = feed_socket();
	address good = name_of(300, 0), a;

	(void)author;
	CHECK_ERR(connect(fd, (struct sockaddr *)&good, sizeof(good) - 1), EINVAL);
	CHECK_ERR(connect(fd, (struct sockaddr *)8, sizeof(good)), EFAULT);
	a = good, a.sfeed_family = AF_INET;
	CHECK_ERR(connect_to(fd, &a), EAFNOSUPPORT);
	a = good, a.sfeed_reserved = 7;
	CHECK_ERR(connect_to(fd, &a), EINVAL);
	a = good, a.sfeed_flags = FEED_BIND_NEW;
	CHECK_ERR(connect_to(fd, &a), EINVAL);
	CHECK_EQ(connect_to(fd, &good), 0);
	CHECK_ERR(connect_to(fd, &good), EISCONN);
}

static void connect_without_port(void)
{
	address a = name_of(301, 0);
	int fd = feed_socket();

	CHECK_ERR(connect_to(fd, &a), ENETDOWN);
	/* The socket can be used again. */
	CHECK_ERR(connect_to(fd, &a), ENETDOWN);
	fd = feed_socket();
	nonblocking(fd);
	CHECK_ERR(connect_to(fd, &a), ENETDOWN);
}

static void connect_local(void)
{
	int author = author_of(302, 1), fd = feed_socket();
	address a = name_of(302, 0);

	(void)author;
	/* A head in the local store completes at once, nonblocking too. */
	nonblocking(fd);
	CHECK_EQ(connect_to(fd, &a), 0);
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
}

static void entries_in_order(void)
{
	int author = author_of(310, 3), fd = reader(310, 0), flags;

	for (int i = 0; i < 3; i++) {
		char want[32];
		int len = snprintf(want, sizeof(want), "entry %d", i);

		flags = 0;
		CHECK_EQ(receive(fd, buffer, sizeof(buffer), &flags, NULL), len);
		CHECK(flags & MSG_EOR);
		CHECK(!(flags & MSG_TRUNC));
		CHECK_EQ(memcmp(buffer, want, len), 0);
	}
	CHECK_ERR(recv(fd, buffer, 1, MSG_DONTWAIT), EAGAIN);
	append(author, "late");
	CHECK_EQ(read(fd, buffer, sizeof(buffer)), 4);
	fd = reader(310, 2);
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
	CHECK_EQ(memcmp(buffer, "entry 2", 7), 0);
}

static void short_buffers(void)
{
	int author = author_of(311, 2), fd = reader(311, 0), flags = 0;

	(void)author;
	CHECK_EQ(receive(fd, buffer, 3, &flags, NULL), 3);
	CHECK(!(flags & MSG_EOR));
	CHECK_EQ(memcmp(buffer, "ent", 3), 0);
	flags = 0;
	CHECK_EQ(receive(fd, buffer, 4, &flags, NULL), 4);
	CHECK(flags & MSG_EOR);
	CHECK_EQ(memcmp(buffer, "ry 0", 4), 0);
	/* Never across an entry. */
	flags = 0;
	CHECK_EQ(receive(fd, buffer, 100, &flags, NULL), 7);
	CHECK_EQ(memcmp(buffer, "entry 1", 7), 0);
}

static void peek_and_trunc(void)
{
	int author = author_of(312, 2), fd = reader(312, 0), flags = MSG_PEEK;

	(void)author;
	CHECK_EQ(receive(fd, buffer, 3, &flags, NULL), 3);
	CHECK_EQ(recv(fd, buffer, 3, MSG_PEEK | MSG_TRUNC), 7);
	CHECK_EQ(recv(fd, buffer, 100, MSG_PEEK), 7);
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
	CHECK_EQ(memcmp(buffer, "entry 0", 7), 0);
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
	CHECK_EQ(memcmp(buffer, "entry 1", 7), 0);
}

static void empty_entry(void)
{
	struct feed_append how = { .flags = FEED_APPEND_EMPTY };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(how))];
	} control = { .header = { .cmsg_level = SOL_FEED, .cmsg_type = FEED_CMSG_APPEND,
				  .cmsg_len = CMSG_LEN(sizeof(how)) } };
	struct msghdr m = { .msg_control = &control, .msg_controllen = sizeof(control) };
	struct feed_entry_info info;
	int author = new_author(313), fd, flags = 0;

	memcpy(CMSG_DATA(&control.header), &how, sizeof(how));
	CHECK_EQ(sendmsg(author, &m, 0), 0);
	append(author, "full");
	fd = reader(313, 0);
	CHECK_EQ(receive(fd, buffer, 100, &flags, &info), 0);
	CHECK(flags & MSG_EOR);
	CHECK_EQ(info.len, 0);
	CHECK_EQ(recv(fd, buffer, 100, 0), 4);
}

static void scattered(void)
{
	char a[3], b[2], c[10];
	struct iovec iov[3] = { { a, 3 }, { b, 2 }, { c, 10 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 3 };
	int author = author_of(314, 1), fd = reader(314, 0);

	(void)author;
	CHECK_EQ(recvmsg(fd, &m, 0), 7);
	CHECK(m.msg_flags & MSG_EOR);
	CHECK(!memcmp(a, "ent", 3) && !memcmp(b, "ry", 2) && !memcmp(c, " 0", 2));
}

static void recv_flags(void)
{
	int author = author_of(315, 1), fd = reader(315, 0);

	(void)author;
	CHECK_ERR(recv(fd, buffer, 1, MSG_OOB), EOPNOTSUPP);
	CHECK_ERR(recv(fd, (void *)8, 100, 0), EFAULT);
	CHECK_ERR(recv(fd, buffer, 1, MSG_ERRQUEUE), EAGAIN);
	/* What could not be copied was not taken. */
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
}

static void entry_cmsg(void)
{
	/* BLAKE3 of "entry 0" is compared by the Python side; here: stability. */
	int author = author_of(316, 2), fd = reader(316, 0), flags = 0;
	struct feed_entry_info info, again;
	struct timespec now;
	int64_t ms;

	(void)author;
	clock_gettime(CLOCK_REALTIME, &now);
	ms = now.tv_sec * 1000ll + now.tv_nsec / 1000000;
	CHECK_EQ(receive(fd, buffer, 3, &flags, &info), 3);
	CHECK_EQ(info.seq, 0);
	CHECK_EQ(info.len, 7);
	CHECK_EQ(info.hops, 0);
	CHECK_EQ(info.flags & FEED_ENTRY_NETWORK, 0);
	CHECK_EQ(info.flags & FEED_ENTRY_STALE, 0);
	CHECK_EQ(info.app_flags, 0);
	CHECK(!info.reserved[0] && !info.reserved[1] && !info.reserved[2]);
	if (info.time)
		CHECK(llabs((int64_t)info.time - ms) < 60000);
	CHECK(info.head_age < 60000);
	flags = 0;
	CHECK_EQ(receive(fd, buffer, 100, &flags, &again), 4);
	CHECK_EQ(again.seq, 0);
	CHECK_EQ(memcmp(info.blob, again.blob, 32), 0);
	flags = 0;
	CHECK_EQ(receive(fd, buffer, 100, &flags, &again), 7);
	CHECK_EQ(again.seq, 1);
	CHECK(memcmp(info.blob, again.blob, 32) != 0);
}

static void short_control_buffer(void)
{
	char control[CMSG_SPACE(8)];
	struct iovec iov = { buffer, 100 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int author = author_of(317, 1), fd = reader(317, 0);

	(void)author;
	CHECK_EQ(recvmsg(fd, &m, 0), 7);
	CHECK(m.msg_flags & MSG_CTRUNC);
}

static void blocking_and_timeouts(void)
{
	struct timeval tv = { .tv_usec = 100000 };
	int author = author_of(318, 1), fd = reader(318, 1);

	CHECK_ERR(recv(fd, buffer, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	CHECK_ERR(recv(fd, buffer, 1, 0), EAGAIN);
	if (fork() == 0) {
		usleep(50000);
		append(author, "woken");
		_exit(0);
	}
	tv.tv_sec = 20;
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	CHECK_EQ(recv(fd, buffer, 100, 0), 5);
}

static void interrupted(int number)
{
	(void)number;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = interrupted };
	int author = author_of(319, 1), fd = reader(319, 1);
	pid_t self = getpid(), child;

	(void)author;
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	child = fork();
	if (child == 0) {
		/* Until one comes while its parent sleeps. */
		while (getppid() == self) {
			usleep(100000);
			kill(self, SIGUSR1);
		}
		_exit(0);
	}
	CHECK_ERR(recv(fd, buffer, 1, 0), EINTR);
	kill(child, SIGKILL);
}

static void only_new(void)
{
	int author = author_of(320, 5), fd = reader(320, FEED_SEQ_NEW);

	CHECK_ERR(recv(fd, buffer, 1, MSG_DONTWAIT), EAGAIN);
	append(author, "news");
	CHECK_EQ(recv(fd, buffer, 100, 0), 4);
}

static void seek(void)
{
	int author = author_of(321, 4), fd = reader(321, 0);
	struct feed_seek to = { .seq = 2, .offset = 6 };

	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to) - 1), EINVAL);
	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to)), 0);
	CHECK_EQ(recv(fd, buffer, 100, 0), 1);
	CHECK_EQ(buffer[0], '2');
	to.seq = 0, to.offset = 0;
	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to)), 0);
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
	to.offset = 8;
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to)), EINVAL);
	to.seq = FEED_SEQ_NEW, to.offset = 0;
	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to)), 0);
	CHECK_ERR(recv(fd, buffer, 100, MSG_DONTWAIT), EAGAIN);
	append(author, "after the seek");
	CHECK_EQ(recv(fd, buffer, 100, 0), 14);
	to.seq = 0;
	CHECK_ERR(setsockopt(author, SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to)), EOPNOTSUPP);
	CHECK_ERR(setsockopt(feed_socket(), SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to)), ENOTCONN);
}

static void information(void)
{
	int author = author_of(322, 3), fd = reader(322, 0);
	struct feed_info info;
	socklen_t len = sizeof(info);

	(void)author;
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
	CHECK_EQ(recv(fd, buffer, 2, 0), 2);
	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_INFO, &info, &len), 0);
	CHECK_EQ(len, sizeof(info));
	CHECK_EQ(info.known, 3);
	CHECK_EQ(info.next, 1);
	CHECK_EQ(info.offset, 2);
	CHECK_EQ(info.entries, 1);
	CHECK_EQ(info.bytes, 9);
	CHECK_EQ(info.fetched, 0);
	CHECK_EQ(info.timeouts, 0);
	CHECK_EQ(info.epoch, 0);
	CHECK_EQ(info.in_flight, 0);
}

static void reader_options(void)
{
	int author = author_of(323, 1), fd = reader(323, 0);
	struct feed_fork fork_;
	uint64_t ms = 0;
	socklen_t len = sizeof(ms);
	int one = 1;

	(void)author;
	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_TIMEOUT, &ms, &len), 0);
	CHECK_EQ(ms, 5000);
	set_timeout_ms(fd, 1234);
	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_TIMEOUT, &ms, &len), 0);
	CHECK_EQ(ms, 1234);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_TIMEOUT, &ms, 4), EINVAL);
	CHECK_EQ(head_of(fd).n, 1);
	len = sizeof(fork_);
	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_FORK, &fork_, &len), ENODATA);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_FINAL, &one, sizeof(one)), EOPNOTSUPP);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_NEXT_BY, &ms, sizeof(ms)), EOPNOTSUPP);
}

static void polls(void)
{
	int author = author_of(324, 1), fd = reader(324, 0), e = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	CHECK(ready(fd, POLLIN, 0) & POLLIN);
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
	CHECK_EQ(ready(fd, POLLIN, 0) & POLLIN, 0);
	CHECK_EQ(epoll_ctl(e, EPOLL_CTL_ADD, fd, &event), 0);
	CHECK_EQ(epoll_wait(e, &event, 1, 0), 0);
	append(author, "more");
	CHECK_EQ(epoll_wait(e, &event, 1, 5000), 1);
	CHECK(event.events & EPOLLIN);
	CHECK_EQ(recv(fd, buffer, 100, 0), 4);
}

static void fionread(void)
{
	int author = author_of(325, 2), fd = reader(325, 0), n = -1;

	(void)author;
	CHECK_EQ(ioctl(fd, FIONREAD, &n), 0);
	CHECK_EQ(n, 7);
	CHECK_EQ(recv(fd, buffer, 3, 0), 3);
	CHECK_EQ(ioctl(fd, FIONREAD, &n), 0);
	CHECK_EQ(n, 4);
	CHECK_EQ(recv(fd, buffer, 100, 0), 4);
	CHECK_EQ(recv(fd, buffer, 100, 0), 7);
	CHECK_EQ(ioctl(fd, FIONREAD, &n), 0);
	CHECK_EQ(n, 0);
}

static void splices(void)
{
	static char in[100000], out[100000];
	int author = new_author(326), fd, p[2];
	size_t got = 0;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 40503u >> 7);
	CHECK_EQ(send(author, in, sizeof(in), 0), sizeof(in));
	append(author, "next");
	fd = reader(326, 0);
	CHECK_EQ(pipe(p), 0);
	while (got < sizeof(in)) {
		ssize_t n = splice(fd, NULL, p[1], NULL, 1 << 20, 0);

		CHECK(n > 0);
		CHECK(got + n <= sizeof(in));	/* never across an entry */
		for (ssize_t at = 0; at < n;) {
			ssize_t part = read(p[0], out + got + at, n - at);

			CHECK(part > 0);
			at += part;
		}
		got += n;
	}
	CHECK_EQ(memcmp(in, out, sizeof(in)), 0);
	CHECK_EQ(splice(fd, NULL, p[1], NULL, 100, 0), 4);
	CHECK_EQ(splice(fd, NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK), -1);
	CHECK_EQ(errno, EAGAIN);
}

static void many_readers(void)
{
	int author = author_of(327, 1), fds[50];

	for (int i = 0; i < 50; i++)
		fds[i] = reader(327, 0);
	append(author, "second");
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(recv(fds[i], buffer, 100, 0), 7);
		CHECK_EQ(recv(fds[i], buffer, 100, 0), 6);
	}
}

static void shut_down(void)
{
	int author = author_of(328, 1), fd = reader(328, 1);

	CHECK_ERR(shutdown(feed_socket(), SHUT_RD), ENOTCONN);
	CHECK_EQ(shutdown(fd, SHUT_RD), 0);
	CHECK_EQ(recv(fd, buffer, 1, 0), 0);
	CHECK_EQ(shutdown(author, SHUT_WR), 0);
	CHECK_ERR(send(author, "x", 1, MSG_NOSIGNAL), EPIPE);
}

static void big_entry(void)
{
	static char in[3 << 20], out[3 << 20];
	int author = new_author(329), fd;
	size_t got = 0;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 2654435761u >> 11);
	CHECK_EQ(send(author, in, sizeof(in), 0), sizeof(in));
	fd = reader(329, 0);
	while (got < sizeof(in)) {
		ssize_t n = recv(fd, out + got, 70001, 0);

		CHECK(n > 0);
		got += n;
	}
	CHECK_EQ(memcmp(in, out, sizeof(in)), 0);
}

static const struct ktap_case cases[] = {
	{ "connect: EINVAL, EAFNOSUPPORT, EFAULT, EISCONN", connect_addresses },
	{ "connect: ENETDOWN without a port", connect_without_port },
	{ "connect: a local head completes at once", connect_local },
	{ "recv: entries in order, EAGAIN at the end, then what is new", entries_in_order },
	{ "recv: short buffers get parts, MSG_EOR marks the last", short_buffers },
	{ "recv: MSG_PEEK, MSG_TRUNC", peek_and_trunc },
	{ "recv: an empty entry is 0 bytes with MSG_EOR", empty_entry },
	{ "recvmsg: scattered buffers", scattered },
	{ "recv: MSG_OOB, MSG_ERRQUEUE, EFAULT takes nothing", recv_flags },
	{ "ENTRY cmsg: every field", entry_cmsg },
	{ "ENTRY cmsg: MSG_CTRUNC when it does not fit", short_control_buffer },
	{ "recv: O_NONBLOCK, SO_RCVTIMEO, woken by an append", blocking_and_timeouts },
	{ "recv: EINTR", signals },
	{ "connect: FEED_SEQ_NEW reads only what comes", only_new },
	{ "SEEK: entry, offset, FEED_SEQ_NEW, errors", seek },
	{ "INFO: every field", information },
	{ "TIMEOUT, HEAD, FORK; an author's options are EOPNOTSUPP", reader_options },
	{ "poll and epoll", polls },
	{ "FIONREAD: the rest of this entry", fionread },
	{ "splice to a pipe, never across an entry", splices },
	{ "fifty readers of one feed", many_readers },
	{ "shutdown", shut_down },
	{ "an entry of 3 MiB in odd pieces", big_entry },
};

int main(void)
{
	return ktap_main(cases, sizeof(cases) / sizeof(cases[0]));
}
