// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* What of libfeed can be tested without the module: names, verdicts, advice. KTAP. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feed.h"
#include "vector.h"

#define TEXT "feed:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int number, failures;

static void result(int ok, const char *name)
{
	printf("%sok %d %s\n", ok ? "" : "not ", ++number, name);
	failures += !ok;
}

static void parse_name(void)
{
	static const char *const bad[] = {
		"", "feed:", "feed", "0123", "feed:0123456789abcdef",
		TEXT "0", TEXT "/", TEXT "/01", TEXT "/+1", TEXT "/-1", TEXT "/ 1",
		TEXT "/1x", TEXT "/68719476736", TEXT "/18446744073709551617", TEXT " ",
		"FEED:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"feed:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		"feed:g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	};
	uint8_t name[FEED_KEY_LEN];
	uint64_t seq = 77;
	int ok;

	ok = feed_parse_name(TEXT, name, &seq) == 0 && seq == 77 &&
	     name[0] == 0x01 && name[31] == 0xef;
	result(ok, "parse_name: feed");
	ok = feed_parse_name(TEXT "/0", name, &seq) == 0 && seq == 0;
	ok &= feed_parse_name(TEXT "/68719476735", name, &seq) == 0 &&
	      seq == (UINT64_C(1) << 36) - 1;
	result(ok, "parse_name: entry");
	errno = 0;
	ok = feed_parse_name(TEXT "/1", name, NULL) == -1 && errno == EINVAL;
	result(ok, "parse_name: no entry wanted");

	ok = 1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		seq = 77;
		memset(name, 0xaa, sizeof(name));
		errno = 0;
		if (feed_parse_name(bad[i], name, &seq) != -1 || errno != EINVAL ||
		    seq != 77 || name[0] != 0xaa) {
			printf("# taken: %s\n", bad[i]);
			ok = 0;
		}
	}
	result(ok, "parse_name: refuses the rest, touching nothing");
}

static void format_name(void)
{
	uint8_t name[FEED_KEY_LEN];
	char text[FEED_NAME_TEXT_MAX];
	uint64_t seq = UINT64_MAX;
	int ok;

	feed_parse_name(TEXT, name, NULL);
	ok = feed_format_name(text, sizeof(text), name, NULL) == 69 &&
	     strcmp(text, TEXT) == 0;
	result(ok, "format_name: feed");
	ok = feed_format_name(text, sizeof(text), name, &seq) == 90 &&
	     strcmp(text, TEXT "/18446744073709551615") == 0;
	result(ok, "format_name: longest entry fits FEED_NAME_TEXT_MAX");
	errno = 0;
	ok = feed_format_name(text, 69, name, NULL) == -1 && errno == ERANGE;
	result(ok, "format_name: too small");
}

static int verdict(size_t at, int flip)
{
	uint8_t name[FEED_KEY_LEN], leaf[FEED_LEAF_LEN];
	uint8_t siblings[VECTOR_SIBLINGS][FEED_HASH_LEN];
	uint8_t payload[sizeof(vector_payload)];
	struct feed_head head;
	struct {
		void *to;
		const void *from;
		size_t len;
	} parts[] = {
		{ name, vector_name, sizeof(name) },
		{ &head, vector_head, sizeof(head) },
		{ leaf, vector_leaf, sizeof(leaf) },
		{ siblings, vector_siblings, sizeof(siblings) },
		{ payload, vector_payload, sizeof(payload) },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		memcpy(parts[i].to, parts[i].from, parts[i].len);
		if (flip && at < parts[i].len) {
			((uint8_t *)parts[i].to)[at] ^= 1;
			flip = 0;
		}
		at -= at < parts[i].len ? 0 : parts[i].len;
	}
	errno = 0;
	return feed_verify(name, &head, leaf, siblings, VECTOR_SIBLINGS,
			   payload, sizeof(payload));
}

static void verify(void)
{
	const size_t total = FEED_KEY_LEN + FEED_HEAD_LEN + FEED_LEAF_LEN +
			     sizeof(vector_siblings) + sizeof(vector_payload);
	uint8_t later[FEED_HEAD_LEN];
	int ok;

	result(verdict(0, 0) == 0, "verify: genuine");
	result(feed_verify(vector_name, (const void *)vector_head, vector_leaf,
			   vector_siblings, VECTOR_SIBLINGS, NULL, 0) == 0,
	       "verify: without payload");

	ok = 1;
	for (size_t at = 0; at < total; at++) {
		/* The low byte of the epoch is 1 then: another question. */
		if (at == FEED_KEY_LEN + 4)
			continue;
		if (verdict(at, 1) != -1 || (errno != EBADMSG && errno != EOPNOTSUPP)) {
			printf("# byte %zu may be flipped\n", at);
			ok = 0;
		}
	}
	result(ok, "verify: every flipped byte is found");

	memcpy(later, vector_head, sizeof(later));
	later[4] = 1;
	ok = feed_verify(vector_name, (const void *)later, vector_leaf, vector_siblings,
			 VECTOR_SIBLINGS, NULL, 0) == -1 && errno == EOPNOTSUPP;
	result(ok, "verify: a later epoch needs a grant");

	ok = feed_verify(vector_name, (const void *)vector_head, vector_leaf,
			 vector_siblings, VECTOR_SIBLINGS - 1, NULL, 0) == -1 &&
	     errno == EBADMSG;
	ok &= feed_verify(vector_name, (const void *)vector_head, vector_leaf,
			  vector_siblings, SIZE_MAX / 64, NULL, 0) == -1;
	ok &= feed_verify(vector_name, (const void *)vector_head, vector_leaf,
			  NULL, 0, NULL, 0) == -1;
	result(ok, "verify: only one number of siblings is right");
	ok = feed_verify(vector_name, (const void *)vector_head, vector_leaf,
			 vector_siblings, VECTOR_SIBLINGS, vector_payload,
			 sizeof(vector_payload) - 1) == -1 && errno == EBADMSG;
	result(ok, "verify: a shortened payload is found");
}

static void open_and_advice(void)
{
	uint8_t key[FEED_KEY_LEN] = { 1 };
	int fd, ok;

	errno = 0;
	ok = feed_open_reader(key, 0, 0x8000) == -1 && errno == EINVAL;
	errno = 0;
	ok &= feed_open_reader(key, 0, FEED_OPEN_NEW) == -1 && errno == EINVAL;
	errno = 0;
	ok &= feed_open_author(key, 0x8000, NULL) == -1 && errno == EINVAL;
	result(ok, "open: unknown flags are EINVAL");

	if (access("/sys/module/feed", F_OK) == 0) {
		printf("ok %d open: no module # SKIP the module is loaded\n", ++number);
	} else {
		errno = 0;
		fd = feed_open_reader(key, 0, 0);
		result(fd == -1 && errno == EAFNOSUPPORT &&
		       strstr(feed_strerror(errno), "insmod feed.ko") != NULL,
		       "open: no module says how to load it");
	}
	result(strcmp(feed_strerror(ENOMEM), strerror(ENOMEM)) == 0,
	       "strerror: other errnos as everywhere");
}

int main(void)
{
	printf("KTAP version 1\n1..16\n");
	parse_name();
	format_name();
	verify();
	open_and_advice();
	return failures != 0 || number != 16;
}
