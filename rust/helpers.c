// SPDX-License-Identifier: GPL-2.0
/*
 * C helpers: inline functions and macros of the kernel, as functions that Rust
 * can call. Nothing here decides anything; the prototypes say what is wrapped.
 */
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "helpers.h"

/* Locks and RCU */

/*
 * The class key comes from the caller: every lock declared in Rust has its own
 * static key, as the kernel crate does it, so lockdep can tell them apart.
 */
void feed_helper_spin_lock_init(spinlock_t *lock, const char *name, struct lock_class_key *key)
{
#ifdef CONFIG_DEBUG_SPINLOCK
	__raw_spin_lock_init(spinlock_check(lock), name, key, LD_WAIT_CONFIG);
#else
	spin_lock_init(lock);
#endif
}

void feed_helper_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

void feed_helper_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

void feed_helper_local_bh_disable(void)
{
	local_bh_disable();
}

void feed_helper_local_bh_enable(void)
{
	local_bh_enable();
}

void feed_helper_rcu_read_lock(void)
{
	rcu_read_lock();
}

void feed_helper_rcu_read_unlock(void)
{
	rcu_read_unlock();
}

bool feed_helper_in_softirq(void)
{
	return in_softirq();
}

/* Processors */

unsigned int feed_helper_num_online_cpus(void)
{
	return num_online_cpus();
}

unsigned int feed_helper_nr_cpu_ids(void)
{
	return nr_cpu_ids;
}

bool feed_helper_cpu_possible(unsigned int cpu)
{
	return cpu_possible(cpu);
}

void __percpu *feed_helper_alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp)
{
	return __alloc_percpu_gfp(size, align, gfp);
}

void feed_helper_free_percpu(void __percpu *memory)
{
	free_percpu(memory);
}

/* The form without protection: the caller has softirqs off. */
void feed_helper_this_cpu_add(u64 __percpu *counter, u64 more)
{
	__this_cpu_add(*counter, more);
}

u64 *feed_helper_per_cpu_ptr(u64 __percpu *counter, unsigned int cpu)
{
	return per_cpu_ptr(counter, cpu);
}

/* The caller has softirqs off. */
void *feed_helper_this_cpu_ptr(void __percpu *memory)
{
	return this_cpu_ptr(memory);
}

/* Namespaces and capabilities */

struct net *feed_helper_get_net(struct net *net)
{
	return get_net(net);
}

void feed_helper_put_net(struct net *net)
{
	put_net(net);
}

struct net *feed_helper_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

struct net *feed_helper_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

void *feed_helper_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

bool feed_helper_net_eq(const struct net *a, const struct net *b)
{
	return net_eq(a, b);
}

struct net *feed_helper_genl_info_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

/* Devices */

/*
 * The tracker-less forms: a tracker is a member of the holder's struct, which
 * Rust's own device reference does not have.
 */
void feed_helper_dev_hold(struct net_device *dev)
{
	dev_hold(dev);
}

void feed_helper_dev_put(struct net_device *dev)
{
	dev_put(dev);
}

bool feed_helper_netif_running(const struct net_device *dev)
{
	return netif_running(dev);
}

bool feed_helper_netif_carrier_ok(const struct net_device *dev)
{
	return netif_carrier_ok(dev);
}

int feed_helper_dev_hard_header(struct sk_buff *skb, struct net_device *dev, unsigned short type,
				const void *daddr, const void *saddr, unsigned int len)
{
	return dev_hard_header(skb, dev, type, daddr, saddr, len);
}

int feed_helper_dev_queue_xmit(struct sk_buff *skb)
{
	return dev_queue_xmit(skb);
}

/* Socket buffers */

struct sk_buff *feed_helper_alloc_skb(unsigned int size, gfp_t priority)
{
	return alloc_skb(size, priority);
}

struct sk_buff *feed_helper_skb_share_check(struct sk_buff *skb, gfp_t priority)
{
	return skb_share_check(skb, priority);
}

bool feed_helper_pskb_may_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len);
}

int feed_helper_pskb_trim(struct sk_buff *skb, unsigned int len)
{
	return pskb_trim(skb, len);
}

struct skb_shared_info *feed_helper_skb_shinfo(const struct sk_buff *skb)
{
	return skb_shinfo(skb);
}

void feed_helper_skb_reserve(struct sk_buff *skb, int len)
{
	skb_reserve(skb, len);
}

void feed_helper_skb_reset_mac_header(struct sk_buff *skb)
{
	skb_reset_mac_header(skb);
}

void feed_helper_skb_reset_network_header(struct sk_buff *skb)
{
	skb_reset_network_header(skb);
}

unsigned char *feed_helper_skb_mac_header(const struct sk_buff *skb)
{
	return skb_mac_header(skb);
}

unsigned int feed_helper_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

unsigned int feed_helper_skb_tailroom(const struct sk_buff *skb)
{
	return skb_tailroom(skb);
}

void *feed_helper_skb_put_zero(struct sk_buff *skb, unsigned int len)
{
	return skb_put_zero(skb, len);
}

void feed_helper_skb_fill_page_desc(struct sk_buff *skb, int i, struct page *page, int off, int size)
{
	skb_fill_page_desc(skb, i, page, off, size);
}

