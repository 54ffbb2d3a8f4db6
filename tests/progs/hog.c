// SPDX-License-Identifier: GPL-2.0
/*
 * hog: for each line of standard input, a number of MiB, take that much more
 * memory, touch every page of it and say how much is held in all. It is held
 * until standard input ends.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(void)
{
	size_t held = 0;
	char line[32];

	while (fgets(line, sizeof(line), stdin)) {
		size_t more = (size_t)atol(line), len = more << 20;
		char *at;

		if (!more)
			errx(2, "a number of MiB is wanted in each line, not '%s'", line);
		at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			err(1, "mmap");
		for (size_t i = 0; i < len; i += 4096)
			at[i] = 1;
		held += more;
		printf("holding %zu MiB\n", held);
		fflush(stdout);
	}
	return 0;
}
