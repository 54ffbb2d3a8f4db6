/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * libfeed: the calls of AF_FEED, one function each.
 *
 * Every function returns -1 (or a negative length) with errno set on failure,
 * as the system calls underneath do. feed_strerror() says what to do about it.
 * Nothing here allocates but feed_read_entry(), and nothing holds state: a
 * feed is a file descriptor, and poll(), splice(), close() work on it.
 */
#ifndef _FEED_H
#define _FEED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/feed.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a leaf, the record that the tree commits to for each entry. */
#define FEED_LEAF_LEN		64

/* Room for "feed:", 64 digits, '/', 20 digits and the closing NUL. */
#define FEED_NAME_TEXT_MAX	91

/* flags of feed_open_author() and feed_open_reader() */
#define FEED_OPEN_NEW		0x0001	/* author: no entry of it exists anywhere */
#define FEED_OPEN_NONBLOCK	0x0002	/* as O_NONBLOCK */

/* Names. The text form is feed:HEX or feed:HEX/SEQ, HEX 64 lower-case digits. */

/* EINVAL when @text is no name. Without /SEQ, *@seq is left as it is, so set
 * the default before. @seq may be NULL: then a text with /SEQ is EINVAL.
 */
int feed_parse_name(const char *text, uint8_t name[FEED_KEY_LEN], uint64_t *seq);

/* Writes feed:HEX, with /SEQ when @seq is not NULL. Returns the length of the
 * text, as snprintf() does; ERANGE when @size is too small.
 */
int feed_format_name(char *buf, size_t size, const uint8_t name[FEED_KEY_LEN],
		     const uint64_t *seq);

/* The number of the family in the running kernel; AF_FEED if nobody says. */
int feed_family(void);

/* Opening. The descriptors are close-on-exec. */

/* Be the author of the feed that @seed is the secret of. @head, the last head
 * that was kept of this feed, may be NULL; see feed(7) for when it must not be.
 */
int feed_open_author(const uint8_t seed[FEED_KEY_LEN], unsigned int flags,
		     const struct feed_head *head);

/* Read the feed @name from entry @seq on; FEED_SEQ_NEW: only entries to come. */
int feed_open_reader(const uint8_t name[FEED_KEY_LEN], uint64_t seq,
		     unsigned int flags);

/* The name of the feed that @fd authors: the key derived from its seed. */
int feed_public_key(int fd, uint8_t name[FEED_KEY_LEN]);

/* Appending. One call is one entry. @how may be NULL: now, no bits. @flags are
 * those of send(); MSG_MORE: the entry is provisional until a later head.
 */
ssize_t feed_append(int fd, const void *buf, size_t len,
		    const struct feed_append *how, int flags);
ssize_t feed_appendv(int fd, const struct iovec *iov, size_t count,
		     const struct feed_append *how, int flags);

/* Close the feed for ever: a head that says so is signed. Later sends: EPIPE. */
int feed_set_final(int fd);

/* Promise the next head by @ms since 1970; 0: no promise. */
int feed_set_next_by(int fd, uint64_t ms);

/* Reading. */

/* The next piece of the current entry. On entry *@flags holds flags of recv();
 * on return msg_flags: MSG_EOR when the entry ends with this piece. 0 with
 * MSG_EOR is an empty entry, 0 without is the end of a closed feed. @info and
 * @flags may be NULL.
 */
ssize_t feed_read(int fd, void *buf, size_t len, struct feed_entry_info *info,
		  int *flags);

/* One whole entry into *@buf, which is grown by realloc() as getline() does;
 * free() it in the end. Returns the length; at the end of a closed feed -1
 * with ENODATA.
 */
ssize_t feed_read_entry(int fd, void **buf, size_t *size,
			struct feed_entry_info *info);

/* The next whole entry in this program's memory without a copy: *@at shows
 * info->len bytes that nobody can change, until feed_unmap_entry(). It is NULL
 * for an empty entry. At the end of a closed feed -1 with ENODATA; ENOBUFS when
 * RLIMIT_MEMLOCK does not allow it: then read it.
 */
int feed_map_entry(int fd, const void **at, struct feed_entry_info *info);

/* The first @len bytes of entry @seq, if all of it is in the node's store; else
 * -1 with ENODATA: then seek there and call feed_map_entry(), which waits for
 * the network.
 */
int feed_map_at(int fd, uint64_t seq, size_t len, const void **at);
int feed_unmap_entry(const void *at, size_t len);

/* The next piece comes from byte @offset of entry @seq. */
int feed_seek(int fd, uint64_t seq, uint64_t offset);

/* What is known. ENODATA when there is none yet. */
int feed_head(int fd, struct feed_head *head);
int feed_info(int fd, struct feed_info *info);
int feed_fork(int fd, struct feed_fork *fork);

/* How long connecting and reading wait for the network, in ms. */
int feed_set_timeout(int fd, uint64_t ms);
int feed_timeout(int fd, uint64_t *ms);

/* Checking outside the kernel. */

/**
 * feed_verify() - check an entry against the signed head it was shown with
 * @name: the feed's name, which the caller knows by itself
 * @head: struct feed_head
 * @leaf: the entry's leaf, as on the wire
 * @siblings: hashes from the leaf up to the root, FEED_HASH_LEN bytes each
 * @count: number of siblings
 * @payload: the entry's bytes, or NULL to check the leaf alone
 * @len: bytes of payload
 *
 * 0 when the head is signed by the name key, the leaf is in its tree, and the
 * payload is the one that the leaf names. EBADMSG when any of it is not so;
 * EOPNOTSUPP for a head of epoch 1 or later, which only a grant can prove.
 */
int feed_verify(const uint8_t name[FEED_KEY_LEN], const struct feed_head *head,
		const uint8_t leaf[FEED_LEAF_LEN],
		const uint8_t (*siblings)[FEED_HASH_LEN], size_t count,
		const void *payload, size_t len);

/* What an errno of these functions means and what to do about it. Never NULL. */
const char *feed_strerror(int err);

#ifdef __cplusplus
}
#endif

#endif /* _FEED_H */
