/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entries whose bytes are known, and mmap() of them.
 */
#ifndef MAPPED_H
#define MAPPED_H

#include <sys/mman.h>

#include "feedsock.h"

#define PAGE	4096ul

typedef struct feed_entry_info entry_info;

static inline size_t pages_of(size_t len)
{
	return (len + PAGE - 1) / PAGE * PAGE;
}

/* What entries are made of: no two pages of any two are alike, and no byte 0. */
static inline uint8_t byte_of(uint64_t entry, size_t at)
{
	uint64_t x = (entry + 1) * 0x9e3779b97f4a7c15ull + at / 8 * 0xbf58476d1ce4e5b9ull;

	x ^= x >> 29;
	x *= 0x94d049bb133111ebull;
	return (x >> (at % 8 * 8)) | 1;
}

static inline uint8_t *content(uint64_t entry, size_t len)
{
	uint8_t *bytes = malloc(len + 1);

	CHECK(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_of(entry, i);
	return bytes;
}

static inline void append_entry(int fd, uint64_t entry, size_t len)
{
	uint8_t *bytes = content(entry, len);

	CHECK_EQ(send(fd, bytes, len, 0), len);
	free(bytes);
}

/* An author's feed of entries of these lengths, and its reader. */
static inline int reader_of(uint32_t number, const size_t *lens, int count)
{
	int author = new_author(number);

	for (int i = 0; i < count; i++)
		append_entry(author, i, lens[i]);
	close(author);
	return reader(number, 0);
}

static inline int reader_of_one(uint32_t number, size_t len)
{
	return reader_of(number, &len, 1);
}

static inline int take_raw(int fd, entry_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0xee, sizeof(*info));
	return getsockopt(fd, SOL_FEED, FEED_OPT_MAP, info, &len);
}

static inline entry_info take(int fd)
{
	entry_info info;

	CHECK_EQ(take_raw(fd, &info), 0);
	return info;
}

static inline void *map_at(int fd, size_t len, off_t offset)
{
	return mmap(NULL, len, PROT_READ, MAP_SHARED, fd, offset);
}

static inline uint8_t *map(int fd, uint64_t entry, size_t len)
{
	uint8_t *at = map_at(fd, len, FEED_MAP_OFFSET(entry));

	CHECK(at != MAP_FAILED);
	return at;
}

static inline void no_map(int fd, size_t len, int prot, int flags, off_t offset, int error)
{
	errno = 0;
	CHECK(mmap(NULL, len, prot, flags, fd, offset) == MAP_FAILED);
	if (errno != error)
		FAIL("mmap: %s, not %s", strerrorname_np(errno), strerrorname_np(error));
}

/* Bytes from `from` on, up to the end of the page of the last one. */
static inline void compare(const uint8_t *at, uint64_t entry, size_t len, size_t from)
{
	for (size_t i = from; i < pages_of(len); i++) {
		uint8_t want = i < len ? byte_of(entry, i) : 0;

		if (at[i - from] != want)
			FAIL("byte %zu of entry %llu is %02x, not %02x", i,
			     (unsigned long long)entry, at[i - from], want);
	}
}

#endif
