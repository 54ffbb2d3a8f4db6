// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that have entries mapped, while a story changes what is around them.
 *
 *   mapped_held author COUNT SIZE    appends entries to the feed that `hold` reads
 *   mapped_held hold COUNT SIZE      maps them all, closes the socket, compares, says
 *                                    "holding"; compares again at the end of its input
 *   mapped_held again COUNT SIZE     maps, compares and unmaps one after the other
 *   mapped_held absent COUNT SIZE    the same, when none of them is in the store yet
 */
#define _GNU_SOURCE
#include <err.h>

#include "mapped.h"

#define HELD	700	/* the feed of all of them */

static int hold(int count, size_t size)
{
	uint8_t **at = calloc(count, sizeof(*at));
	int fd = reader(HELD, 0);
	char c;

	for (int i = 0; i < count; i++) {
		CHECK_EQ(take(fd).len, size);
		at[i] = map(fd, i, size);
	}
	close(fd);
	for (int i = 0; i < count; i++)
		compare(at[i], i, size, 0);
	printf("holding\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	for (int i = 0; i < count; i++)
		compare(at[i], i, size, 0);
	printf("right\n");
	return 0;
}

static int again(int count, size_t size)
{
	int fd = reader(HELD, 0), hops = 0;

	for (int i = 0; i < count; i++) {
		entry_info info = take(fd);
		uint8_t *at = map(fd, i, size);

		CHECK_EQ(info.seq, i);
		CHECK_EQ(info.len, size);
		hops += info.hops;
		compare(at, i, size, 0);
		CHECK_EQ(munmap(at, size), 0);
	}
	printf("right, %d hops\n", hops);
	return 0;
}

static int absent(int count, size_t size)
{
	int fd = reader(HELD, 0);

	for (int i = 0; i < count; i++)
		no_map(fd, size, PROT_READ, MAP_SHARED, FEED_MAP_OFFSET(i), ENODATA);
	close(fd);
	return again(count, size);
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[2]) : 0;
	size_t size = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

	if (argc != 4 || count < 1 || size < 1)
		errx(2, "see the head of the source");
	if (!strcmp(argv[1], "hold"))
		return hold(count, size);
	if (!strcmp(argv[1], "again"))
		return again(count, size);
	if (!strcmp(argv[1], "absent"))
		return absent(count, size);
	if (strcmp(argv[1], "author"))
		errx(2, "%s is not known", argv[1]);
	for (int fd = new_author(HELD), i = 0; i < count; i++)
		append_entry(fd, i, size);
	return 0;
}
