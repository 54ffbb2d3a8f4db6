// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/*
 * Written from README.md and <linux/feed.h> alone: the bare system calls.
 * cc -I include/uapi -o exchange exchange.c
 * ./exchange give SEED TEXT...     appends the texts to a new feed, prints its name
 * ./exchange take NAME [COUNT]     prints the first entries: seq, hops, text
 * SEED and NAME are 64 hex digits.
 */
#include <err.h>
#include <linux/feed.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_feed feed = { .sfeed_family = AF_FEED };
	char text[4096], control[CMSG_SPACE(sizeof(struct feed_entry_info))];
	socklen_t len = sizeof(feed.sfeed_key);
	unsigned char key[FEED_KEY_LEN];
	int fd = socket(AF_FEED, SOCK_SEQPACKET, 0);

	if (fd < 0 || argc < 3)
		err(2, "exchange give SEED TEXT... | exchange take NAME [COUNT]");
	for (int i = 0; i < FEED_KEY_LEN; i++)
		if (sscanf(argv[2] + 2 * i, "%2hhx", &key[i]) != 1)
			errx(2, "64 hex digits, please");
	if (strcmp(argv[1], "give") == 0) {
		feed.sfeed_flags = FEED_BIND_NEW;
		if (setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, key, sizeof(key)) ||
		    getsockopt(fd, SOL_FEED, FEED_OPT_PUBLIC_KEY, feed.sfeed_key, &len) ||
		    bind(fd, (struct sockaddr *)&feed, sizeof(feed)))
			err(1, "bind");
		for (int i = 3; i < argc; i++)
			if (send(fd, argv[i], strlen(argv[i]), 0) < 0)
				err(1, "send");
		for (int i = 0; i < FEED_KEY_LEN; i++)
			printf("%02x", feed.sfeed_key[i]);
		return puts("") < 0;
	}
	memcpy(feed.sfeed_key, key, sizeof(key));
	if (connect(fd, (struct sockaddr *)&feed, sizeof(feed)))
		err(1, "connect");
	for (int count = argc > 3 ? atoi(argv[3]) : 3; count > 0; count--) {
		struct iovec part = { text, sizeof(text) };
		struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1,
				      .msg_control = control, .msg_controllen = sizeof(control) };
		ssize_t got = recvmsg(fd, &msg, 0);
		struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&msg);
		struct feed_entry_info info;

		if (!c || c->cmsg_level != SOL_FEED || c->cmsg_type != FEED_CMSG_ENTRY)
			err(1, "recvmsg");
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		printf("%llu (%u hops): %.*s\n", info.seq, info.hops, (int)got, text);
	}
}
