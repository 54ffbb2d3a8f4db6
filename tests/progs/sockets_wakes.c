// SPDX-License-Identifier: GPL-2.0
/*
 * No wake-up is lost: whenever an append comes, a reader that waits for it
 * hears of it at once. Who misses one looks again after 2 s by himself. Each
 * case lasts a while, however many appends that are: enough to meet every
 * moment of a reader's call many times.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include "feedsock.h"

#define LASTS_S	5
#define SOON_S	1.5
#define CROWD	3

static int seen;	/* entries that readers have had, all together */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* How often this thread has slept. */
static long sleeps(void)
{
	struct rusage usage;

	CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/* Whether it was one more, or the end, a dash. */
static int read_next(int fd, int i)
{
	char text[32] = "";

	CHECK(recv(fd, text, sizeof(text) - 1, 0) > 0);
	if (text[0] == '-')
		return 0;
	CHECK_EQ(atoi(text), i);
	__atomic_fetch_add(&seen, 1, __ATOMIC_RELEASE);
	return 1;
}

static void *read_all(void *number)
{
	int fd = reader((uint32_t)(uintptr_t)number, 0);

	for (int i = 0; read_next(fd, i); i++)
		;
	close(fd);
	return NULL;
}

/*
 * Comes back just when the next entry does: later, if it had to sleep for the
 * one before, earlier if that was there. So most appends come between its first
 * look and its falling asleep, or very nearly.
 */
static void *read_just_in_time(void *number)
{
	int fd = reader((uint32_t)(uintptr_t)number, 0);
	long slept = sleeps();
	double pause = 0;

	for (int i = 0; read_next(fd, i); i++) {
		long before = slept;
		double until;

		slept = sleeps();
		pause += slept > before ? pause / 32 + 1e-6 : -pause / 32;
		until = now_s() + pause;
		while (now_s() < until)
			;
	}
	close(fd);
	return NULL;
}

/* An append as soon as everybody has had the one before, or a little later. */
static void append_to(int readers, void *(*reads)(void *), uint32_t number, uint32_t late)
{
	int author = new_author(number), steps;
	double end = now_s() + LASTS_S;
	pthread_t threads[CROWD];
	uint32_t dice = 1;
	char text[32];

	for (int i = 0; i < readers; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, reads, (void *)(uintptr_t)number), 0);
	for (steps = 0; now_s() < end; steps++) {
		double begun;

		snprintf(text, sizeof(text), "%d", steps);
		append(author, text);
		begun = now_s();
		while (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) < (steps + 1) * readers) {
			if (now_s() > begun + SOON_S)
				FAIL("entry %d was not heard of", steps);
			sched_yield();
		}
		dice = dice * 1664525 + 1013904223;
		for (uint32_t spins = dice % (late + 1); spins > 0; spins--)
			__asm__ volatile("" ::: "memory");
		if (late && !(dice >> 28))
			usleep(100);
	}
	append(author, "-");
	for (int i = 0; i < readers; i++)
		pthread_join(threads[i], NULL);
	close(author);
	printf("    # %d appends\n", steps);
}

/* While they look, join the queue, fall asleep, or sleep. */
static void of_a_crowd(void)
{
	append_to(CROWD, read_all, 330, 4096);
}

static void just_in_time(void)
{
	append_to(1, read_just_in_time, 331, 0);
}

static const struct ktap_case cases[] = {
	{ "recv: no wake-up of a crowd is lost", of_a_crowd },
	{ "recv: none is lost that comes while a reader falls asleep", just_in_time },
};

int main(void)
{
	return ktap_main(cases, sizeof(cases) / sizeof(cases[0]));
}
