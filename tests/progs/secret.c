// SPDX-License-Identifier: GPL-2.0
/*
 * secret hold | secret scan MASKED-HEX
 *
 *   hold   takes 32 bytes of seed (masked, in hex, on standard input), gives
 *          them to an author and to many sockets more (one freed copy might be
 *          overwritten by luck), wipes its own copy, says `held`, and closes
 *          them all when a line comes in
 *   scan   looks through the kernel's memory by /proc/kcore for the seed; says
 *          how often it was found
 *
 * The seed appears in neither program's memory for longer than it must: it is
 * given masked (each byte xor 0xa5), and the scanner compares masked words.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/feed.h>

#define CHUNK	(1 << 20)
#define MORE	200	/* sockets beside the author's */

/* Volatile: else the compiler might unmask what is looked for, and find itself. */
static volatile uint64_t mask = 0xa5a5a5a5a5a5a5a5ull;

static void parse(const char *hex, uint8_t *out)
{
	for (int i = 0; i < 32; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &out[i]) != 1)
			errx(2, "32 bytes of hex are needed");
}

static int hold(void)
{
	static volatile uint8_t seed[32];
	struct sockaddr_feed a = { .sfeed_family = AF_FEED, .sfeed_flags = FEED_BIND_NEW };
	socklen_t len = FEED_KEY_LEN;
	char line[128];
	int fd = socket(AF_FEED, SOCK_SEQPACKET, 0), more[MORE];

	if (fd < 0)
		err(1, "socket");
	if (!fgets(line, sizeof(line), stdin))
		errx(1, "no seed");
	parse(line, (uint8_t *)seed);
	for (int i = 0; i < 32; i++)
		seed[i] ^= 0xa5;
	if (setsockopt(fd, SOL_FEED, FEED_OPT_SECRET_KEY, (const void *)seed, 32) < 0)
		err(1, "SECRET_KEY");
	for (int i = 0; i < MORE; i++) {
		more[i] = socket(AF_FEED, SOCK_SEQPACKET, 0);
		if (more[i] < 0 || setsockopt(more[i], SOL_FEED, FEED_OPT_SECRET_KEY, (const void *)seed, 32) < 0)
			err(1, "socket %d", i);
	}
	for (int i = 0; i < 32; i++)
		seed[i] = 0;
	if (getsockopt(fd, SOL_FEED, FEED_OPT_PUBLIC_KEY, a.sfeed_key, &len) < 0)
		err(1, "PUBLIC_KEY");
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		err(1, "bind");
	if (send(fd, "signed", 6, 0) != 6)
		err(1, "send");
	puts("held");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	close(fd);
	for (int i = 0; i < MORE; i++)
		close(more[i]);
	puts("closed");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) == NULL;
}

/*
 * Eight-byte steps: keys are aligned like that wherever structs hold them. Half
 * a key counts: the allocator writes its own pointer into what is free.
 */
static long count_in(const uint64_t *at, size_t words, const uint64_t *masked)
{
	long found = 0;

	for (size_t i = 0; i + 4 <= words; i++)
		if (((at[i] ^ mask) == masked[0] && (at[i + 1] ^ mask) == masked[1]) ||
		    ((at[i + 2] ^ mask) == masked[2] && (at[i + 3] ^ mask) == masked[3]))
			found++;
	return found;
}

static int scan(const char *hex)
{
	static uint64_t buffer[CHUNK / 8 + 4];
	uint64_t masked[4], size = 0;
	long found = 0;
	Elf64_Ehdr header;
	int fd = open("/proc/kcore", O_RDONLY);

	if (fd < 0)
		err(3, "/proc/kcore");
	parse(hex, (uint8_t *)masked);
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		err(1, "header");
	for (int i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr part;

		if (pread(fd, &part, sizeof(part), header.e_phoff + i * sizeof(part)) != sizeof(part))
			err(1, "program header");
		/* The direct map: all RAM, once. */
		if (part.p_type != PT_LOAD || part.p_paddr == (Elf64_Addr)-1 || part.p_memsz > 1ull << 40)
			continue;
		for (uint64_t at = 0; at < part.p_filesz; at += CHUNK) {
			/* What lies across two chunks is seen by the overlap. */
			size_t want = part.p_filesz - at < CHUNK + 24 ? part.p_filesz - at : CHUNK + 24;
			ssize_t got = pread(fd, buffer, want, part.p_offset + at);

			if (got > 0) {
				found += count_in(buffer, got / 8, masked);
				size += got;
			}
		}
	}
	printf("found %ld in %llu MiB\n", found, (unsigned long long)size >> 20);
	return size == 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "hold"))
		return hold();
	if (argc == 3 && !strcmp(argv[1], "scan"))
		return scan(argv[2]);
	errx(2, "usage: secret hold | secret scan MASKED-HEX");
}
