// SPDX-License-Identifier: GPL-2.0
/*
 * mmap() of entries: all that one node can show, as numbered cases.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "failing.h"
#include "mapped.h"

/* --- what it gives --- */

static const size_t LENS[] = {
	1, 100, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 8192, 32767, 32768, 32769, 36863, 36864,
	36865, 65535, 65536, 65537, 69632, 1 << 20, (1 << 20) + 5,
};
#define COUNT	((int)(sizeof(LENS) / sizeof(*LENS)))

static void every_length(void)
{
	int fd = reader_of(600, LENS, COUNT);
	uint8_t *at[COUNT];

	for (int i = 0; i < COUNT; i++) {
		entry_info info = take(fd);

		CHECK_EQ(info.seq, i);
		CHECK_EQ(info.len, LENS[i]);
		CHECK_EQ(info.hops, 0);
		CHECK_EQ(info.flags & FEED_ENTRY_NETWORK, 0);
		CHECK(info.time != 0);
		at[i] = map(fd, i, info.len);
	}
	for (int i = 0; i < COUNT; i++) {
		compare(at[i], i, LENS[i], 0);
		CHECK_EQ(munmap(at[i], LENS[i]), 0);
	}
}

static void part_of_it(void)
{
	size_t len = 5 * 32768 + 5000;
	int fd = reader_of_one(601, len);

	for (size_t from = 0; from < len; from += 3 * PAGE) {
		struct feed_seek back = { 0, 0 };
		uint8_t *at;

		CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &back, sizeof(back)), 0);
		take(fd);
		at = map_at(fd, len - from, from);
		CHECK(at != MAP_FAILED);
		compare(at, 0, len, from);
		CHECK_EQ(munmap(at, len - from), 0);

		/* One page alone, for a program of its own. */
		CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &back, sizeof(back)), 0);
		take(fd);
		at = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, from);
		CHECK(at != MAP_FAILED);
		compare(at, 0, len < from + PAGE ? len : from + PAGE, from);
		CHECK_EQ(munmap(at, 1), 0);
	}
}

static void beside_recv(void)
{
	size_t lens[] = { 50000, 40000, 30 };
	uint8_t *want = content(1, 40000), got[40000], *at;
	struct feed_info info;
	socklen_t len = sizeof(info);
	int fd = reader_of(602, lens, 3);

	/* Half of it was read: it is taken from its first byte on. */
	CHECK_EQ(recv(fd, got, 35000, 0), 35000);
	CHECK_EQ(take(fd).seq, 0);
	at = map(fd, 0, 50000);
	compare(at, 0, 50000, 0);
	CHECK_EQ(recv(fd, got, sizeof(got), 0), 40000);
	CHECK(!memcmp(got, want, sizeof(got)));
	CHECK_EQ(take(fd).seq, 2);
	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_INFO, &info, &len), 0);
	CHECK_EQ(info.next, 3);
	CHECK_EQ(info.offset, 0);
	CHECK_EQ(info.entries, 3);
	CHECK_EQ(info.bytes, 35000 + 50000 + 40000 + 30);
}

static void of_no_bytes(void)
{
	int author = new_author(603), one = 1, fd;
	char control[CMSG_SPACE(sizeof(struct feed_append))] = { 0 };
	struct feed_append how = { .flags = FEED_APPEND_EMPTY };
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	entry_info info;

	c->cmsg_level = SOL_FEED;
	c->cmsg_type = FEED_CMSG_APPEND;
	c->cmsg_len = CMSG_LEN(sizeof(how));
	memcpy(CMSG_DATA(c), &how, sizeof(how));
	CHECK_EQ(sendmsg(author, &msg, 0), 0);
	append(author, "x");
	CHECK_EQ(setsockopt(author, SOL_FEED, FEED_OPT_FINAL, &one, sizeof(one)), 0);
	fd = reader(603, 0);
	info = take(fd);
	CHECK_EQ(info.seq, 0);
	CHECK_EQ(info.len, 0);
	no_map(fd, 1, PROT_READ, MAP_SHARED, 0, EINVAL);
	CHECK_EQ(take(fd).seq, 1);
	CHECK_ERR(take_raw(fd, &info), ENODATA);
	/* What was taken last is still there. */
	CHECK_EQ(*map(fd, 1, 1), 'x');
}

