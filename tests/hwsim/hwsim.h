/* SPDX-License-Identifier: GPL-2.0 */
/* hwsim.h - a switch with flow offload hardware that is not there: what its parts know of each other.
 *
 * For tests only, never installed. A port is two devices: foN, which the host sees, and cableN, the far end of the
 * cable in port N, to be moved into a namespace. A frame that is sent on a cable goes through the hardware: a rule that
 * matches it rewrites and forwards it to the cable of another port, and the host's stack sees nothing of it; without
 * one it arrives on foN, as it was.
 *
 * The rules come from cls_flower and from nf_flowtable, as any driver gets them. A rule is translated once, when it is
 * added, into what the hardware matches (struct sim_match) and does (struct sim_act); what cannot be translated is
 * refused with words.
 *
 * ports.c   devices, and the module's beginning and end      match.c     a rule's keys -> struct sim_match
 * wire.c    what happens to a frame                           actions.c   its actions       -> struct sim_act
 * frame.c   bytes -> struct sim_frame                         table.c     the rules that are there, and their counters
 * rewrite.c struct sim_act -> bytes                           offload.c   what tc and nf_flowtable ask for
 * faults.c  what was ordered to go wrong                      debug.c     debugfs
 */
#ifndef FO_HWSIM_H
#define FO_HWSIM_H

#ifdef __KERNEL__
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/list.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/checksum.h>
#include <net/flow_offload.h>
#include <net/ip.h>
#include <net/ipv6.h>
#else
#include "native/kernel.h"
#endif
#include <linux/in6.h>

#define SIM_PORTS_MOST 16
#define SIM_TAGS       2
#define SIM_EDITS      24

/* nic: takes every key and action it knows of and does as told, no more: what a rule does not exclude is forwarded.
 * ppe: a packet processing engine as in the chip of a router: takes connections only, looks at their addresses and
 * ports, decrements the TTL and keeps its own guards, whatever the rule says of such things. */
enum sim_kind { SIM_NIC, SIM_PPE };

/* ---- Ports (ports.c) ---- */

struct sim_port {
	struct net_device *host;
	struct net_device *cable;
	struct list_head flower_cbs;	/* the kernel's list of callbacks: blocks of tc */
	struct list_head flowtable_cbs; /* the same: flowtables */
	unsigned int flower_rules;	/* of this port, in the table; under sim.lock */
	unsigned int index;
};

/* Port that a host's device belongs to; NULL: no device of ours. */
struct sim_port *sim_port_of(const struct net_device *dev);
/* Port that one of our devices is an end of. */
struct sim_port *sim_port_of_end(const struct net_device *dev);

/* ---- Frames (frame.c) ---- */

#define SIM_FRAGMENT	   BIT(0)
#define SIM_FRAGMENT_FIRST BIT(1)

/* What the hardware's parser finds, as it lies in the frame. Compared word by word under a mask of the same form, so no
 * hole may be left. Fields that a frame lacks are 0. */
struct sim_key {
	u8 dst_mac[ETH_ALEN];
	u8 src_mac[ETH_ALEN];
	__be16 outer; /* ethertype behind the MACs */
	__be16 proto; /* ethertype of the payload, behind tags and session */
	__be16 tpid[SIM_TAGS];
	__be16 tci[SIM_TAGS];  /* outermost first */
	__be16 next[SIM_TAGS]; /* ethertype behind that tag */
	__be16 session;
	__be16 sport, dport;
	__be16 tcp_flags; /* the 12 bits */
	u8 l4, ttl, tos, fragment;
	u8 has_session;
	u8 tags;
	__be16 zero;
	struct in6_addr src, dst; /* IPv4 in the first word */
};
static_assert(sizeof(struct sim_key) == 76, "no holes");
#define SIM_KEY_WORDS (sizeof(struct sim_key) / 4)

