/* SPDX-License-Identifier: GPL-2.0 */
/* Prototypes for net/helpers.c; bindgen and the C compiler read the same lines. */
#ifndef FEED_NET_HELPERS_H
#define FEED_NET_HELPERS_H

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>

/* Locks */
bool feed_helper_spin_trylock_bh(spinlock_t *lock);

/* This module */
struct module *feed_helper_this_module(void);

/* Devices */
void feed_helper_netdev_hold(struct net_device *dev, netdevice_tracker *tracker, gfp_t gfp);
void feed_helper_netdev_put(struct net_device *dev, netdevice_tracker *tracker);
bool feed_helper_netdev_registered(const struct net_device *dev);
unsigned int feed_helper_ll_reserved_space(const struct net_device *dev);
bool feed_helper_netdev_takes_uncut(const struct net_device *dev);

/* Socket buffers: members that lie in unnamed unions */
struct sk_buff *feed_helper_skb_list_pop(struct list_head *head);
struct net_device *feed_helper_skb_device(const struct sk_buff *skb);
const u8 *feed_helper_skb_eth_hdr(const struct sk_buff *skb);
void feed_helper_skb_address(struct sk_buff *skb, struct net_device *dev, u16 protocol);
void feed_helper_skb_append_page(struct sk_buff *skb, struct page *page, u32 offset, u32 len);
void feed_helper_skb_allow_cut(struct sk_buff *skb, unsigned int head, unsigned int piece,
				unsigned int each);
void feed_helper_skb_says_no_sum(struct sk_buff *skb);
bool feed_helper_skb_may_be_cut(const struct sk_buff *skb);
unsigned int feed_helper_skb_link_header_len(const struct sk_buff *skb);
void feed_helper_skb_take_out(struct sk_buff *skb, unsigned int at, unsigned int len);
netdev_features_t feed_helper_cut_features(netdev_features_t features);
void feed_helper_skb_finish_piece(struct sk_buff *skb, unsigned int link);
bool feed_helper_skb_renew(struct sk_buff *skb, unsigned int headroom, unsigned int room);
unsigned int feed_helper_skb_nr_frags(const struct sk_buff *skb);
struct sk_buff *feed_helper_skb_next(const struct sk_buff *skb);
void feed_helper_skb_set_next(struct sk_buff *skb, struct sk_buff *next);

#endif