/* --- what it refuses --- */

static void any_entry(void)
{
	size_t lens[] = { 10 * PAGE + 1, 100, FEED_ENTRY_MAX, 3 };
	int fd = reader_of(610, lens, 4);
	struct feed_info info;
	socklen_t len = sizeof(info);

	/* In any order, as often as is wanted, and the cursor stays where it is. */
	for (int i = 0; i < 8; i++) {
		int entry = (i * 3 + 2) % 4;
		uint8_t *at = map(fd, entry, lens[entry]);

		compare(at, entry, lens[entry], 0);
		CHECK_EQ(munmap(at, lens[entry]), 0);
	}
	CHECK_EQ(getsockopt(fd, SOL_FEED, FEED_OPT_INFO, &info, &len), 0);
	CHECK_EQ(info.next, 0);
	CHECK_EQ(info.entries, 0);
	/* What was taken and what was not. */
	CHECK_EQ(take(fd).seq, 0);
	compare(map(fd, 1, lens[1]), 1, lens[1], 0);
	compare(map(fd, 0, lens[0]), 0, lens[0], 0);
	compare(map(fd, 0, lens[0]), 0, lens[0], 0);
}

static void nothing_beyond(void)
{
	size_t lens[] = { 10 * PAGE + 1, FEED_ENTRY_MAX, PAGE };
	int fd = reader_of(616, lens, 3);
	off_t second = FEED_MAP_OFFSET(1), third = FEED_MAP_OFFSET(2);

	/* The same for what was taken, and for what was not. */
	for (int i = 0; i < 2; i++) {
		no_map(fd, lens[0] + PAGE, PROT_READ, MAP_SHARED, 0, EINVAL);
		no_map(fd, lens[0], PROT_READ, MAP_SHARED, PAGE, EINVAL);
		no_map(fd, 1, PROT_READ, MAP_SHARED, 11 * PAGE, EINVAL);
		no_map(fd, 2 * PAGE, PROT_READ, MAP_SHARED, second - PAGE, EINVAL);
		no_map(fd, 0, PROT_READ, MAP_SHARED, 0, EINVAL);
		/* Nor from the end of the longest one into the next. */
		no_map(fd, 2 * PAGE, PROT_READ, MAP_SHARED, third - PAGE, EINVAL);
		CHECK(map_at(fd, PAGE, third - PAGE) != MAP_FAILED);
		no_map(fd, 1, PROT_READ, MAP_SHARED, FEED_MAP_OFFSET(3), ENODATA);
		no_map(fd, 1, PROT_READ, MAP_SHARED, FEED_MAP_OFFSET(1ull << 36), ENODATA);
		no_map(fd, 1, PROT_READ, MAP_SHARED, 1ll << 62, ENODATA);
		take(fd);
	}
}

static void who_may(void)
{
	int fd = feed_socket(), author;
	entry_info info;

	CHECK_ERR(take_raw(fd, &info), ENOTCONN);
	no_map(fd, PAGE, PROT_READ, MAP_SHARED, 0, ENOTCONN);
	author = new_author(611);
	append_entry(author, 0, 2 * PAGE);
	CHECK_ERR(take_raw(author, &info), EOPNOTSUPP);
	no_map(author, PAGE, PROT_READ, MAP_SHARED, 0, EOPNOTSUPP);
}

