// SPDX-License-Identifier: GPL-2.0
/*
 * Authors and readers by io_uring, without any library: what a call would
 * say comes back as the result of a completion, and what has to wait does not
 * keep the program waiting.
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "feedsock.h"

#define ENTRIES	8

static struct {
	int fd;
	struct io_uring_params p;
	char *rings;
	struct io_uring_sqe *sqes;
} ring;

static atomic_uint *at(uint32_t offset)
{
	return (atomic_uint *)(ring.rings + offset);
}

static void set_up(void)
{
	size_t sq, cq;

	ring.fd = syscall(SYS_io_uring_setup, ENTRIES, &ring.p);
	CHECK(ring.fd >= 0);
	CHECK(ring.p.features & IORING_FEAT_SINGLE_MMAP);
	sq = ring.p.sq_off.array + ring.p.sq_entries * sizeof(uint32_t);
	cq = ring.p.cq_off.cqes + ring.p.cq_entries * sizeof(struct io_uring_cqe);
	ring.rings = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
			  IORING_OFF_SQ_RING);
	CHECK(ring.rings != MAP_FAILED);
	ring.sqes = mmap(NULL, ring.p.sq_entries * sizeof(*ring.sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
			 ring.fd, IORING_OFF_SQES);
	CHECK(ring.sqes != MAP_FAILED);
}

static void submit(uint8_t op, int fd, const void *buf, unsigned int len, uint64_t tag)
{
	unsigned int tail = atomic_load(at(ring.p.sq_off.tail)), i = tail % ring.p.sq_entries;

	ring.sqes[i] = (struct io_uring_sqe) {
		.opcode = op, .fd = fd, .addr = (uintptr_t)buf, .len = len, .user_data = tag,
		.poll32_events = op == IORING_OP_POLL_ADD ? POLLIN : 0,
	};
	((uint32_t *)(ring.rings + ring.p.sq_off.array))[i] = i;
	atomic_store(at(ring.p.sq_off.tail), tail + 1);
	CHECK_EQ(syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0), 1);
}

/* The next completion, which must be the one with this tag. */
static int completed(uint64_t tag)
{
	unsigned int head = atomic_load(at(ring.p.cq_off.head));
	struct io_uring_cqe *cqes = (void *)(ring.rings + ring.p.cq_off.cqes);
	int result;

	if (head == atomic_load(at(ring.p.cq_off.tail)))
		CHECK_EQ(syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), 0);
	CHECK_EQ(cqes[head % ring.p.cq_entries].user_data, tag);
	result = cqes[head % ring.p.cq_entries].res;
	atomic_store(at(ring.p.cq_off.head), head + 1);
	return result;
}

static int waiting(void)
{
	return atomic_load(at(ring.p.cq_off.head)) == atomic_load(at(ring.p.cq_off.tail));
}

static void send_and_receive(void)
{
	int author = new_author(500), fd;
	char text[32];

	set_up();
	submit(IORING_OP_SEND, author, "by a ring", 9, 1);
	CHECK_EQ(completed(1), 9);
	CHECK_EQ(head_of(author).n, 1);
	submit(IORING_OP_SEND, author, "", 0, 2);
	CHECK_EQ(completed(2), -EINVAL);
	fd = reader(500, 0);
	submit(IORING_OP_RECV, fd, text, sizeof(text), 3);
	CHECK_EQ(completed(3), 9);
	CHECK_EQ(memcmp(text, "by a ring", 9), 0);
}

static void receive_later(void)
{
	int author = new_author(501), fd;
	char text[32];

	append(author, "before");
	fd = reader(501, 1);
	set_up();
	submit(IORING_OP_RECV, fd, text, sizeof(text), 7);
	CHECK(waiting());
	append(author, "woken");
	CHECK_EQ(completed(7), 5);
	CHECK_EQ(memcmp(text, "woken", 5), 0);
}

static void poll_later(void)
{
	int author = new_author(502), fd;

	append(author, "before");
	fd = reader(502, 1);
	set_up();
	submit(IORING_OP_POLL_ADD, fd, NULL, 0, 8);
	CHECK(waiting());
	append(author, "woken");
	CHECK(completed(8) & POLLIN);
}

static const struct ktap_case cases[] = {
	{ "io_uring: SEND, RECV, an errno", send_and_receive },
	{ "io_uring: a RECV that waits ends with the next entry", receive_later },
	{ "io_uring: POLL_ADD", poll_later },
};

int main(void)
{
	return ktap_main(cases, sizeof(cases) / sizeof(cases[0]));
}
