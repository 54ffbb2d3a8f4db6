// SPDX-License-Identifier: GPL-2.0
/*
 * What Rust cannot say about the page cache and memory control groups: inline
 * functions, macros and bit fields of the kernel, one each.
 */
#include <linux/prefetch.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/stat.h>

#include "helpers.h"

bool feed_helper_has_large_folios(void)
{
	return IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE);
}

/*
 * Folios that may be reclaimed may be moved as well: they can be in memory that
 * is set aside for such, as any page cache, where the kernel sees all memory.
 * Those that we hold for good would only get in the way.
 */
gfp_t feed_helper_cache_gfp(bool movable)
{
	gfp_t everywhere = IS_ENABLED(CONFIG_HIGHMEM) ? 0 : __GFP_HIGHMEM;

	return movable ? GFP_USER | __GFP_MOVABLE | everywhere : GFP_USER;
}

/* A regular file that nobody can open. Called before its first folio. */
void feed_helper_inode_set_private_file(struct inode *inode, bool pinned)
{
	inode->i_mode = S_IFREG;
	inode->i_flags |= S_PRIVATE;
	mapping_set_large_folios(inode->i_mapping);
	/* Spares reclaim the scanning of what it cannot have. */
	if (pinned)
		mapping_set_unevictable(inode->i_mapping);
}

struct address_space *feed_helper_inode_mapping(struct inode *inode)
{
	return inode->i_mapping;
}

unsigned long feed_helper_inode_cached_pages(const struct inode *inode)
{
	return READ_ONCE(inode->i_mapping->nrpages);
}

bool feed_helper_folio_trylock(struct folio *folio)
{
	return folio_trylock(folio);
}

void feed_helper_prefetch_line(const void *at)
{
	prefetch(at);
}

size_t feed_helper_folio_size(const struct folio *folio)
{
	return folio_size(folio);
}

pgoff_t feed_helper_folio_index(const struct folio *folio)
{
	return folio->index;
}

unsigned long feed_helper_folio_frame(const struct folio *folio)
{
	return folio_pfn(folio);
}

/*
 * Whether somebody may hold it for as long as he likes: not if it lies in
 * memory that is set aside for what can be moved. As
 * folio_is_longterm_pinnable(), which asks for memory of CMA, too, by a function
 * that modules do not have.
 */
bool feed_helper_folio_may_stay(const struct folio *folio)
{
	return !folio_is_zone_movable(folio);
}

/*
 * The folio of a mapping's page if it begins at this frame of memory, with a
 * reference. As filemap_get_entry(), which has the folio from a tree and asks
 * the tree again: a folio that was removed, or moved, has lost its mapping. It
 * is asked before, too, or folios of others would be held for a moment.
 *
 * Unlike what a tree says, the folio may be one that is just being added at
 * another index: it has its mapping before its index, and until then the index
 * of what the memory was before. It is not uptodate until it has both.
 *
 * Until the end of the RCU section the struct page stays, see Followers.
 */
struct folio *feed_helper_folio_if_at(struct address_space *mapping, pgoff_t index,
				      unsigned long frame)
{
	struct folio *folio;

	rcu_read_lock();
	folio = (struct folio *)pfn_to_online_page(frame);
	if (!folio || READ_ONCE(folio->mapping) != mapping || !folio_try_get(folio)) {
		folio = NULL;
	} else if (!folio_test_uptodate(folio) || READ_ONCE(folio->mapping) != mapping ||
		   index - folio->index >= folio_nr_pages(folio)) {
		folio_put(folio);
		folio = NULL;
	}
	rcu_read_unlock();
	return folio;
}

void feed_helper_prefetch_frame(unsigned long frame, unsigned long offset)
{
	const struct page *page;

	rcu_read_lock();
	page = pfn_to_online_page(frame);
	if (page) {
		prefetch(page);
		prefetch(page_address(page) + offset);
	}
	rcu_read_unlock();
}

int feed_helper_watch_memory(struct notifier_block *block)
{
	return register_memory_notifier(block);
}

void feed_helper_unwatch_memory(struct notifier_block *block)
{
	unregister_memory_notifier(block);
}

struct mem_cgroup *feed_helper_memcg_of_current(void)
{
	return get_mem_cgroup_from_mm(current->mm);
}

void feed_helper_memcg_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}

struct mem_cgroup *feed_helper_set_active_memcg(struct mem_cgroup *memcg)
{
	return set_active_memcg(memcg);
}

unsigned long feed_helper_totalram_pages(void)
{
	return totalram_pages();
}

u32 feed_helper_current_euid(void)
{
	return from_kuid(&init_user_ns, current_euid());
}