static void nobody_writes(void)
{
	size_t len = 3 * PAGE;
	int fd = reader_of_one(612, len), mem, status;
	uint8_t *shared, *private;
	pid_t pid;

	no_map(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED, 0, EACCES);
	no_map(fd, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, EACCES);
	no_map(fd, len, PROT_WRITE, MAP_PRIVATE, 0, EACCES);
	no_map(fd, len, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0, EPERM);
	shared = map(fd, 0, len);
	private = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(private != MAP_FAILED);
	for (int i = 0; i < 2; i++) {
		uint8_t *at = i ? private : shared;

		CHECK_ERR(mprotect(at, len, PROT_READ | PROT_WRITE), EACCES);
		CHECK_ERR(mprotect(at, len, PROT_READ | PROT_EXEC), EACCES);
		/* A store by the program itself, ... */
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			*(volatile uint8_t *)at = 0x55;
			_exit(0);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		/* ... and what debuggers do, which passes by the protection elsewhere. */
		mem = open("/proc/self/mem", O_RDWR);
		CHECK(mem >= 0);
		CHECK_EQ(pwrite(mem, "\x55", 1, (off_t)(uintptr_t)at), -1);
		close(mem);
		/* The kernel writes for the program. */
		mem = open("/dev/zero", O_RDONLY);
		CHECK(mem >= 0);
		CHECK_ERR(read(mem, at, 1), EFAULT);
		close(mem);
		compare(at, 0, len, 0);
		CHECK_EQ(mprotect(at, len, PROT_NONE), 0);
		CHECK_EQ(mprotect(at, len, PROT_READ), 0);
		compare(at, 0, len, 0);
	}
}

static void advice(void)
{
	static const int refused[] = { MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_PAGEOUT, MADV_COLD };
	size_t len = 20 * PAGE;
	int fd = reader_of_one(613, len), pipes[2];
	struct iovec part;
	uint8_t *at, *copy = malloc(len);
	FILE *file = tmpfile();

	take(fd);
	at = map(fd, 0, len);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		CHECK_EQ(madvise(at, len, refused[i]), -1);
	madvise(at, len, MADV_WILLNEED);
	compare(at, 0, len, 0);
	/* Copies can be had of it, references cannot. */
	CHECK(file && copy);
	CHECK_EQ(write(fileno(file), at, len), len);
	CHECK_EQ(pread(fileno(file), copy, len, 0), len);
	compare(copy, 0, len, 0);
	CHECK_EQ(pipe(pipes), 0);
	part = (struct iovec){ at, PAGE };
	CHECK_ERR(vmsplice(pipes[1], &part, 1, 0), EFAULT);
}

static void nothing_there(void)
{
	size_t lens[] = { 100, 200 };
	int fd = reader_of(614, lens, 2);
	struct timeval soon = { 0, 50000 };
	entry_info info;

	/* Nothing moves when the answer cannot be written. */
	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_MAP, NULL, &(socklen_t){ sizeof(info) }), EFAULT);
	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_MAP, &info, NULL), EFAULT);
	CHECK_ERR(getsockopt(fd, SOL_FEED, FEED_OPT_MAP, &info, &(socklen_t){ -1 }), EINVAL);
	CHECK_ERR(setsockopt(fd, SOL_FEED, FEED_OPT_MAP, &info, sizeof(info)), ENOPROTOOPT);
	CHECK_EQ(take(fd).seq, 0);
	CHECK_EQ(take(fd).seq, 1);
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), 0);
	CHECK_ERR(take_raw(fd, &info), EAGAIN);
	nonblocking(fd);
	CHECK_ERR(take_raw(fd, &info), EAGAIN);
	CHECK_EQ(shutdown(fd, SHUT_RD), 0);
	CHECK_ERR(take_raw(fd, &info), ENODATA);
	compare(map(fd, 1, 200), 1, 200, 0);
}

static void *append_later(void *number)
{
	int fd = feed_socket();
	address a;

	set_seed(fd, (uint32_t)(uintptr_t)number);
	a = address_of(fd, 0, 0);
	CHECK_EQ(bind_to(fd, &a), 0);
	usleep(50000);
	append_entry(fd, 1, 70000);
	close(fd);
	return NULL;
}

