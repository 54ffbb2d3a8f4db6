/* SPDX-License-Identifier: GPL-2.0 */
/* Prototypes for sock_helpers.c; bindgen reads them. */
#ifndef FEED_NET_SOCK_HELPERS_H
#define FEED_NET_SOCK_HELPERS_H

#include <linux/net.h>
#include <linux/sockptr.h>
#include <linux/types.h>

struct pipe_inode_info;
struct page;
struct file;
struct wait_queue_head;
struct poll_table_struct;

struct net *feed_sock_net(struct sock *sk);
u64 feed_sock_rcvtimeo_ms(struct sock *sk);
u64 feed_sock_sndtimeo_ms(struct sock *sk);
int feed_sock_error(struct sock *sk);
void feed_sock_poll_wait(struct file *file, struct socket *sock,
			 struct poll_table_struct *table);
struct wait_queue_head *feed_sock_sleep(struct sock *sk);
void feed_sock_state_change(struct sock *sk);
int feed_copy_from_sockptr(void *to, sockptr_t from, size_t len);
int feed_put_sockopt(void __user *value, int __user *len, const void *from, size_t bytes);
void *feed_msg_control(struct msghdr *msg);
gfp_t feed_gfp_kernel(void);
void feed_sock_put(struct sock *sk);
void feed_sock_orphan(struct sock *sk);
int feed_put_user_int(int value, int __user *to);
void feed_send_sigpipe(void);
ssize_t feed_pipe_add_page(struct pipe_inode_info *pipe, struct page *page,
			   unsigned int offset, unsigned int len);

#endif
