// SPDX-License-Identifier: GPL-2.0
/*
 * Authors whose kernel has no memory left. With `failures` of lib.sh.
 */
#define _GNU_SOURCE
#include "failing.h"
#include "feedsock.h"

#define BATCH	3

static int author_again(uint32_t number)
{
	int fd = feed_socket();
	address a;

	set_seed(fd, number);
	a = address_of(fd, 0, 0);
	CHECK_EQ(bind_to(fd, &a), 0);
	return fd;
}

static uint64_t length_of(uint32_t number)
{
	int fd = reader(number, 0);
	uint64_t n = head_of(fd).n;

	close(fd);
	return n;
}

/*
 * A close() that is to sign a batch cannot, for it gets no memory. The entries
 * were sent, so they are in the feed when its next author signs.
 */
static void close_signs(void)
{
	int file = fail_file("make-it-fail"), late = 0, fd;
	uint64_t n = 0;
	char text[32];

	if (file < 0)
		return;
	close(new_author(280));
	/* Now and then the batch is signed before, because its time is over. */
	for (int round = 0; late < 5; round++) {
		CHECK(round < 500);
		fd = author_again(280);
		for (int i = 0; i < BATCH; i++) {
			int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)n + i);

			CHECK_EQ(send(fd, text, len, MSG_MORE), len);
		}
		fail_all(file, 1);
		close(fd);
		fail_all(file, 0);
		late += length_of(280) == n;
		n += BATCH;

		fd = author_again(280);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
		append(fd, text);
		CHECK_EQ(head_of(fd).n, ++n);
		close(fd);
	}
	fd = reader(280, 0);
	for (uint64_t i = 0; i < n; i++) {
		memset(text, 0, sizeof(text));
		CHECK(recv(fd, text, sizeof(text) - 1, 0) > 0);
		CHECK_EQ(atoi(text), i);
	}
}

static const struct ktap_case cases[] = {
	{ "close: what it cannot sign the next author does", close_signs },
};

int main(void)
{
	return ktap_main(cases, sizeof(cases) / sizeof(cases[0]));
}
