/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * AF_FEED: signed append-only logs kept and handed over by the network.
 *
 * A SOCK_SEQPACKET socket of this family is either the author of one feed
 * (bind) or a reader of one feed (connect); neither needs a privilege.
 *
 * send() appends one entry and returns when it is signed and stored. It stays
 * in the node's store, and is served, when the socket is closed. MSG_MORE
 * leaves it provisional: one head will cover it and the sends that follow. The
 * signature is made at the first send without MSG_MORE, after FEED_BATCH_MAX
 * entries or FEED_BATCH_MS, or at close().
 *
 * recv() gives the next entry or, if the buffer is smaller, its next part;
 * MSG_EOR marks the last part. So an empty entry is 0 bytes with MSG_EOR, and
 * 0 bytes without are the end of a feed that was closed (FEED_OPT_FINAL). An
 * entry that does not exist yet is waited for as long as SO_RCVTIMEO says; one
 * that exists and does not come within FEED_OPT_TIMEOUT is ETIMEDOUT.
 *
 * mmap() shows a feed as a file in which each entry has room for the longest:
 * FEED_MAP_OFFSET(seq) is where one begins. What is shown are the pages of the
 * node's store, read-only and pinned until the last mapping of them has gone.
 * Bytes behind the end of the entry, up to the end of its last page, are 0.
 *
 * mmap() never waits for the network. FEED_OPT_MAP does: it takes the next entry
 * as a whole and holds it until it is mapped, or the next one is taken. It waits
 * and fails as recv() does, but that the end of a feed is ENODATA, and gives what
 * FEED_CMSG_ENTRY would; with O_NONBLOCK it is EAGAIN as long as some of the
 * entry is not here, which was asked for and which poll() waits for.
 *
 *	FEED_OPT_MAP	ENOBUFS		this user would have more pinned than
 *	or mmap()			RLIMIT_MEMLOCK, two pages for each entry
 *					included
 *	mmap()		ENODATA		there is no such entry, or not all of it is
 *					in the store, and it was not taken
 *			EBADMSG		the feed is forked, and this was not told
 *			EINVAL		more is asked for than pages of the entry
 *			EACCES		PROT_WRITE
 *			EPERM		PROT_EXEC
 *
 * A mapping outlives close(), and munmap() of a part of it pins no less; the
 * socket ends with it. The kernel cannot pin such pages for direct I/O,
 * vmsplice() or MSG_ZEROCOPY (EFAULT): write() and send() copy, splice() and
 * sendfile() need no mapping.
 *
 * All integers that cross this interface are in host byte order; &struct
 * feed_head is a wire image and therefore little-endian on every machine.
 */
#ifndef _UAPI_LINUX_FEED_H
#define _UAPI_LINUX_FEED_H

#include <linux/types.h>
#include <linux/socket.h>

/* The number of a family that died long ago: numbers above AF_MAX cannot be
 * registered out of tree. /sys/module/feed/parameters/family tells which
 * number a running module uses.
 */
#define AF_FEED			18
#define PF_FEED			AF_FEED

/* Level for setsockopt(), getsockopt() and control messages. */
#define SOL_FEED		300

#define FEED_KEY_LEN		32	/* bytes: Ed25519 public key or seed */
#define FEED_HASH_LEN		32	/* bytes: BLAKE3 */
#define FEED_FORK_PROOF_MAX	37	/* hashes */
#define FEED_HEAD_LEN		160	/* bytes: statement and signature */
#define FEED_ENTRY_MAX		(16 << 20)	/* bytes: payload of one entry */
#define FEED_BATCH_MAX		64	/* entries that one head may cover */
#define FEED_BATCH_MS		1	/* longest wait of a provisional entry */

#define FEED_SEQ_NEW		(~0ULL)	/* connect(): only entries to come */

#define FEED_MAP_SHIFT		24
#define FEED_MAP_OFFSET(seq)	((__u64)(seq) << FEED_MAP_SHIFT)	/* for mmap() */

/* sfeed_flags */
#define FEED_BIND_NEW		0x0001	/* bind(): no entry of it exists anywhere */

/**
 * struct sockaddr_feed - address of a feed and a position in it
 * @sfeed_family: AF_FEED
 * @sfeed_flags: FEED_BIND_NEW or 0; anything else is EINVAL. Without it the
 *	store must hold the feed, or FEED_OPT_AUTHOR_HEAD say how far it got:
 *	else send() fails with ESTALE. With it, if the feed has entries here: EEXIST
 * @sfeed_reserved: must be 0, else EINVAL
 * @sfeed_seq: connect(): first entry to read, or FEED_SEQ_NEW;
 *	bind(): must be 0; getsockname()/getpeername(): next entry
 * @sfeed_key: the feed's name, its Ed25519 public key; bind(): what
 *	FEED_OPT_PUBLIC_KEY gives, else EKEYREJECTED (send(), too, once a grant
 *	has handed the feed over to another key)
 */
struct sockaddr_feed {
	__kernel_sa_family_t	sfeed_family;
	__u16			sfeed_flags;
	__u32			sfeed_reserved;
	__u64			sfeed_seq;
	__u8			sfeed_key[FEED_KEY_LEN];
};