void feed_helper_skb_set_hash(struct sk_buff *skb, u32 hash, enum pkt_hash_types type)
{
	skb_set_hash(skb, hash, type);
}

/*
 * Members of struct sk_buff that stand in an unnamed union or in a bit field,
 * which Rust reaches only by names that bindgen numbers.
 */
u32 feed_helper_skb_hash_value(const struct sk_buff *skb)
{
	return skb->hash;
}

__be16 feed_helper_skb_protocol(const struct sk_buff *skb)
{
	return skb->protocol;
}

void feed_helper_skb_set_protocol(struct sk_buff *skb, __be16 protocol)
{
	skb->protocol = protocol;
}

void feed_helper_skb_set_priority(struct sk_buff *skb, u32 priority)
{
	skb->priority = priority;
}

u8 feed_helper_skb_pkt_type(const struct sk_buff *skb)
{
	return skb->pkt_type;
}

int feed_helper_skb_iif(const struct sk_buff *skb)
{
	return skb->skb_iif;
}

bool feed_helper_skb_vlan_tag_present(const struct sk_buff *skb)
{
	return skb_vlan_tag_present(skb);
}

void feed_helper_kfree_skb_reason(struct sk_buff *skb, enum skb_drop_reason reason)
{
	kfree_skb_reason(skb, reason);
}

/* Sockets */

void feed_helper_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void feed_helper_sock_put(struct sock *sk)
{
	sock_put(sk);
}

void feed_helper_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

void feed_helper_sock_graft(struct sock *sk, struct socket *parent)
{
	sock_graft(sk, parent);
}

void feed_helper_poll_wait(struct file *file, wait_queue_head_t *head, poll_table *table)
{
	poll_wait(file, head, table);
}

void feed_helper_sock_poll_wait(struct file *file, struct socket *sock, poll_table *table)
{
	sock_poll_wait(file, sock, table);
}

long feed_helper_sock_rcvtimeo(const struct sock *sk, bool noblock)
{
	return sock_rcvtimeo(sk, noblock);
}

long feed_helper_sock_sndtimeo(const struct sock *sk, bool noblock)
{
	return sock_sndtimeo(sk, noblock);
}

bool feed_helper_signal_pending_current(void)
{
	return signal_pending(current);
}

int feed_helper_sock_intr_errno(long timeo)
{
	return sock_intr_errno(timeo);
}

/* Page cache */

struct folio *feed_helper_filemap_get_folio(struct address_space *mapping, pgoff_t index)
{
	return filemap_get_folio(mapping, index);
}

struct folio *feed_helper_filemap_alloc_folio(gfp_t gfp, unsigned int order)
{
	return filemap_alloc_folio(gfp, order, NULL);
}

void feed_helper_folio_get(struct folio *folio)
{
	folio_get(folio);
}

void feed_helper_folio_put(struct folio *folio)
{
	folio_put(folio);
}

void feed_helper_folio_mark_uptodate(struct folio *folio)
{
	folio_mark_uptodate(folio);
}

bool feed_helper_folio_test_uptodate(const struct folio *folio)
{
	return folio_test_uptodate(folio);
}

void *feed_helper_folio_address(const struct folio *folio)
{
	return folio_address(folio);
}

unsigned int feed_helper_folio_order(const struct folio *folio)
{
	return folio_order(folio);
}

struct page *feed_helper_folio_page(struct folio *folio, unsigned long n)
{
	return folio_page(folio, n);
}

struct page *feed_helper_virt_to_page(const void *address)
{
	return virt_to_page(address);
}

void feed_helper_get_page(struct page *page)
{
	get_page(page);
}

void feed_helper_put_page(struct page *page)
{
	put_page(page);
}

/* Netlink */

struct sk_buff *feed_helper_genlmsg_new(size_t payload, gfp_t flags)
{
	return genlmsg_new(payload, flags);
}

void feed_helper_genlmsg_end(struct sk_buff *skb, void *header)
{
	genlmsg_end(skb, header);
}

void feed_helper_genlmsg_cancel(struct sk_buff *skb, void *header)
{
	genlmsg_cancel(skb, header);
}

int feed_helper_genlmsg_reply(struct sk_buff *skb, struct genl_info *info)
{
	return genlmsg_reply(skb, info);
}

int feed_helper_nla_len(const struct nlattr *attribute)
{
	return nla_len(attribute);
}

void *feed_helper_nla_data(const struct nlattr *attribute)
{
	return nla_data(attribute);
}

struct nlattr *feed_helper_nla_nest_start(struct sk_buff *skb, int type)
{
	return nla_nest_start(skb, type);
}

int feed_helper_nla_nest_end(struct sk_buff *skb, struct nlattr *start)
{
	return nla_nest_end(skb, start);
}

void feed_helper_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start)
{
	nla_nest_cancel(skb, start);
}

/* Memory */

void *feed_helper_kzalloc(size_t size, gfp_t flags)
{
	return kzalloc(size, flags);
}

void *feed_helper_kvzalloc(size_t size, gfp_t flags)
{
	return kvzalloc(size, flags);
}

void feed_helper_memzero_explicit(void *at, size_t size)
{
	memzero_explicit(at, size);
}