static void waits_for_it(void)
{
	int fd = reader_of_one(615, 10);
	pthread_t thread;

	take(fd);
	CHECK_EQ(pthread_create(&thread, NULL, append_later, (void *)615ul), 0);
	CHECK_EQ(take(fd).seq, 1);
	compare(map(fd, 1, 70000), 1, 70000, 0);
	pthread_join(thread, NULL);
}

/* --- how long it lasts --- */

static void outlives_the_socket(void)
{
	size_t len = 50 * PAGE + 17;
	int fd = reader_of_one(620, len), status;
	uint8_t *at, *moved;
	pid_t pid;

	take(fd);
	at = map(fd, 0, len);
	close(fd);
	compare(at, 0, len, 0);
	/* Moved, but never larger; with a hole; in a child that keeps it. */
	CHECK(mremap(at, len, 2 * len, MREMAP_MAYMOVE) == MAP_FAILED);
	moved = mmap(NULL, pages_of(len), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(moved != MAP_FAILED);
	moved = mremap(at, pages_of(len), pages_of(len), MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	CHECK(moved != MAP_FAILED);
	compare(moved, 0, len, 0);
	CHECK_EQ(munmap(moved + 20 * PAGE, 10 * PAGE), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		usleep(100000);
		compare(moved, 0, 20 * PAGE, 0);
		compare(moved + 30 * PAGE, 0, len, 30 * PAGE);
		_exit(0);
	}
	CHECK_EQ(munmap(moved, 20 * PAGE), 0);
	compare(moved + 30 * PAGE, 0, len, 30 * PAGE);
	CHECK_EQ(munmap(moved + 30 * PAGE, pages_of(len) - 30 * PAGE), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void outlives_the_connection(void)
{
	size_t len = 9 * PAGE;
	int fd = reader_of_one(621, len);
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	uint8_t *at;

	take(fd);
	at = map(fd, 0, len);
	take(reader(621, 0));
	CHECK_EQ(connect(fd, &none, sizeof(none)), 0);
	no_map(fd, len, PROT_READ, MAP_SHARED, 0, ENOTCONN);
	compare(at, 0, len, 0);
	/* Replaced in place. */
	CHECK(mmap(at, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	compare(at + PAGE, 0, len, PAGE);
}

static void limited(void)
{
	struct rlimit few = { 16 * PAGE, 16 * PAGE };
	size_t lens[] = { 15 * PAGE, 4 * PAGE, 4 * PAGE, 4 * PAGE };
	int fd = reader_of(622, lens, 4);
	entry_info info;
	uint8_t *at[2], got[15 * PAGE];

	CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &few), 0);
	CHECK_EQ(setresuid(1234, 1234, 1234), 0);
	CHECK_ERR(take_raw(fd, &info), ENOBUFS);
	CHECK_ERR(take_raw(fd, &info), ENOBUFS);
	/* It can be read all the same. */
	CHECK_EQ(recv(fd, got, sizeof(got), 0), 15 * PAGE);
	/* 4 pages and 2 for each. */
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(take(fd).seq, i + 1);
		at[i] = map(fd, i + 1, 4 * PAGE);
	}
	CHECK_ERR(take_raw(fd, &info), ENOBUFS);
	CHECK_EQ(munmap(at[0], PAGE), 0);
	CHECK_ERR(take_raw(fd, &info), ENOBUFS);
	CHECK_EQ(munmap(at[0] + PAGE, 3 * PAGE), 0);
	CHECK_EQ(take(fd).seq, 3);
	compare(map(fd, 3, 4 * PAGE), 3, 4 * PAGE, 0);
	compare(at[1], 2, 4 * PAGE, 0);
}

/* --- what others do meanwhile --- */

static int stop;

static void *meddle(void *arg)
{
	int fd = (int)(uintptr_t)arg;
	unsigned int dice = (unsigned int)pthread_self();

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct feed_seek to = { rand_r(&dice) % 3, 0 };
		uint8_t got[100], *at;
		entry_info info;
		uint64_t entry;

		switch (rand_r(&dice) % 4) {
		case 0:
			setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &to, sizeof(to));
			break;
		case 1:
			recv(fd, got, sizeof(got), MSG_DONTWAIT);
			break;
		case 2:
			take_raw(fd, &info);
			break;
		default:
			entry = rand_r(&dice) % 3;
			at = map(fd, entry, PAGE);
			compare(at, entry, PAGE, 0);
			munmap(at, PAGE);
		}
	}
	return NULL;
}

static void many_at_once(void)
{
	size_t lens[] = { 40000, PAGE, 300000 };
	int fd = reader_of(630, lens, 3);
	pthread_t threads[4];

	nonblocking(fd);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, meddle, (void *)(uintptr_t)fd), 0);
	usleep(1500000);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