/* Socket options at level SOL_FEED. */
enum {
	FEED_OPT_SECRET_KEY	= 1,	/* set: 32-byte RFC 8032 seed; before bind */
	FEED_OPT_KEYRING_SERIAL	= 2,	/* reserved: ENOPROTOOPT */
	FEED_OPT_PUBLIC_KEY	= 3,	/* get: 32 bytes derived from the seed; ENOKEY */
	FEED_OPT_AUTHOR_HEAD	= 4,	/* set: struct feed_head; before bind */
	FEED_OPT_HEAD		= 5,	/* get: struct feed_head; ENODATA if none yet */
	FEED_OPT_SEEK		= 6,	/* set: struct feed_seek; reader */
	FEED_OPT_PROOF		= 7,	/* reserved: ENOPROTOOPT */
	FEED_OPT_INFO		= 8,	/* get: struct feed_info */
	FEED_OPT_MAX_AGE	= 9,	/* reserved: ENOPROTOOPT */
	FEED_OPT_FINAL		= 10,	/* set: int 1; author; later sends are EPIPE */
	FEED_OPT_NEXT_BY	= 11,	/* set: __u64 ms since 1970, 0 = no promise; author */
	FEED_OPT_FORK		= 12,	/* get: struct feed_fork; ENODATA if none */
	FEED_OPT_TIMEOUT	= 13,	/* set/get: __u64 ms; connect() and recv(); 5000 */
	FEED_OPT_MAP		= 14,	/* get: struct feed_entry_info; reader; for mmap() */
};

/* Control messages at level SOL_FEED. */
enum {
	FEED_CMSG_ENTRY		= 1,	/* recvmsg(), if there is room: struct feed_entry_info */
	FEED_CMSG_APPEND	= 2,	/* sendmsg(): struct feed_append */
};

/**
 * struct feed_seek - where the next recv() starts
 * @seq: entry, or FEED_SEQ_NEW
 * @offset: byte in that entry; EINVAL when beyond its length
 */
struct feed_seek {
	__u64	seq;
	__u64	offset;
};

/* feed_entry_info.flags */
#define FEED_ENTRY_NETWORK	0x0001	/* some part came over a link for this read */
#define FEED_ENTRY_STALE	0x0002	/* the head is past its promise or its grant */
#define FEED_ENTRY_AGE_UNKNOWN	0x0004	/* this node's clock is not set */

/**
 * struct feed_entry_info - what is known of the entry just received or taken
 * @seq: its index
 * @time: author's time, ms since 1970; 0 = unstated. Orders nothing.
 * @head_age: ms since the author signed the head it was read under
 * @len: length of the whole entry, bytes
 * @hops: nodes that handed it over; 0 = it was in this node's store
 * @flags: FEED_ENTRY_*
 * @app_flags: the author's 16 opaque bits
 * @reserved: 0
 * @blob: BLAKE3 of the payload
 */
struct feed_entry_info {
	__u64	seq;
	__u64	time;
	__u64	head_age;
	__u32	len;
	__u16	hops;
	__u16	flags;
	__u16	app_flags;
	__u16	reserved[3];
	__u8	blob[FEED_HASH_LEN];
};

/* feed_append.flags */
#define FEED_APPEND_TIME	0x0001	/* take .time as given, 0 = unstated */
#define FEED_APPEND_EMPTY	0x0002	/* an entry of 0 bytes is meant */

/**
 * struct feed_append - how to append this entry
 * @time: ms since 1970; used with FEED_APPEND_TIME
 * @flags: FEED_APPEND_*; anything else is EINVAL
 * @app_flags: 16 bits that the network keeps and never looks at
 * @reserved: must be 0, else EINVAL
 */
struct feed_append {
	__u64	time;
	__u32	flags;
	__u16	app_flags;
	__u16	reserved;
};

/**
 * struct feed_head - signed statement of a feed's length and root (wire image)
 * @version: 1
 * @name_kind: 0, an Ed25519 key
 * @flags: 1 = FINAL
 * @epoch: 0 = signed by the name key itself
 * @n: number of entries
 * @time: when it was signed, ms since 1970; 0 = unstated
 * @next_by: a newer head is promised by then; 0 = no promise
 * @name: the feed's name
 * @root: root of the tree of @n leaves; zeros when @n is 0
 * @signature: Ed25519
 */
struct feed_head {
	__u8	version;
	__u8	name_kind;
	__le16	flags;
	__le32	epoch;
	__le64	n;
	__le64	time;
	__le64	next_by;
	__u8	name[FEED_KEY_LEN];
	__u8	root[FEED_HASH_LEN];
	__u8	signature[64];
};

#define FEED_HEAD_FINAL		0x0001

/**
 * struct feed_fork - the proof that a feed is forked: whoever holds it can check it
 * @a: the head this node holds
 * @b: the head that contradicts it
 * @proof_len: hashes in @proof; 0 where the heads show it by themselves (two
 *	roots of one length, or entries behind the final head)
 * @reserved: 0
 * @proof: consistency proof from the shorter tree to the longer one: it leads
 *	to the longer one's root, but not to the shorter one's
 */
struct feed_fork {
	struct feed_head a;
	struct feed_head b;
	__u32 proof_len;
	__u32 reserved;
	__u8 proof[FEED_FORK_PROOF_MAX][FEED_HASH_LEN];
};

/**
 * struct feed_info - state and counters of one socket
 * @known: entries known to exist (length of the held head)
 * @next: next entry that recv() or send() will handle
 * @offset: byte in @next where a partly read entry goes on
 * @entries: entries received or sent
 * @bytes: payload bytes received or sent
 * @fetched: entries received that had to come over a link
 * @timeouts: waits that ended in ETIMEDOUT
 * @epoch: epoch of the held head
 * @in_flight: windows asked for and not yet here
 */
struct feed_info {
	__u64	known;
	__u64	next;
	__u64	offset;
	__u64	entries;
	__u64	bytes;
	__u64	fetched;
	__u64	timeouts;
	__u32	epoch;
	__u32	in_flight;
};

#endif /* _UAPI_LINUX_FEED_H */
