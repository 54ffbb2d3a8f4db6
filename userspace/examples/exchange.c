// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* Written from README.md and <linux/feed.h> alone: `give` appends texts to a new feed and prints its name,
 * `take` prints the first entries of a feed. A seed or name is 64 hex digits. */
#include <err.h>
#include <linux/feed.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_feed feed = { .sfeed_family = AF_FEED };
	int i, got, fd = socket(AF_FEED, SOCK_SEQPACKET, 0);
	char text[4096];

	for (i = 0; i < FEED_KEY_LEN; i++)
		if (fd < 0 || argc < 4 || sscanf(argv[2] + 2 * i, "%2hhx", &feed.sfeed_key[i]) != 1)
			err(2, "exchange give SEED TEXT... | exchange take NAME COUNT");
	if (strcmp(argv[1], "give") == 0) {
		feed.sfeed_flags = FEED_BIND_NEW;
		if (setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, feed.sfeed_key, FEED_KEY_LEN) ||
		    getsockopt(fd, SOL_FEED, FEED_OPT_PUBLIC_KEY, feed.sfeed_key, &(socklen_t){ FEED_KEY_LEN }) ||
		    bind(fd, (struct sockaddr *)&feed, sizeof(feed)))
			err(1, "bind");
		for (i = 3; i < argc; i++)
			if (send(fd, argv[i], strlen(argv[i]), 0) < 0)
				err(1, "send");
		for (i = 0; i < FEED_KEY_LEN; i++)
			printf("%02x", feed.sfeed_key[i]);
		return puts("") < 0;
	}
	if (connect(fd, (struct sockaddr *)&feed, sizeof(feed)))
		err(1, "connect");
	for (i = 0; i < atoi(argv[3]); i++) {
		got = recv(fd, text, sizeof(text), 0);
		if (got < 0 || printf("%d: %.*s\n", i, got, text) < 0)
			err(1, "recv");
	}
}
