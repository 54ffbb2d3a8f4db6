// SPDX-License-Identifier: GPL-2.0
/*
 * The author's half of the socket table: socket(), keys, bind(), send() and
 * the author's options, each with every errno. Needs no port.
 */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "feedsock.h"

static void socket_types(void)
{
	CHECK_ERR(socket(AF_FEED, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	CHECK_ERR(socket(AF_FEED, SOCK_DGRAM, 0), ESOCKTNOSUPPORT);
	CHECK_ERR(socket(AF_FEED, SOCK_RAW, 0), ESOCKTNOSUPPORT);
	CHECK_ERR(socket(AF_FEED, SOCK_SEQPACKET, 1), EPROTONOSUPPORT);
	CHECK(socket(AF_FEED, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) >= 0);
}

static void socket_pairs_and_servers(void)
{
	int fd = feed_socket(), pair[2];

	CHECK_ERR(socketpair(AF_FEED, SOCK_SEQPACKET, 0, pair), EOPNOTSUPP);
	CHECK_ERR(listen(fd, 1), EOPNOTSUPP);
	CHECK_ERR(accept(fd, NULL, NULL), EOPNOTSUPP);
	CHECK_ERR(ioctl(fd, 0x5421beef, 0), ENOTTY);
}

static void secret_key(void)
{
	uint8_t seed[33] = { 1 };
	int fd = feed_socket();
	socklen_t len = 32;
	uint8_t key[40];

	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_PUBLIC_KEY, key, &len), ENOKEY);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, seed, 31), EINVAL);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, seed, 33), EINVAL);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, (void *)8, 32), EFAULT);
	memset(seed, 0, sizeof(seed));
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, seed, 32), EINVAL);
	/* The secret cannot be read back. */
	len = 32;
	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, key, &len), ENOPROTOOPT);
}

static void public_key(void)
{
	/* RFC 8032, 7.1, test 1. */
	static const uint8_t seed[32] = {
		0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
		0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
		0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60 };
	static const uint8_t want[4] = { 0xd7, 0x5a, 0x98, 0x01 };
	int fd = feed_socket();
	uint8_t key[64] = { 0 };
	socklen_t len = sizeof(key);

	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, seed, 32), 0);
	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_PUBLIC_KEY, key, &len), 0);
	CHECK_EQ(len, 32);
	CHECK_EQ(memcmp(key, want, 4), 0);
}

static void bind_addresses(void)
{
	int fd = feed_socket();
	address good, a;

	set_seed(fd, 100);
	good = address_of(fd, FEED_BIND_NEW, 0);
	CHECK_ERR(bind(fd, (struct sockaddr *)&good, sizeof(good) - 1), EINVAL);
	CHECK_ERR(bind(fd, (struct sockaddr *)&good, 2), EINVAL);
	CHECK_ERR(bind(fd, (struct sockaddr *)8, sizeof(good)), EFAULT);
	a = good, a.sfeed_family = AF_INET;
	CHECK_ERR(bind_to(fd, &a), EAFNOSUPPORT);
	a = good, a.sfeed_reserved = 1;
	CHECK_ERR(bind_to(fd, &a), EINVAL);
	a = good, a.sfeed_flags = 0x8000 | FEED_BIND_NEW;
	CHECK_ERR(bind_to(fd, &a), EINVAL);
	a = good, a.sfeed_seq = 1;
	CHECK_ERR(bind_to(fd, &a), EINVAL);
	CHECK_EQ(bind_to(fd, &good), 0);
	CHECK_ERR(bind_to(fd, &good), EINVAL);
}

static void bind_keys(void)
{
	address a = name_of(110, 0), other = name_of(111, 0);
	int fd = feed_socket();

	a.sfeed_flags = other.sfeed_flags = FEED_BIND_NEW;
	CHECK_ERR(bind_to(fd, &a), ENOKEY);
	set_seed(fd, 110);
	CHECK_ERR(bind_to(fd, &other), EKEYREJECTED);
	CHECK_EQ(bind_to(fd, &a), 0);
}

static void bind_second_author(void)
{
	int first = new_author(120), second = feed_socket();
	address a;

	set_seed(second, 120);
	a = address_of(second, 0, 0);
	CHECK_ERR(bind_to(second, &a), EADDRINUSE);
	append(first, "one");
	close(first);
	CHECK_EQ(bind_to(second, &a), 0);
	append(second, "two");
	CHECK_EQ(head_of(second).n, 2);
}

