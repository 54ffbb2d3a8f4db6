// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes and offsets as the kernel's own compiler sees them. Kbuild compiles
 * this to assembly and turns each line into an assertion in the bindings crate:
 * bindgen reads the headers with libclang, so where the kernel was built by gcc
 * this is the proof that both lay out the structs that we touch alike. Add a
 * line here with every struct or member that is newly used from Rust.
 */
#include <linux/kbuild.h>

#include "bindings.h"

#define SIZE(type) DEFINE(size type, sizeof(struct type))
#define MEMBER(type, member) DEFINE(offset type member, offsetof(struct type, member))
/* Where bindgen has another name: keywords, members of unnamed structs. */
#define INNER(type, path, member) DEFINE(offset type path, offsetof(struct type, member))

void feed_layout(void);

void feed_layout(void)
{
	SIZE(sock);
	MEMBER(sock, __sk_common.skc_family);
	MEMBER(sock, __sk_common.skc_state);
	MEMBER(sock, __sk_common.skc_prot);
	MEMBER(sock, sk_receive_queue);
	MEMBER(sock, sk_err);
	MEMBER(sock, sk_rcvbuf);
	MEMBER(sock, sk_sndbuf);
	MEMBER(sock, sk_protocol);
	MEMBER(sock, sk_type);
	MEMBER(sock, sk_shutdown);
	MEMBER(sock, sk_socket);
	MEMBER(sock, sk_destruct);
	MEMBER(sock, sk_state_change);
	MEMBER(sock, sk_data_ready);
	MEMBER(sock, sk_write_space);

	SIZE(socket);
	MEMBER(socket, state);
	INNER(socket, type_, type);
	MEMBER(socket, flags);
	MEMBER(socket, file);
	MEMBER(socket, sk);
	MEMBER(socket, ops);
	MEMBER(socket, wq);

	SIZE(proto);
	MEMBER(proto, init);
	MEMBER(proto, destroy);
	MEMBER(proto, obj_size);
	MEMBER(proto, owner);
	MEMBER(proto, name);

	SIZE(proto_ops);
	MEMBER(proto_ops, family);
	MEMBER(proto_ops, owner);
	MEMBER(proto_ops, release);
	MEMBER(proto_ops, bind);
	MEMBER(proto_ops, connect);
	MEMBER(proto_ops, getname);
	MEMBER(proto_ops, poll);
	MEMBER(proto_ops, ioctl);
	MEMBER(proto_ops, setsockopt);
	MEMBER(proto_ops, sendmsg);
	MEMBER(proto_ops, recvmsg);
	MEMBER(proto_ops, splice_read);

	SIZE(net_proto_family);
	MEMBER(net_proto_family, create);
	MEMBER(net_proto_family, owner);

	SIZE(msghdr);
	MEMBER(msghdr, msg_name);
	MEMBER(msghdr, msg_namelen);
	MEMBER(msghdr, msg_flags);
	MEMBER(msghdr, msg_iter);
	MEMBER(msghdr, msg_controllen);
	SIZE(iov_iter);

	SIZE(sk_buff);
	INNER(sk_buff, __bindgen_anon_1.__bindgen_anon_1.__bindgen_anon_1.dev, dev);
	MEMBER(sk_buff, cb);
	MEMBER(sk_buff, len);
	MEMBER(sk_buff, data_len);
	MEMBER(sk_buff, mac_len);
	MEMBER(sk_buff, tail);
	MEMBER(sk_buff, end);
	MEMBER(sk_buff, head);
	MEMBER(sk_buff, data);
	MEMBER(sk_buff, truesize);
	SIZE(skb_shared_info);
	MEMBER(skb_shared_info, nr_frags);
	MEMBER(skb_shared_info, flags);
	MEMBER(skb_shared_info, frags);

	SIZE(net_device);
	MEMBER(net_device, name);
	MEMBER(net_device, ifindex);
	MEMBER(net_device, flags);
	MEMBER(net_device, mtu);
	INNER(net_device, type_, type);
	MEMBER(net_device, hard_header_len);
	MEMBER(net_device, needed_headroom);
	MEMBER(net_device, needed_tailroom);
	MEMBER(net_device, addr_len);
	MEMBER(net_device, dev_addr);
	MEMBER(net_device, broadcast);

	SIZE(packet_offload);
	INNER(packet_offload, type_, type);
	MEMBER(packet_offload, callbacks);
	SIZE(offload_callbacks);
	MEMBER(offload_callbacks, gso_segment);

	SIZE(packet_type);
	INNER(packet_type, type_, type);
	MEMBER(packet_type, dev);
	MEMBER(packet_type, func);
	MEMBER(packet_type, list_func);
	MEMBER(packet_type, af_packet_priv);

	MEMBER(net, user_ns);
	SIZE(pernet_operations);
	MEMBER(pernet_operations, init);
	MEMBER(pernet_operations, pre_exit);
	MEMBER(pernet_operations, exit);
	MEMBER(pernet_operations, id);
	MEMBER(pernet_operations, size);
	SIZE(notifier_block);
	MEMBER(notifier_block, notifier_call);
	MEMBER(memory_notify, start_pfn);
	MEMBER(memory_notify, nr_pages);
	MEMBER(netdev_notifier_info, dev);

	SIZE(genl_family);
	MEMBER(genl_family, name);
	MEMBER(genl_family, version);
	MEMBER(genl_family, maxattr);
	MEMBER(genl_family, policy);
	MEMBER(genl_family, n_split_ops);
	MEMBER(genl_family, split_ops);
	MEMBER(genl_family, module);
	SIZE(genl_split_ops);
	MEMBER(genl_split_ops, policy);
	MEMBER(genl_split_ops, maxattr);
	MEMBER(genl_split_ops, cmd);
	MEMBER(genl_split_ops, flags);
	MEMBER(genl_split_ops, validate);
	MEMBER(genl_dumpit_info, info);
	SIZE(genl_info);
	MEMBER(genl_info, family);
	MEMBER(genl_info, extack);
	MEMBER(genl_info, attrs);
	MEMBER(genl_info, snd_seq);
	MEMBER(genl_info, snd_portid);
	SIZE(nla_policy);
	INNER(nla_policy, type_, type);
	MEMBER(nla_policy, validation_type);
	MEMBER(nla_policy, len);
	MEMBER(netlink_ext_ack, _msg);
	MEMBER(netlink_ext_ack, bad_attr);
	SIZE(netlink_callback);
	MEMBER(netlink_callback, data);
	INNER(netlink_callback, __bindgen_anon_1.args, args);

	SIZE(address_space);
	MEMBER(address_space, a_ops);
	MEMBER(address_space, flags);
	SIZE(folio);
	SIZE(page);
	SIZE(inode);
	MEMBER(inode, i_mapping);
	MEMBER(inode, i_size);
	SIZE(super_block);
	SIZE(file_system_type);
	MEMBER(file_system_type, init_fs_context);
	MEMBER(file_system_type, kill_sb);
	MEMBER(file_system_type, owner);
	SIZE(vfsmount);
	MEMBER(vfsmount, mnt_sb);
	SIZE(shrinker);

	SIZE(splice_pipe_desc);
	SIZE(partial_page);
	SIZE(work_struct);
	SIZE(delayed_work);
	SIZE(timer_list);
	SIZE(hrtimer);
	SIZE(callback_head);
	SIZE(spinlock);
	SIZE(wait_queue_head);
	SIZE(wait_queue_entry);
}
