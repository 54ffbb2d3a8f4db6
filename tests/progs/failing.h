/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations and copies that fail on request, where the kernel can do that. The
 * story has told it by `failures on` that any may, silently.
 */
#ifndef FAILING_H
#define FAILING_H

#include <fcntl.h>

#include "ktap.h"

/* "fail-nth" for fail(), "make-it-fail" for fail_all(); -1 without. */
static inline int fail_file(const char *name)
{
	char path[64];
	int file;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	file = open(path, O_RDWR);
	if (file < 0)
		printf("    # this kernel cannot have its allocations fail\n");
	return file;
}

/* All allocations of this thread fail until it says otherwise. */
static inline void fail_all(int file, int on)
{
	CHECK_EQ(pwrite(file, on ? "1" : "0", 1, 0), 1);
}

/* The nth thing from now on that can fail in this thread does. */
static inline void fail(int file, int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	/* Reading the number is such a thing. */
	while (pwrite(file, text, strlen(text), 0) < 0)
		CHECK_EQ(errno, EFAULT);
}

/* Whether it is still to come; it may be the telling itself. */
static inline int is_to_fail(int file)
{
	char text[16] = "";

	return pread(file, text, sizeof(text) - 1, 0) < 0 || atoi(text) > 0;
}

#endif /* FAILING_H */
