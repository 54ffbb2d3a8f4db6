// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* The text form of names: feed:HEX and feed:HEX/SEQ. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "feed.h"

#define PREFIX		"feed:"
#define PREFIX_LEN	(sizeof(PREFIX) - 1)
#define DIGITS		(2 * FEED_KEY_LEN)

/* A feed never has more entries than this. */
#define SEQ_END		(UINT64_C(1) << 36)

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int parse_hex(const char *text, uint8_t name[FEED_KEY_LEN])
{
	/* A NUL is no digit, so a short text ends the loop before its end. */
	for (size_t i = 0; i < FEED_KEY_LEN; i++) {
		int high = nibble(text[2 * i]);
		int low = high < 0 ? -1 : nibble(text[2 * i + 1]);

		if (low < 0)
			return -1;
		name[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* One text per number: no sign, no blank, no leading zero. */
static int parse_seq(const char *text, uint64_t *seq)
{
	uint64_t value = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value >= SEQ_END)
			return -1;
	}
	*seq = value;
	return 0;
}

int feed_parse_name(const char *text, uint8_t name[FEED_KEY_LEN], uint64_t *seq)
{
	uint8_t key[FEED_KEY_LEN];
	uint64_t entry = 0;
	const char *rest;

	if (strncmp(text, PREFIX, PREFIX_LEN) != 0)
		goto invalid;
	if (parse_hex(text + PREFIX_LEN, key) != 0)
		goto invalid;
	rest = text + PREFIX_LEN + DIGITS;
	if (*rest == '/') {
		if (seq == NULL || parse_seq(rest + 1, &entry) != 0)
			goto invalid;
	} else if (*rest != '\0') {
		goto invalid;
	}

	memcpy(name, key, sizeof(key));
	if (*rest == '/')
		*seq = entry;
	return 0;

invalid:
	errno = EINVAL;
	return -1;
}

int feed_format_name(char *buf, size_t size, const uint8_t name[FEED_KEY_LEN],
		     const uint64_t *seq)
{
	char text[FEED_NAME_TEXT_MAX] = PREFIX;
	char *end = text + PREFIX_LEN;
	int len;

	for (size_t i = 0; i < FEED_KEY_LEN; i++) {
		*end++ = "0123456789abcdef"[name[i] >> 4];
		*end++ = "0123456789abcdef"[name[i] & 15];
	}
	if (seq != NULL)
		end += snprintf(end, (size_t)(text + sizeof(text) - end),
				"/%" PRIu64, *seq);
	len = (int)(end - text);
	if ((size_t)len >= size) {
		errno = ERANGE;
		return -1;
	}
	memcpy(buf, text, (size_t)len);
	buf[len] = '\0';
	return len;
}
