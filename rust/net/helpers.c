// SPDX-License-Identifier: GPL-2.0
/*
 * C helpers of the network abstractions: inline functions and macros, and the
 * members of struct sk_buff that lie in unnamed unions, whose path through
 * bindgen's output would differ from kernel to kernel.
 */
#include <linux/etherdevice.h>
#include <linux/netdev_features.h>
#include <linux/module.h>
#include <net/dst.h>
#include <net/gso.h>

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

/*
 * There is no kind of long buffer for protocols that the kernel does not know.
 * That of SCTP is one that only devices of this machine take, which look at
 * none of it (ethtool's tx-sctp-segmentation); and the stack, which asks by
 * EtherType how to cut. SKB_GSO_FRAGLIST would do too, but skb_copy() warns of
 * it.
 */
#define FEED_GSO_TYPE SKB_GSO_SCTP

/* Who cannot take pages would have all of a window copied to one buffer. */
bool feed_helper_netdev_takes_uncut(const struct net_device *dev)
{
	const netdev_features_t wanted = NETIF_F_GSO_SCTP | NETIF_F_SG;

	return (READ_ONCE(dev->features) & wanted) == wanted;
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
 * Has a frame cut into pieces of so many bytes behind the head in front of a
 * device that does not take it as it is. Queues count what comes before the
 * transport header once for each of them: that is what each further one has.
 * There is nothing to be summed up; said so often that it still holds behind
 * all the tunnels whose ends count down what was said.
 */
void feed_helper_skb_allow_cut(struct sk_buff *skb, unsigned int head, unsigned int piece,
			       unsigned int each)
{
	struct skb_shared_info *info = skb_shinfo(skb);

	skb_set_transport_header(skb, each);
	info->gso_size = piece;
	info->gso_segs = DIV_ROUND_UP(skb->len - head, piece);
	info->gso_type = FEED_GSO_TYPE;
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	skb->csum_level = SKB_MAX_CSUM_LEVEL;
}

void feed_helper_skb_says_no_sum(struct sk_buff *skb)
{
	skb->ip_summed = CHECKSUM_UNNECESSARY;
}

bool feed_helper_skb_may_be_cut(const struct sk_buff *skb)
{
	const struct skb_shared_info *info = skb_shinfo(skb);

	return (info->gso_type & (FEED_GSO_TYPE | SKB_GSO_DODGY)) == FEED_GSO_TYPE &&
	       !info->frag_list && info->gso_size && info->gso_size != GSO_BY_FRAGS;
}

/* Of a buffer whose data begin behind that header. */
unsigned int feed_helper_skb_link_header_len(const struct sk_buff *skb)
{
	return skb->data - skb_mac_header(skb);
}

/* Takes bytes out of the linear part. */
void feed_helper_skb_take_out(struct sk_buff *skb, unsigned int at, unsigned int len)
{
	u8 *to = skb->data + at;

	memmove(to, to + len, skb_headlen(skb) - at - len);
	skb->tail -= len;
	skb->len -= len;
}

/*
 * Pieces are not summed up, by the device or by the stack, and there is no
 * device that is to get some of them together.
 */
netdev_features_t feed_helper_cut_features(netdev_features_t features)
{
	return (features | NETIF_F_HW_CSUM) & ~NETIF_F_GSO_PARTIAL;
}

/*
 * Makes of a piece, whose bytes have their place, a frame as any of ours, of
 * which nothing is said. Around it there may be a tunnel's header with a sum of
 * all behind it: who cuts for the tunnel finds what the piece adds to that
 * where skb_segment() leaves it when it sums up.
 */
void feed_helper_skb_finish_piece(struct sk_buff *skb, unsigned int link)
{
	skb->ip_summed = CHECKSUM_NONE;
	skb->csum_level = 0;
	if (skb->encap_hdr_csum) {
		SKB_GSO_CB(skb)->csum = skb_checksum(skb, link, skb->len - link, 0);
		SKB_GSO_CB(skb)->csum_start = skb_headroom(skb) + link;
	}
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