static void bind_new_twice(void)
{
	int fd = new_author(130);
	address a;

	append(fd, "there is an entry now");
	close(fd);
	fd = feed_socket();
	set_seed(fd, 130);
	a = address_of(fd, FEED_BIND_NEW, 0);
	CHECK_ERR(bind_to(fd, &a), EEXIST);
}

static void bind_or_connect(void)
{
	int author = new_author(140), r;
	address a = name_of(140, 0);

	CHECK_ERR(connect_to(author, &a), EINVAL);
	append(author, "x");
	r = feed_socket();
	set_seed(r, 140);
	CHECK_EQ(connect_to(r, &a), 0);
	CHECK_ERR(bind_to(r, &a), EINVAL);
}

static void secret_after_bind(void)
{
	int fd = new_author(150);
	uint8_t seed[32] = { 7 };

	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, seed, 32), EISCONN);
}

static void send_unknown_feed_is_stale(void)
{
	int fd = feed_socket();
	struct feed_head head;
	socklen_t len = sizeof(head);
	address a;

	set_seed(fd, 160);
	set_timeout_ms(fd, 200);
	a = address_of(fd, 0, 0);
	CHECK_EQ(bind_to(fd, &a), 0);
	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_HEAD, &head, &len), ENODATA);
	CHECK_ERR(send(fd, "x", 1, MSG_DONTWAIT), ESTALE);
	CHECK_ERR(send(fd, "x", 1, 0), ESTALE);
}

static void send_lengths(void)
{
	static char big[FEED_ENTRY_MAX + 1];
	int fd = new_author(170);

	CHECK_ERR(send(fd, "", 0, 0), EINVAL);
	CHECK_ERR(send(fd, big, FEED_ENTRY_MAX + 1, 0), EMSGSIZE);
	CHECK_ERR(send(fd, (void *)8, 100, 0), EFAULT);
	CHECK_EQ(head_of(fd).n, 0);
	CHECK_EQ(send(fd, big, FEED_ENTRY_MAX, 0), FEED_ENTRY_MAX);
	CHECK_EQ(head_of(fd).n, 1);
	CHECK_EQ(write(fd, "written", 7), 7);
	CHECK_EQ(head_of(fd).n, 2);
}

static void send_roles(void)
{
	int fd = feed_socket(), author = new_author(180);

	CHECK_ERR(send(fd, "x", 1, MSG_NOSIGNAL), ENOTCONN);
	append(author, "x");
	CHECK_ERR(send(reader(180, 0), "x", 1, MSG_NOSIGNAL), EOPNOTSUPP);
	CHECK_ERR(recv(author, &fd, 1, 0), EOPNOTSUPP);
	CHECK_ERR(recv(fd, &author, 1, 0), ENOTCONN);
	CHECK_ERR(send(author, "x", 1, MSG_OOB), EOPNOTSUPP);
}

/* One append with a control message; its payload may be shortened or empty. */
static ssize_t append_with(int fd, const char *text, const struct feed_append *how, size_t len)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(64)];
	} control = { .header = { .cmsg_level = SOL_FEED, .cmsg_type = FEED_CMSG_APPEND,
				  .cmsg_len = CMSG_LEN(len) } };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = CMSG_SPACE(len) };

	memcpy(CMSG_DATA(&control.header), how, len);
	return sendmsg(fd, &m, 0);
}

static void append_cmsg(void)
{
	struct feed_append how = { 0 };
	int fd = new_author(190);

	how.flags = 0x80;
	CHECK_ERR(append_with(fd, "x", &how, sizeof(how)), EINVAL);
	how.flags = 0, how.reserved = 1;
	CHECK_ERR(append_with(fd, "x", &how, sizeof(how)), EINVAL);
	how.reserved = 0;
	CHECK_ERR(append_with(fd, "x", &how, sizeof(how) - 4), EINVAL);
	CHECK_ERR(append_with(fd, "", &how, sizeof(how)), EINVAL);
	how.flags = FEED_APPEND_EMPTY;
	CHECK_ERR(append_with(fd, "not empty", &how, sizeof(how)), EINVAL);
	CHECK_EQ(append_with(fd, "", &how, sizeof(how)), 0);
	CHECK_EQ(head_of(fd).n, 1);
	how.flags = FEED_APPEND_TIME, how.time = 123456789, how.app_flags = 0xabcd;
	CHECK_EQ(append_with(fd, "x", &how, sizeof(how)), 1);
	CHECK_EQ(head_of(fd).n, 2);
}

