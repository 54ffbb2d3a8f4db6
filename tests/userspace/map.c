// SPDX-License-Identifier: GPL-2.0
/* map FEED COUNT: the first entries of a feed, by feed_map_entry(), one line each. */
#include <err.h>
#include <errno.h>
#include <feed.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct feed_entry_info info;
	uint8_t name[FEED_KEY_LEN];
	const void *at;
	int fd;

	if (argc != 3 || feed_parse_name(argv[1], name, NULL))
		errx(2, "map feed:HEX COUNT");
	fd = feed_open_reader(name, 0, 0);
	if (fd < 0)
		errx(1, "open: %s", feed_strerror(errno));
	for (int i = 0; i < atoi(argv[2]); i++) {
		if (feed_map_entry(fd, &at, &info))
			errx(1, "entry %d: %s", i, feed_strerror(errno));
		printf("%llu: %.*s\n", (unsigned long long)info.seq, (int)info.len, at ? (const char *)at : "");
		if (feed_unmap_entry(at, info.len))
			err(1, "munmap");
	}
	close(fd);
	return 0;
}
