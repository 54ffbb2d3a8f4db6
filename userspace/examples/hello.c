// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/*
 * cc -o hello hello.c $(pkg-config --cflags --libs libfeed)
 * ./hello "some words"     appends them to a new feed and prints its name
 * ./hello feed:HEX         prints the entries of that feed, as they come
 */
#include <err.h>
#include <errno.h>
#include <feed.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int main(int argc, char **argv)
{
	unsigned char seed[FEED_KEY_LEN], name[FEED_KEY_LEN];
	char text[FEED_NAME_TEXT_MAX];
	struct feed_entry_info info;
	void *entry = NULL;
	size_t size = 0;
	ssize_t len;
	int fd;

	if (argc != 2)
		errx(2, "hello WORDS | hello feed:HEX");
	if (feed_parse_name(argv[1], name, NULL) == 0) {
		fd = feed_open_reader(name, 0, 0);
		while (fd >= 0 && (len = feed_read_entry(fd, &entry, &size, &info)) >= 0) {
			printf("%u hops: %.*s\n", info.hops, (int)len, (char *)entry);
			fflush(stdout);
		}
	} else if (getrandom(seed, sizeof(seed), 0) == sizeof(seed)) {
		fd = feed_open_author(seed, FEED_OPEN_NEW, NULL);
		if (fd >= 0 && feed_append(fd, argv[1], strlen(argv[1]), NULL, 0) >= 0 &&
		    feed_public_key(fd, name) == 0 &&
		    feed_format_name(text, sizeof(text), name, NULL) > 0)
			return puts(text) < 0;
	}
	errx(1, "%s", feed_strerror(errno));
}
