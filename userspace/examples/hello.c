// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* A feed with one entry, and a reader of any feed.
 *
 *   cc -o hello hello.c $(pkg-config --cflags --libs libfeed)
 *   ./hello "some words"     appends them to a new feed and prints its name
 *   ./hello feed:HEX         prints the entries of that feed
 */
#include <errno.h>
#include <feed.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int fail(const char *doing)
{
	fprintf(stderr, "%s: %s\n", doing, feed_strerror(errno));
	return 1;
}

static int say(const char *words)
{
	unsigned char seed[FEED_KEY_LEN], name[FEED_KEY_LEN];
	char text[FEED_NAME_TEXT_MAX];
	int fd;

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return fail("getrandom");
	fd = feed_open_author(seed, FEED_OPEN_NEW, NULL);
	if (fd < 0 || feed_append(fd, words, strlen(words), NULL, 0) < 0)
		return fail("append");
	feed_public_key(fd, name);
	feed_format_name(text, sizeof(text), name, NULL);
	return puts(text) < 0;
}

static int hear(const unsigned char *name)
{
	struct feed_entry_info info;
	void *entry = NULL;
	size_t size = 0;
	ssize_t len;
	int fd = feed_open_reader(name, 0, 0);

	if (fd < 0)
		return fail("open");
	while ((len = feed_read_entry(fd, &entry, &size, &info)) >= 0) {
		printf("%llu (%u hops): %.*s\n", (unsigned long long)info.seq,
		       info.hops, (int)len, (char *)entry);
		fflush(stdout);
	}
	free(entry);
	return errno == ENODATA ? 0 : fail("read");
}

int main(int argc, char **argv)
{
	unsigned char name[FEED_KEY_LEN];

	if (argc != 2)
		return 2;
	return feed_parse_name(argv[1], name, NULL) == 0 ? hear(name) : say(argv[1]);
}