static void batches(void)
{
	int fd = new_author(200);
	struct feed_head head;

	for (int i = 0; i < 5; i++)
		CHECK_EQ(send(fd, "part", 4, MSG_MORE), 4);
	append(fd, "the head comes with this one");
	CHECK_EQ(head_of(fd).n, 6);
	/* A batch that nobody ends is covered after 1 ms. */
	CHECK_EQ(send(fd, "alone", 5, MSG_MORE), 5);
	for (int i = 0; i < 200; i++) {
		head = head_of(fd);
		if (head.n == 7)
			break;
		usleep(5000);
	}
	CHECK_EQ(head.n, 7);
	/* No head waits for more than 64 entries. */
	for (int i = 1; i <= 3 * FEED_BATCH_MAX; i++) {
		CHECK_EQ(send(fd, "many", 4, MSG_MORE), 4);
		CHECK(head_of(fd).n + FEED_BATCH_MAX > 7u + i);
	}
	CHECK_EQ(send(fd, "closing", 7, MSG_MORE), 7);
	close(fd);
	fd = reader(200, 0);
	CHECK_EQ(head_of(fd).n, 8 + 3 * FEED_BATCH_MAX);
}

static void batch_of_sendmmsg(void)
{
	struct iovec iov = { "entry", 5 };
	struct mmsghdr m[10] = { 0 };
	int fd = new_author(210);

	for (int i = 0; i < 10; i++)
		m[i].msg_hdr.msg_iov = &iov, m[i].msg_hdr.msg_iovlen = 1;
	CHECK_EQ(sendmmsg(fd, m, 10, 0), 10);
	CHECK_EQ(m[9].msg_len, 5);
	CHECK_EQ(head_of(fd).n, 10);
}

static void final(void)
{
	int fd = new_author(220), one = 1;
	char c;

	append(fd, "last words");
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_FINAL, &one, 1), EINVAL);
	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_FINAL, &one, sizeof(one)), 0);
	CHECK_ERR(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(head_of(fd).flags, FEED_HEAD_FINAL);
	fd = reader(220, 1);
	/* The end of the feed, without MSG_EOR. */
	CHECK_EQ(recv(fd, &c, 1, 0), 0);
}

static void next_by(void)
{
	uint64_t when = 4102444800000ull;
	int fd = new_author(230);

	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_NEXT_BY, &when, sizeof(when)), 0);
	append(fd, "x");
	CHECK_EQ(head_of(fd).next_by, when);
}

static void author_head(void)
{
	struct feed_head head, other;
	int fd = new_author(240);
	address a;

	append(fd, "x");
	head = head_of(fd);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_AUTHOR_HEAD, &head, sizeof(head)), EISCONN);
	close(fd);

	fd = feed_socket();
	set_seed(fd, 240);
	a = address_of(fd, 0, 0);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_AUTHOR_HEAD, &head, sizeof(head) - 1), EINVAL);
	other = head;
	other.version = 9;
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_AUTHOR_HEAD, &other, sizeof(other)), EINVAL);
	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_AUTHOR_HEAD, &head, sizeof(head)), 0);
	CHECK_EQ(bind_to(fd, &a), 0);
	append(fd, "y");
	CHECK_EQ(head_of(fd).n, 2);
	close(fd);

	/* A head of somebody else, or one whose signature is broken. */
	fd = feed_socket();
	set_seed(fd, 240);
	other = head;
	other.signature[5] ^= 1;
	CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_AUTHOR_HEAD, &other, sizeof(other)), 0);
	CHECK_ERR(bind_to(fd, &a), EKEYREJECTED);
}

static void unsupported_options(void)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);
	int fd = feed_socket();

	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_KEYRING_SERIAL, &value, 4), ENOPROTOOPT);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_MAX_AGE, &value, 8), ENOPROTOOPT);
	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_PROOF, &value, &len), ENOPROTOOPT);
	CHECK_ERR(setsockopt(fd, SOL_FEED, 999, &value, 8), ENOPROTOOPT);
	CHECK_ERR(getsockopt(fd, SOL_FEED, 999, &value, &len), ENOPROTOOPT);
	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_HEAD, &value, &len), ENOTCONN);
}

