/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prototypes for mm/helpers.c; bindgen and the C compiler read the same lines.
 * The helpers that others share are in ../helpers.h.
 */
#ifndef FEED_MM_HELPERS_H
#define FEED_MM_HELPERS_H

#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/types.h>

struct inode;
struct notifier_block;

bool feed_helper_has_large_folios(void);
gfp_t feed_helper_cache_gfp(bool movable);
void feed_helper_inode_set_private_file(struct inode *inode, bool pinned);
struct address_space *feed_helper_inode_mapping(struct inode *inode);
unsigned long feed_helper_inode_cached_pages(const struct inode *inode);
bool feed_helper_folio_trylock(struct folio *folio);
void feed_helper_prefetch_line(const void *at);
size_t feed_helper_folio_size(const struct folio *folio);
pgoff_t feed_helper_folio_index(const struct folio *folio);
unsigned long feed_helper_folio_frame(const struct folio *folio);
bool feed_helper_folio_may_stay(const struct folio *folio);
struct folio *feed_helper_folio_if_at(struct address_space *mapping, pgoff_t index,
				      unsigned long frame);
void feed_helper_prefetch_frame(unsigned long frame, unsigned long offset);
int feed_helper_watch_memory(struct notifier_block *block);
void feed_helper_unwatch_memory(struct notifier_block *block);
struct mem_cgroup *feed_helper_memcg_of_current(void);
void feed_helper_memcg_put(struct mem_cgroup *memcg);
struct mem_cgroup *feed_helper_set_active_memcg(struct mem_cgroup *memcg);
unsigned long feed_helper_totalram_pages(void);
u32 feed_helper_current_euid(void);

#endif
