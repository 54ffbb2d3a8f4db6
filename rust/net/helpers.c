// SPDX-License-Identifier: GPL-2.0
/*
 * C helpers of the network abstractions: inline functions and macros, and the
 * members of struct sk_buff that lie in unnamed unions, whose path through
 * bindgen's output would differ from kernel to kernel.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <net/dst.h>

#include "helpers.h"

/* Locks */

bool feed_helper_spin_trylock_bh(spinlock_t *lock)
{
	return spin_trylock_bh(lock);
}

/* This module */

struct module *feed_helper_this_module(void)
{
	return THIS_MODULE;
}

/* Devices */

void feed_helper_netdev_hold(struct net_device *dev, netdevice_tracker *tracker, gfp_t gfp)
{
	netdev_hold(dev, tracker, gfp);
}

void feed_helper_netdev_put(struct net_device *dev, netdevice_tracker *tracker)
{
	netdev_put(dev, tracker);
}

bool feed_helper_netdev_registered(const struct net_device *dev)
{
	return READ_ONCE(dev->reg_state) == NETREG_REGISTERED;
}

unsigned int feed_helper_ll_reserved_space(const struct net_device *dev)
{
	return LL_RESERVED_SPACE(dev) + READ_ONCE(dev->needed_tailroom);
}

/* Socket buffers */

struct sk_buff *feed_helper_skb_list_pop(struct list_head *head)
{
	struct sk_buff *skb = list_first_entry_or_null(head, struct sk_buff, list);

	if (skb)
		skb_list_del_init(skb);
	return skb;
}

struct net_device *feed_helper_skb_device(const struct sk_buff *skb)
{
	return skb->dev;
}

/* NULL unless a whole Ethernet header stands in front of the data. */
const u8 *feed_helper_skb_eth_hdr(const struct sk_buff *skb)
{
	if (!skb_mac_header_was_set(skb) || skb_mac_offset(skb) > -ETH_HLEN)
		return NULL;
	return skb_mac_header(skb);
}

void feed_helper_skb_address(struct sk_buff *skb, struct net_device *dev, u16 protocol)
{
	skb->dev = dev;
	skb->protocol = htons(protocol);
	skb_reset_network_header(skb);
}

/*
 * The page stays shared with the page cache: SHARED_FRAG makes whoever wants
 * to write into the payload copy it first.
 */
void feed_helper_skb_append_page(struct sk_buff *skb, struct page *page, u32 offset, u32 len)
{
	skb_fill_page_desc(skb, skb_shinfo(skb)->nr_frags, page, offset, len);
	skb_len_add(skb, len);
	skb_shinfo(skb)->flags |= SKBFL_SHARED_FRAG;
}

/*
 * Empties a buffer that was received, so that it is as one that was just
 * allocated, with so much headroom and tailroom. False, and it is as it was, if
 * somebody else may still look at it, or if it is too small or unusual.
 */
bool feed_helper_skb_renew(struct sk_buff *skb, unsigned int headroom, unsigned int room)
{
	bool head_frag = skb->head_frag, pp_recycle = skb->pp_recycle;

	if (skb_shared(skb) || skb_cloned(skb) || skb->fclone != SKB_FCLONE_UNAVAILABLE ||
	    skb->pfmemalloc || skb_zcopy(skb) || skb_has_frag_list(skb) ||
	    skb_end_offset(skb) < headroom + room)
		return false;
	/* Who sent it here gets its memory's charge back, and what is attached goes. */
	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	if (skb_is_nonlinear(skb) && ___pskb_trim(skb, 0))
		return false;
	/* As __alloc_skb() and build_skb() begin: no field of the old frame is left. */
	memset(skb, 0, offsetof(struct sk_buff, tail));
	memset(skb_shinfo(skb), 0, offsetof(struct skb_shared_info, dataref));
	skb->head_frag = head_frag;
	skb->pp_recycle = pp_recycle;
	skb->alloc_cpu = raw_smp_processor_id();
	skb->mac_header = (typeof(skb->mac_header))~0U;
	skb->transport_header = (typeof(skb->transport_header))~0U;
	skb->truesize = SKB_TRUESIZE(skb_end_offset(skb));
	skb->data = skb->head;
	skb_reset_tail_pointer(skb);
	skb_reserve(skb, headroom);
	return true;
}

unsigned int feed_helper_skb_nr_frags(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->nr_frags;
}

struct sk_buff *feed_helper_skb_next(const struct sk_buff *skb)
{
	return skb->next;
}

void feed_helper_skb_set_next(struct sk_buff *skb, struct sk_buff *next)
{
	skb->next = next;
}