/*
 * Every single allocation of mmap(), or of both calls, fails once, where the
 * kernel can. The story has told it to make that of all allocations, silently.
 */
static void without_memory(int takes)
{
	size_t len = 40 * PAGE + 100;
	/* Far from everything, so that it needs page tables of its own; and in two of them. */
	uint8_t *far = (uint8_t *)(uintptr_t)(0x200000000000ull + (2 << 20) - 20 * PAGE);
	int fd, nth, file, more, failed = 0;

	file = fail_file("fail-nth");
	if (file < 0)
		return;
	fd = reader_of_one(631 + takes, len);
	for (nth = 1, more = 1; more; nth++) {
		struct feed_seek back = { 0, 0 };
		uint8_t *at = MAP_FAILED;
		entry_info info;
		int done, error;

		CHECK_EQ(setsockopt(fd, SOL_FEED, FEED_OPT_SEEK, &back, sizeof(back)), 0);
		fail(file, nth);
		done = takes ? take_raw(fd, &info) : 0;
		if (!done)
			at = mmap(far, len, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
		error = errno;
		more = !is_to_fail(file);
		fail(file, 0);
		if (done || at == MAP_FAILED) {
			/* What is copied to the program may fail likewise. */
			CHECK(error == ENOMEM || (done && error == EFAULT));
			failed++;
			/* It can be had afterwards. */
			if (done)
				CHECK_EQ(take(fd).seq, 0);
			at = mmap(far, len, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
			CHECK(at != MAP_FAILED);
		}
		compare(at, 0, len, 0);
		CHECK_EQ(munmap(at, len), 0);
		CHECK(nth < 1000);
	}
	printf("    # of %d allocations and copies %d were missed\n", nth - 2, failed);
	CHECK(failed > 3);
}

static void without_memory_to_take(void)
{
	without_memory(1);
}

static void without_memory_to_map(void)
{
	without_memory(0);
}

static const struct ktap_case CASES[] = {
	{ "mmap: entries of every length, zeroes behind them", every_length },
	{ "mmap: from any page on, shared and private", part_of_it },
	{ "mmap: in turns with recv()", beside_recv },
	{ "mmap: an empty entry has no pages, a final feed no more", of_no_bytes },
	{ "mmap: any entry that is here, taken or not", any_entry },
	{ "mmap: nothing beyond an entry", nothing_beyond },
	{ "mmap: readers only", who_may },
	{ "mmap: nobody writes, by no way", nobody_writes },
	{ "mmap: no advice takes pages out, no call pins them", advice },
	{ "mmap: nothing to take", nothing_there },
	{ "mmap: waits for an entry to come", waits_for_it },
	{ "mmap: outlives close(), moved, cut and inherited", outlives_the_socket },
	{ "mmap: outlives the connection", outlives_the_connection },
	{ "mmap: RLIMIT_MEMLOCK", limited },
	{ "mmap: seeks, reads and maps of four threads at once", many_at_once },
	{ "mmap: taken and mapped without memory", without_memory_to_take },
	{ "mmap: mapped without memory", without_memory_to_map },
};

int main(void)
{
	return ktap_main(CASES, sizeof(CASES) / sizeof(*CASES));
}
