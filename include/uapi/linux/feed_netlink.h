/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The genetlink family "feed". Made from include/feed.yaml by the kernel's own
 * generator (tools/net/ynl): change that file, then make this one again as
 * CONTRIBUTING.md says.
 */

#ifndef _UAPI_LINUX_FEED_NETLINK_H
#define _UAPI_LINUX_FEED_NETLINK_H

#define FEED_FAMILY_NAME	"feed"
#define FEED_FAMILY_VERSION	1

#define FEED_NAME_LEN		32
#define FEED_MAC_LEN		6
#define FEED_PORT_MTU_MIN	1280

/**
 * enum feed_role - What the node answers to others.
 * @FEED_ROLE_HOST: Answers only from feeds that it authors or was told to
 *   share.
 * @FEED_ROLE_CACHE: Answers from everything in its store, and passes lookups
 *   on.
 */
enum feed_role {
	FEED_ROLE_HOST,
	FEED_ROLE_CACHE,
};

/**
 * enum feed_port_flags - State of a port.
 * @FEED_PORT_FLAGS_UP: Frames can leave and arrive.
 */
enum feed_port_flags {
	FEED_PORT_FLAGS_UP = 1,
};

/**
 * enum feed_route_flags - State of a route.
 * @FEED_ROUTE_FLAGS_DEMOTED: Tried last for a while, because it refused or did
 *   not answer.
 */
enum feed_route_flags {
	FEED_ROUTE_FLAGS_DEMOTED = 1,
};

/**
 * enum feed_feed_flags - What is known of a feed.
 * @FEED_FEED_FLAGS_OWN: A socket here is or was its author; its data is
 *   pinned.
 * @FEED_FEED_FLAGS_SHARED: A host serves it to others.
 * @FEED_FEED_FLAGS_FORKED: Two heads are held that exclude each other.
 * @FEED_FEED_FLAGS_FINAL: Its author has closed it.
 */
enum feed_feed_flags {
	FEED_FEED_FLAGS_OWN = 1,
	FEED_FEED_FLAGS_SHARED = 2,
	FEED_FEED_FLAGS_FORKED = 4,
	FEED_FEED_FLAGS_FINAL = 8,
};

/**
 * enum feed_counter_kind - What a counter counts.
 * @FEED_COUNTER_KIND_EVENT: Something that went as it should.
 * @FEED_COUNTER_KIND_DROP: Something that was dropped; its name is the reason.
 */
enum feed_counter_kind {
	FEED_COUNTER_KIND_EVENT,
	FEED_COUNTER_KIND_DROP,
};

enum {
	FEED_A_PORT_IFINDEX = 1,
	FEED_A_PORT_IFNAME,
	FEED_A_PORT_MAC,
	FEED_A_PORT_MTU,
	FEED_A_PORT_FLAGS,
	FEED_A_PORT_RX_FRAMES,
	FEED_A_PORT_RX_BYTES,
	FEED_A_PORT_RX_DROPS,
	FEED_A_PORT_TX_FRAMES,
	FEED_A_PORT_TX_BYTES,
	FEED_A_PORT_TX_DROPS,

	__FEED_A_PORT_MAX,
	FEED_A_PORT_MAX = (__FEED_A_PORT_MAX - 1)
};

enum {
	FEED_A_ROUTE_ID = 1,
	FEED_A_ROUTE_NAME,
	FEED_A_ROUTE_IFINDEX,
	FEED_A_ROUTE_MAC,
	FEED_A_ROUTE_COST,
	FEED_A_ROUTE_FLAGS,

	__FEED_A_ROUTE_MAX,
	FEED_A_ROUTE_MAX = (__FEED_A_ROUTE_MAX - 1)
};

enum {
	FEED_A_NODE_ROLE = 1,
	FEED_A_NODE_FAMILY,
	FEED_A_NODE_ETHERTYPE,
	FEED_A_NODE_GROUP,

	__FEED_A_NODE_MAX,
	FEED_A_NODE_MAX = (__FEED_A_NODE_MAX - 1)
};

enum {
	FEED_A_STORE_LIMIT = 1,
	FEED_A_STORE_CAP,
	FEED_A_STORE_USED,
	FEED_A_STORE_LIVE,
	FEED_A_STORE_PINNED,
	FEED_A_STORE_RESIDENT,
	FEED_A_STORE_INDEX,
	FEED_A_STORE_SEGMENTS,
	FEED_A_STORE_ENTRIES,
	FEED_A_STORE_EVICTED,
	FEED_A_STORE_RECLAIMED,
	FEED_A_STORE_RESCUED,
	FEED_A_STORE_REFUSED,
	FEED_A_STORE_HITS,
	FEED_A_STORE_MISSES,

	__FEED_A_STORE_MAX,
	FEED_A_STORE_MAX = (__FEED_A_STORE_MAX - 1)
};

enum {
	FEED_A_ID = 1,
	FEED_A_NAME,
	FEED_A_EPOCH,
	FEED_A_LENGTH,
	FEED_A_TIME,
	FEED_A_NEXT_BY,
	FEED_A_AGE,
	FEED_A_HOPS,
	FEED_A_FLAGS,
	FEED_A_SOCKETS,

	__FEED_A_MAX,
	FEED_A_MAX = (__FEED_A_MAX - 1)
};

enum {
	FEED_A_COUNTER_NAME = 1,
	FEED_A_COUNTER_KIND,
	FEED_A_COUNTER_VALUE,

	__FEED_A_COUNTER_MAX,
	FEED_A_COUNTER_MAX = (__FEED_A_COUNTER_MAX - 1)
};

enum {
	FEED_CMD_PORT_ADD = 1,
	FEED_CMD_PORT_DEL,
	FEED_CMD_PORT_GET,
	FEED_CMD_ROUTE_ADD,
	FEED_CMD_ROUTE_DEL,
	FEED_CMD_ROUTE_GET,
	FEED_CMD_NODE_GET,
	FEED_CMD_ROLE_SET,
	FEED_CMD_SHARE_ADD,
	FEED_CMD_SHARE_DEL,
	FEED_CMD_FEED_GET,
	FEED_CMD_STORE_GET,
	FEED_CMD_STORE_SET,
	FEED_CMD_STORE_FLUSH,
	FEED_CMD_STATS_GET,

	__FEED_CMD_MAX,
	FEED_CMD_MAX = (__FEED_CMD_MAX - 1)
};

#endif /* _UAPI_LINUX_FEED_NETLINK_H */
