// SPDX-License-Identifier: GPL-2.0
/*
 * Parameters of the module, readable under /sys/module/feed/parameters. The
 * kernel crate's own are read at load but hidden from sysfs, and programs look
 * up the family's number there.
 */
#include <linux/etherdevice.h>
#include <linux/hex.h>
#include <linux/module.h>

#include "params.h"

static unsigned int family = 18;
module_param(family, uint, 0444);
MODULE_PARM_DESC(family, "Number of the socket family: one that the kernel knows and nobody uses");

static unsigned short ethertype = 0x88b5;
module_param(ethertype, ushort, 0444);
MODULE_PARM_DESC(ethertype, "EtherType of frames");

static char *group = "03:00:46:45:45:44";
module_param(group, charp, 0444);
MODULE_PARM_DESC(group, "MAC address that lookups go to while no neighbour is known");

unsigned int feed_param_family(void)
{
	return family;
}

unsigned short feed_param_ethertype(void)
{
	return ethertype;
}

/* Context: process, at load. False unless it is a multicast address. */
bool feed_param_group(u8 *address)
{
	return mac_pton(group, address) && is_multicast_ether_addr(address);
}
