/* SPDX-License-Identifier: GPL-2.0 */
/* Prototypes for params.c; bindgen reads them. */
#ifndef FEED_PARAMS_H
#define FEED_PARAMS_H

#include <linux/types.h>

unsigned int feed_param_family(void);
unsigned short feed_param_ethertype(void);
bool feed_param_group(u8 *address);

#endif