static void sendfile_is_one_entry(void)
{
	int file = memfd_create("payload", 0), fd = new_author(250), r;
	static char in[300000], out[300000];
	off_t at = 0;
	size_t got = 0;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 2654435761u >> 13);
	CHECK_EQ(write(file, in, sizeof(in)), sizeof(in));
	while (at < (off_t)sizeof(in))
		CHECK(sendfile(fd, file, &at, sizeof(in) - at) > 0);
	CHECK_EQ(head_of(fd).n, 1);
	r = reader(250, 0);
	while (got < sizeof(out)) {
		ssize_t part = recv(r, out + got, sizeof(out) - got, 0);

		CHECK(part > 0);
		got += part;
	}
	CHECK_EQ(memcmp(in, out, sizeof(in)), 0);
	CHECK_ERR(recv(r, out, 1, MSG_DONTWAIT), EAGAIN);
}

static void sendfile_too_long(void)
{
	int file = memfd_create("payload", 0), fd = new_author(251);
	ssize_t part;

	CHECK_EQ(ftruncate(file, FEED_ENTRY_MAX + 65536), 0);
	do
		part = sendfile(fd, file, NULL, FEED_ENTRY_MAX + 65536);
	while (part > 0);
	CHECK_EQ(part, -1);
	CHECK_EQ(errno, EMSGSIZE);
	CHECK_EQ(head_of(fd).n, 0);
	append(fd, "it can go on");
	CHECK_EQ(head_of(fd).n, 1);
}

static void poll_author(void)
{
	int fd = new_author(260);

	CHECK_EQ(ready(fd, POLLIN | POLLOUT, 0), POLLOUT);
}

static void names_of_sockets(void)
{
	int author = new_author(270), r;
	address a, want = name_of(270, 0);
	socklen_t len = sizeof(a);

	append(author, "x");
	CHECK_EQ(getsockname(author, (struct sockaddr *)&a, &len), 0);
	CHECK_EQ(len, sizeof(a));
	CHECK_EQ(a.sfeed_family, AF_FEED);
	CHECK_EQ(a.sfeed_seq, 1);
	CHECK_EQ(memcmp(a.sfeed_key, want.sfeed_key, 32), 0);
	CHECK_ERR(getpeername(author, (struct sockaddr *)&a, &len), ENOTCONN);
	r = reader(270, 0);
	len = sizeof(a);
	CHECK_EQ(getpeername(r, (struct sockaddr *)&a, &len), 0);
	CHECK_EQ(a.sfeed_seq, 0);
	CHECK_EQ(memcmp(a.sfeed_key, want.sfeed_key, 32), 0);
}

static const struct ktap_case cases[] = {
	{ "only SOCK_SEQPACKET, protocol 0", socket_types },
	{ "no pairs, no servers, no ioctl", socket_pairs_and_servers },
	{ "SECRET_KEY: length, zeros, bad pointer; never read back", secret_key },
	{ "PUBLIC_KEY is derived as RFC 8032 says", public_key },
	{ "bind: EINVAL, EAFNOSUPPORT, EFAULT for bad addresses", bind_addresses },
	{ "bind: ENOKEY, EKEYREJECTED", bind_keys },
	{ "bind: EADDRINUSE for a second author, not for the next", bind_second_author },
	{ "bind: EEXIST when a new feed has entries", bind_new_twice },
	{ "a socket is bound or connected", bind_or_connect },
	{ "SECRET_KEY after bind: EISCONN", secret_after_bind },
	{ "send: ESTALE, HEAD: ENODATA, while nothing is known of the feed", send_unknown_feed_is_stale },
	{ "send: EINVAL for 0 bytes, EMSGSIZE over 16 MiB, EFAULT", send_lengths },
	{ "send and recv: ENOTCONN, EOPNOTSUPP by role", send_roles },
	{ "APPEND cmsg: flags, reserved, length, EMPTY, TIME", append_cmsg },
	{ "MSG_MORE: covered by the next send, 1 ms, 64 entries, close", batches },
	{ "sendmmsg: one head for the batch", batch_of_sendmmsg },
	{ "FINAL: EPIPE for the author, end of feed for readers", final },
	{ "NEXT_BY stands in the next head", next_by },
	{ "AUTHOR_HEAD: EINVAL, EISCONN, EKEYREJECTED; lets go on", author_head },
	{ "reserved and unknown options: ENOPROTOOPT", unsupported_options },
	{ "sendfile: one call, one entry", sendfile_is_one_entry },
	{ "sendfile: EMSGSIZE over 16 MiB, and no entry", sendfile_too_long },
	{ "poll: an author can always write", poll_author },
	{ "getsockname, getpeername", names_of_sockets },
};

int main(void)
{
	return ktap_main(cases, sizeof(cases) / sizeof(cases[0]));
}
