/* SPDX-License-Identifier: GPL-2.0 */
/* kernel.h - as much of the kernel as the parser and the rewriter of the simulated hardware use, so that they can be built as
 * a program, with sanitizers and for other processors (model.c). Neighbours: ../hwsim.h, which the module builds with
 * the kernel's own headers instead.
 */
#ifndef FO_HWSIM_NATIVE_KERNEL_H
#define FO_HWSIM_NATIVE_KERNEL_H

#include <arpa/inet.h>
#include <assert.h>
#include <linux/if_ether.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int spinlock_t;
typedef int netdev_tx_t;

#define BIT(n)	       (1u << (n))
#define GENMASK(h, l)  ((~0u >> (31 - (h))) & (~0u << (l)))
#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define READ_ONCE(x)   (x)
#define U16_MAX	       0xffff
#define VLAN_HLEN      4
#define IP_MF	       0x2000
#define IP_OFFSET      0x1fff
#define IP6_OFFSET     0xfff8
#define CSUM_MANGLED_0 ((__sum16)0xffff)
#define __user

#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))

#ifndef NEXTHDR_FRAGMENT
#define NEXTHDR_FRAGMENT 44
#endif

struct list_head {
	struct list_head *next, *prev;
};
struct hlist_node {
	struct hlist_node *next, **pprev;
};
struct net_device {
	unsigned int mtu;
};
struct sk_buff {
	u8 *head, *data;
	unsigned int len;
};
struct dentry;
struct flow_block_offload;
struct flow_cls_offload;
struct flow_stats;
struct netlink_ext_ack;

/* What the kernel only warns of ends the program. */
static inline bool WARN_ON_ONCE(bool condition)
{
	if (condition)
		abort();
	return condition;
}

static inline void skb_pull(struct sk_buff *skb, unsigned int size)
{
	WARN_ON_ONCE(size > skb->len);
	skb->data += size;
	skb->len -= size;
}

static inline void skb_push(struct sk_buff *skb, unsigned int size)
{
	WARN_ON_ONCE(size > (size_t)(skb->data - skb->head));
	skb->data -= size;
	skb->len += size;
}

static inline void skb_trim(struct sk_buff *skb, unsigned int size)
{
	if (size < skb->len)
		skb->len = size;
}

static inline bool is_multicast_ether_addr(const u8 *mac)
{
	return mac[0] & 1;
}

static inline bool eth_type_vlan(__be16 type)
{
	return type == htons(ETH_P_8021Q) || type == htons(ETH_P_8021AD);
}

static inline __wsum csum_add(__wsum a, __wsum b)
{
	u64 sum = (u64)a + b;

	return (u32)(sum + (sum >> 32));
}

static inline __wsum csum_sub(__wsum a, __wsum b)
{
	return csum_add(a, ~b);
}

static inline __wsum csum_unfold(__sum16 sum)
{
	return sum;
}

static inline __sum16 csum_fold(__wsum sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__sum16)~sum;
}

/* Of an even number of bytes. */
static inline __wsum csum_partial(const void *bytes, int size, __wsum sum)
{
	const u8 *at = bytes;
	u16 word;

	for (; size > 0; size -= 2, at += 2) {
		memcpy(&word, at, 2);
		sum = csum_add(sum, word);
	}
	return sum;
}

#endif