struct sim_frame {
	struct sim_key key;
	u16 l3, l4;	/* where these headers begin; l3 0: nobody knows */
	u16 size;	/* up to the end of the IP packet; what follows is padding */
	u16 wire_size;	/* of the frame as it came */
	u8 ip;		/* the IP header is whole and plain */
	u8 whole;	/* so is the L4 header: ports were read */
	u8 l4_checksum; /* offset of the checksum in the L4 header; 0: none */
};

/* Read a frame that is linear in memory. A parser that meets anything but a plain header reads no further. */
void sim_frame_read(struct sim_frame *frame, const struct sk_buff *skb);

/* ---- Rules ---- */

struct sim_match {
	struct sim_key key, mask;
	bool exact; /* addresses, ports and protocol in full: found by hash */
};

enum sim_verdict { SIM_FORWARD, SIM_TO_HOST, SIM_DROP };
enum sim_layer { SIM_L2, SIM_L3, SIM_L4 };

/* 32 bits at an offset of a layer: keep the bits in keep, and set or add value. */
struct sim_edit {
	u8 layer, offset, add;
	u32 keep, value;
};

struct sim_tag {
	__be16 tpid;
	__be16 tci;
};

struct sim_act {
	enum sim_verdict verdict;
	struct sim_port *out;
	bool routes;   /* the hardware decrements the TTL, and keeps its own guards */
	bool any_tags; /* takes off all tags there are, whatever the rule says */
	bool needs_ip; /* rewrites what only a plain IP header has */
	bool needs_ports;
	u8 pops;	 /* tags taken off, outermost first */
	u8 pushes;	 /* tags put on */
	bool pppoe_push; /* a PPPoE header put on, within the tags */
	u16 pppoe_session;
	u8 edits;
	u32 checksums;		       /* TCA_CSUM_UPDATE_FLAG_: which follow the edits */
	u32 police_mtu;		       /* longer frames go to the host; 0: any length */
	struct sim_tag push[SIM_TAGS]; /* outermost first */
	struct sim_edit edit[SIM_EDITS];
};

enum sim_source { SIM_FLOWER, SIM_FLOWTABLE };

struct sim_rule {
	struct list_head list; /* all of them, in the order of adding */
	struct list_head wild; /* those that are not exact */
	struct hlist_node by_cookie;
	struct hlist_node by_tuple; /* the exact ones */
	enum sim_source source;
	unsigned long cookie;
	u64 rank; /* the lowest that matches wins */
	struct sim_port *in;
	struct sim_match match;
	struct sim_act act;
	u64 packets, bytes;	      /* since it is there */
	u64 told_packets, told_bytes; /* of them the kernel knows */
	unsigned long used;	      /* jiffies */
};

/* Not here: the words go to who asked. */
#define SIM_REFUSE(extack, words)                                                                            \
	({                                                                                                   \
		NL_SET_ERR_MSG_MOD(extack, words);                                                           \
		-EOPNOTSUPP;                                                                                 \
	})

/* match.c, actions.c: 0, or -errno with words in extack, which may be NULL. */
int sim_match_read(struct sim_match *match, struct flow_cls_offload *cls, enum sim_source source,
		   enum sim_kind kind);
/* Whether a rule names this port's device, or none, as where its frames come from. */
bool sim_match_port(struct flow_cls_offload *cls, const struct sim_port *port);
int sim_act_read(struct sim_act *act, const struct sim_match *match, struct flow_cls_offload *cls,
		 enum sim_source source, enum sim_kind kind);

/* ---- The hardware ---- */

enum sim_count {
	SIM_N_FORWARDED,
	SIM_N_DROPPED,	 /* by a rule */
	SIM_N_LINK_DOWN, /* hit a rule whose port was down: gone */
	SIM_N_MISSED,	 /* no rule: to the host */
	SIM_N_TRAPPED,	 /* a rule said to the host */
	SIM_N_TTL,	 /* from here on: hit a rule, but a guard sent it to the host */
	SIM_N_FRAGMENT,
	SIM_N_TCP_FLAGS,
	SIM_N_MTU,
	SIM_N_TAGS,
	SIM_N_MULTICAST,
	SIM_N_OPAQUE, /* what the rule rewrites was not parsed */
	SIM_N_ADDED,  /* from here on: calls of the kernel */
	SIM_N_REFUSED,
	SIM_N_DELETED,
	SIM_N_FLUSHED, /* dropped by itself when a flowtable let go */
	SIM_N_STATS,
	SIM_N_COUNT
};

