// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
/* feed_verify(): the verdict comes from feed_core, the same code as the kernel's. */

#include <errno.h>

#include "feed.h"

/* userspace/c/verify */
int feed_verify_claim(const uint8_t *name, const void *head, const uint8_t *leaf,
		      const uint8_t (*siblings)[FEED_HASH_LEN], size_t count,
		      const void *payload, size_t len);

int feed_verify(const uint8_t name[FEED_KEY_LEN], const struct feed_head *head,
		const uint8_t leaf[FEED_LEAF_LEN],
		const uint8_t (*siblings)[FEED_HASH_LEN], size_t count,
		const void *payload, size_t len)
{
	switch (feed_verify_claim(name, head, leaf, siblings, count, payload, len)) {
	case 0:
		return 0;
	case 1:
		errno = EOPNOTSUPP;
		return -1;
	default:
		errno = EBADMSG;
		return -1;
	}
}
