/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prototypes of the C helpers: bindgen and the C compiler read the same lines.
 *
 * A helper is here only when Rust cannot say it: an inline function or a macro
 * of the kernel. It has the kernel's name behind "feed_helper_"; Rust code sees
 * the name alone. (The prefix of the kernel's own helpers, "rust_helper_", is
 * taken by symbols that the kernel exports.)
 */
#ifndef FEED_HELPERS_H
#define FEED_HELPERS_H

#include <linux/etherdevice.h>
#include <linux/file.h>
#include <linux/if_vlan.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/sock.h>

/* Locks and RCU */
void feed_helper_spin_lock_init(spinlock_t *lock, const char *name, struct lock_class_key *key);
void feed_helper_spin_lock_bh(spinlock_t *lock);
void feed_helper_spin_unlock_bh(spinlock_t *lock);
void feed_helper_local_bh_disable(void);
void feed_helper_local_bh_enable(void);
void feed_helper_rcu_read_lock(void);
void feed_helper_rcu_read_unlock(void);
bool feed_helper_in_softirq(void);

/* Processors */
unsigned int feed_helper_num_online_cpus(void);
unsigned int feed_helper_nr_cpu_ids(void);
bool feed_helper_cpu_possible(unsigned int cpu);
void __percpu *feed_helper_alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp);
void feed_helper_free_percpu(void __percpu *memory);
void feed_helper_this_cpu_add(u64 __percpu *counter, u64 more);
u64 *feed_helper_per_cpu_ptr(u64 __percpu *counter, unsigned int cpu);
void *feed_helper_this_cpu_ptr(void __percpu *memory);

/* Namespaces and capabilities */
struct net *feed_helper_get_net(struct net *net);
void feed_helper_put_net(struct net *net);
struct net *feed_helper_sock_net(const struct sock *sk);
struct net *feed_helper_dev_net(const struct net_device *dev);
void *feed_helper_net_generic(const struct net *net, unsigned int id);
bool feed_helper_net_eq(const struct net *a, const struct net *b);
struct net *feed_helper_genl_info_net(const struct genl_info *info);

/* Devices */
void feed_helper_dev_hold(struct net_device *dev);
void feed_helper_dev_put(struct net_device *dev);
bool feed_helper_netif_running(const struct net_device *dev);
bool feed_helper_netif_carrier_ok(const struct net_device *dev);
int feed_helper_dev_hard_header(struct sk_buff *skb, struct net_device *dev, unsigned short type,
				const void *daddr, const void *saddr, unsigned int len);
int feed_helper_dev_queue_xmit(struct sk_buff *skb);

/* Socket buffers */
struct sk_buff *feed_helper_alloc_skb(unsigned int size, gfp_t priority);
struct sk_buff *feed_helper_skb_share_check(struct sk_buff *skb, gfp_t priority);
bool feed_helper_pskb_may_pull(struct sk_buff *skb, unsigned int len);
int feed_helper_pskb_trim(struct sk_buff *skb, unsigned int len);
struct skb_shared_info *feed_helper_skb_shinfo(const struct sk_buff *skb);
void feed_helper_skb_reserve(struct sk_buff *skb, int len);
void feed_helper_skb_reset_mac_header(struct sk_buff *skb);
void feed_helper_skb_reset_network_header(struct sk_buff *skb);
unsigned char *feed_helper_skb_mac_header(const struct sk_buff *skb);
unsigned int feed_helper_skb_headlen(const struct sk_buff *skb);
unsigned int feed_helper_skb_tailroom(const struct sk_buff *skb);
void *feed_helper_skb_put_zero(struct sk_buff *skb, unsigned int len);
void feed_helper_skb_fill_page_desc(struct sk_buff *skb, int i, struct page *page, int off, int size);
void feed_helper_skb_set_hash(struct sk_buff *skb, u32 hash, enum pkt_hash_types type);
u32 feed_helper_skb_hash_value(const struct sk_buff *skb);
__be16 feed_helper_skb_protocol(const struct sk_buff *skb);
void feed_helper_skb_set_protocol(struct sk_buff *skb, __be16 protocol);
void feed_helper_skb_set_priority(struct sk_buff *skb, u32 priority);
u8 feed_helper_skb_pkt_type(const struct sk_buff *skb);
int feed_helper_skb_iif(const struct sk_buff *skb);
bool feed_helper_skb_vlan_tag_present(const struct sk_buff *skb);
void feed_helper_kfree_skb_reason(struct sk_buff *skb, enum skb_drop_reason reason);

/* Sockets */
void feed_helper_sock_hold(struct sock *sk);
void feed_helper_sock_put(struct sock *sk);
void feed_helper_lock_sock(struct sock *sk);
void feed_helper_sock_graft(struct sock *sk, struct socket *parent);
void feed_helper_poll_wait(struct file *file, wait_queue_head_t *head, poll_table *table);
void feed_helper_sock_poll_wait(struct file *file, struct socket *sock, poll_table *table);
long feed_helper_sock_rcvtimeo(const struct sock *sk, bool noblock);
long feed_helper_sock_sndtimeo(const struct sock *sk, bool noblock);
bool feed_helper_signal_pending_current(void);
int feed_helper_sock_intr_errno(long timeo);

/* Page cache */
struct folio *feed_helper_filemap_get_folio(struct address_space *mapping, pgoff_t index);
struct folio *feed_helper_filemap_alloc_folio(gfp_t gfp, unsigned int order);
void feed_helper_folio_get(struct folio *folio);
void feed_helper_folio_put(struct folio *folio);
void feed_helper_folio_mark_uptodate(struct folio *folio);
bool feed_helper_folio_test_uptodate(const struct folio *folio);
void *feed_helper_folio_address(const struct folio *folio);
unsigned int feed_helper_folio_order(const struct folio *folio);
struct page *feed_helper_folio_page(struct folio *folio, unsigned long n);
struct page *feed_helper_virt_to_page(const void *address);
void feed_helper_get_page(struct page *page);
void feed_helper_put_page(struct page *page);

/* Netlink */
struct sk_buff *feed_helper_genlmsg_new(size_t payload, gfp_t flags);
void feed_helper_genlmsg_end(struct sk_buff *skb, void *header);
void feed_helper_genlmsg_cancel(struct sk_buff *skb, void *header);
int feed_helper_genlmsg_reply(struct sk_buff *skb, struct genl_info *info);
int feed_helper_nla_len(const struct nlattr *attribute);
void *feed_helper_nla_data(const struct nlattr *attribute);
struct nlattr *feed_helper_nla_nest_start(struct sk_buff *skb, int type);
int feed_helper_nla_nest_end(struct sk_buff *skb, struct nlattr *start);
void feed_helper_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start);

/* Memory */
void *feed_helper_kzalloc(size_t size, gfp_t flags);
void *feed_helper_kvzalloc(size_t size, gfp_t flags);
void feed_helper_memzero_explicit(void *at, size_t size);

#endif