/* Guards that hardware which routes keeps by itself, in sim.guards. */
#define SIM_G_TTL	BIT(0)
#define SIM_G_FRAGMENT	BIT(1)
#define SIM_G_TCP_FLAGS BIT(2)
#define SIM_G_MTU	BIT(3)
#define SIM_G_MULTICAST BIT(4)
#define SIM_G_ALL	GENMASK(4, 0)

struct sim {
	enum sim_kind kind;
	unsigned int ports;
	struct sim_port port[SIM_PORTS_MOST];
	/* The hardware has one pipeline: a frame passes it, and a rule comes or goes, under this lock. So once a delete has
	 * returned no frame uses the rule, and its counters are final. */
	spinlock_t lock;
	unsigned int rules;
	u32 capacity;
	u32 guards;
	bool count_l3; /* bytes from the IP header on, without padding; else of the frame as it came */
	u64 count[SIM_N_COUNT];
};
extern struct sim sim;

/* wire.c: transmit functions of both ends. */
netdev_tx_t sim_from_cable(struct sk_buff *skb, struct net_device *dev);
netdev_tx_t sim_from_host(struct sk_buff *skb, struct net_device *dev);

/* rewrite.c: what act says of a frame that has room before it and is nobody else's. A reason not to leaves it as it is.
 * SIM_N_FORWARDED, or the count of the guard that it met. */
enum sim_count sim_guard(const struct sim_act *act, const struct sim_frame *frame);
void sim_rewrite(const struct sim_act *act, const struct sim_frame *frame, struct sk_buff *skb);
/* Room before the frame that it may take. */
#define SIM_HEADROOM 32

/* ---- The table (table.c) ---- */

/* The rule for a frame from this port, or NULL. Under sim.lock. */
struct sim_rule *sim_table_find(const struct sim_port *in, const struct sim_frame *frame);
int sim_table_add(struct sim_rule *rule, struct netlink_ext_ack *extack);
int sim_table_delete(enum sim_source source, unsigned long cookie, const struct sim_port *in);
/* Counters since the last time; -ENOENT. @lose: they are gone, as if the hardware had been read and nobody told. */
int sim_table_stats(enum sim_source source, unsigned long cookie, const struct sim_port *in, bool lose,
		    struct flow_stats *stats);
void sim_table_flush(enum sim_source source, const struct sim_port *in);
void sim_table_empty(void);
/* Walk over all rules; between begin and end the pipeline stands still. */
struct list_head *sim_table_walk_begin(void);
void sim_table_walk_end(void);

/* ---- What the kernel asks (offload.c) ---- */

int sim_flower_bind(struct sim_port *port, struct flow_block_offload *block);
int sim_flowtable_bind(struct sim_port *port, struct flow_block_offload *block);

/* ---- Faults (faults.c) ---- */

enum sim_stats_mode { SIM_STATS_ON, SIM_STATS_REFUSED, SIM_STATS_LOST };

struct sim_delays {
	u32 add_ms, delete_ms, stats_ms;
};
extern struct sim_delays sim_delays;
enum sim_stats_mode sim_stats_mode(void);
void sim_wait(u32 ms);
/* Whether an add is to fail by order: its -errno, with the ordered words, or 0. */
int sim_fault_add(struct netlink_ext_ack *extack);
/* Whether the hardware was told to be without what this rule needs. */
int sim_fault_refuses(const struct sim_rule *rule, struct netlink_ext_ack *extack);
void sim_faults_files(struct dentry *folder);

/* ---- debugfs (debug.c) ---- */

void sim_debug_open(void);
void sim_debug_close(void);
/* A file whose text write() takes: at most 255 bytes, without the newline at its end. */
int sim_text_write(char *text, size_t room, const char __user *from, size_t size);

#endif
