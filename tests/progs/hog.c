// SPDX-License-Identifier: GPL-2.0
/*
 * hog MIB: take that much memory, touch every page of it, say so, and hold it
 * until standard input ends.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t len = argc == 2 ? (size_t)atol(argv[1]) << 20 : 0;
	char *at, c;

	if (!len)
		errx(2, "usage: hog MIB");
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		err(1, "mmap");
	for (size_t i = 0; i < len; i += 4096)
		at[i] = 1;
	printf("holding %s MiB\n", argv[1]);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
