/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Input of our own bindgen run. The kernel's bindings crate is meant for the
 * kernel crate alone, and lacks most of networking and the page cache. What
 * becomes Rust is decided by the list in "items" beside this file.
 *
 * FEED_CONST_X becomes the Rust constant X: bindgen reads plain integer macros
 * only, not casts or expressions.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/hrtimer.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_vlan.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/key.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/poll.h>
#include <linux/pseudo_fs.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/rtnetlink.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/shrinker.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/sock_diag.h>
#include <linux/socket.h>
#include <linux/sockptr.h>
#include <linux/spinlock.h>
#include <linux/splice.h>
#include <linux/swap.h>
#include <linux/timekeeping.h>
#include <linux/timer.h>
#include <linux/uio.h>
#include <linux/user_namespace.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
#include <net/gso.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/netns/generic.h>
#include <net/scm.h>
#include <net/sock.h>

#ifdef CONFIG_X86
#include <asm/fpu/api.h>
#endif

#include <linux/feed_netlink.h>

#include <linux/feed.h>

#include "../helpers.h"
#include "../net/sock_helpers.h"
#include "../params.h"
#include "../trace.h"
#include "../net/helpers.h"
#include "../mm/helpers.h"
#include "../simd/fpu.h"

const gfp_t FEED_CONST_GFP_ATOMIC = GFP_ATOMIC;
const gfp_t FEED_CONST_GFP_KERNEL = GFP_KERNEL;
const gfp_t FEED_CONST_GFP_KERNEL_ACCOUNT = GFP_KERNEL_ACCOUNT;
const gfp_t FEED_CONST_GFP_NOWAIT = GFP_NOWAIT;
const gfp_t FEED_CONST___GFP_ZERO = __GFP_ZERO;
const gfp_t FEED_CONST___GFP_NOWARN = __GFP_NOWARN;
const gfp_t FEED_CONST___GFP_NORETRY = __GFP_NORETRY;
const gfp_t FEED_CONST___GFP_ACCOUNT = __GFP_ACCOUNT;
const unsigned int FEED_CONST_WQ_BH = WQ_BH;
const unsigned int FEED_CONST_WQ_UNBOUND = WQ_UNBOUND;
const unsigned int FEED_CONST_WQ_PERCPU = WQ_PERCPU;
const unsigned int FEED_CONST_WQ_MEM_RECLAIM = WQ_MEM_RECLAIM;
const unsigned long FEED_CONST_PAGE_SIZE = PAGE_SIZE;
const unsigned int FEED_CONST_PAGE_SHIFT = PAGE_SHIFT;
const unsigned int FEED_CONST_HZ = HZ;
const __poll_t FEED_CONST_EPOLLIN = EPOLLIN;
const __poll_t FEED_CONST_EPOLLOUT = EPOLLOUT;
const __poll_t FEED_CONST_EPOLLERR = EPOLLERR;
const __poll_t FEED_CONST_EPOLLHUP = EPOLLHUP;
const __poll_t FEED_CONST_EPOLLRDHUP = EPOLLRDHUP;
const __poll_t FEED_CONST_EPOLLPRI = EPOLLPRI;
const __poll_t FEED_CONST_EPOLLRDNORM = EPOLLRDNORM;
const __poll_t FEED_CONST_EPOLLWRNORM = EPOLLWRNORM;
const unsigned int FEED_CONST_MEM_GOING_OFFLINE = MEM_GOING_OFFLINE;
const unsigned int FEED_CONST_MEM_OFFLINE = MEM_OFFLINE;
const long FEED_CONST_MAX_SCHEDULE_TIMEOUT = MAX_SCHEDULE_TIMEOUT;
const bool FEED_CONST_TRANSPARENT_HUGEPAGE = IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE);
