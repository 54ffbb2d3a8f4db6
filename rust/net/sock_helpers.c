// SPDX-License-Identifier: GPL-2.0
/*
 * What Rust cannot say about sockets: inline functions and macros of net/sock.h,
 * linux/sockptr.h, linux/uaccess.h. One call each, no logic of ours but the
 * getsockopt() convention.
 */
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/sockptr.h>
#include <linux/splice.h>
#include <linux/pipe_fs_i.h>
#include <linux/uaccess.h>
#include <net/sock.h>

#include "sock_helpers.h"

struct net *feed_sock_net(struct sock *sk)
{
	return sock_net(sk);
}

static u64 timeo_ms(long timeo)
{
	/* jiffies_to_msecs() has 32 bits. */
	return timeo == MAX_SCHEDULE_TIMEOUT ? U64_MAX :
	       div_u64((u64)timeo * MSEC_PER_SEC, HZ);
}

u64 feed_sock_rcvtimeo_ms(struct sock *sk)
{
	return timeo_ms(READ_ONCE(sk->sk_rcvtimeo));
}

u64 feed_sock_sndtimeo_ms(struct sock *sk)
{
	return timeo_ms(READ_ONCE(sk->sk_sndtimeo));
}

int feed_sock_error(struct sock *sk)
{
	return sock_error(sk);
}

void feed_sock_poll_wait(struct file *file, struct socket *sock,
			 struct poll_table_struct *table)
{
	sock_poll_wait(file, sock, table);
}

struct wait_queue_head *feed_sock_sleep(struct sock *sk)
{
	return sk_sleep(sk);
}

void feed_sock_state_change(struct sock *sk)
{
	sk->sk_state_change(sk);
}

int feed_copy_from_sockptr(void *to, sockptr_t from, size_t len)
{
	return copy_from_sockptr(to, from, len) ? -EFAULT : 0;
}

int feed_put_sockopt(void __user *value, int __user *len, const void *from, size_t bytes)
{
	int room;

	if (get_user(room, len))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	room = min_t(size_t, room, bytes);
	if (put_user(room, len) || copy_to_user(value, from, room))
		return -EFAULT;
	return 0;
}

void *feed_msg_control(struct msghdr *msg)
{
	return msg->msg_control_is_user || !msg->msg_controllen ? NULL : msg->msg_control;
}

gfp_t feed_gfp_kernel(void)
{
	return GFP_KERNEL;
}

void feed_sock_put(struct sock *sk)
{
	sock_put(sk);
}

void feed_sock_orphan(struct sock *sk)
{
	sock_orphan(sk);
}

int feed_put_user_int(int value, int __user *to)
{
	return put_user(value, to);
}

void feed_send_sigpipe(void)
{
	send_sig(SIGPIPE, current, 0);
}

ssize_t feed_pipe_add_page(struct pipe_inode_info *pipe, struct page *page,
			   unsigned int offset, unsigned int len)
{
	/* nosteal_pipe_buf_ops lives in the core kernel: a pipe may outlive us. */
	struct pipe_buffer buf = {
		.page = page,
		.offset = offset,
		.len = len,
		.ops = &nosteal_pipe_buf_ops,
	};

	/* On failure the buffer, and with it the page's reference, is released. */
	return add_to_pipe(pipe, &buf);
}
