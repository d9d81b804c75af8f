/* SPDX-License-Identifier: BSD-2-Clause */
/* conntrack.h - the kernel's connection tracking through ctnetlink: entries read, dumped, watched and touched.
 *
 * For the backends that rely on it (nft, tc, bpf); knows nothing of tables, flows or backends beyond struct fo_tuple.
 * TCP, UDP and ICMP echo only: entries of other protocols are passed over. Neighbours: entry.c reads messages, fit.c judges entries,
 * request.c asks and changes, watch.c dumps and listens; src/netlink carries it all.
 */
#ifndef FO_CONNTRACK_CONNTRACK_H
#define FO_CONNTRACK_CONNTRACK_H

#include "netlink/netlink.h"

/* What a message said, in struct fo__ct_entry.have. */
#define FO__CT_TIMEOUT	 (1u << 0)
#define FO__CT_TCP_STATE (1u << 1)
#define FO__CT_COUNTERS	 (1u << 2)
#define FO__CT_MARK	 (1u << 3)
#define FO__CT_HELPER	 (1u << 4)
#define FO__CT_ID	 (1u << 5)

/* One entry. tuple[] as in struct fo_flow: original and reply as their packets arrive. */
struct fo__ct_entry {
	struct fo_tuple tuple[2];
	uint64_t packets[2];
	uint64_t bytes[2];
	uint32_t status; /* IPS_ bits of linux/netfilter/nf_conntrack_common.h */
	uint32_t id;
	uint32_t mark;
	uint32_t timeout_s;
	uint32_t have; /* FO__CT_ bits */
	uint16_t zone;
	uint8_t tcp_state; /* enum tcp_conntrack */
	uint8_t liberal;   /* TCP: both directions take segments out of the window */
	char helper[16];
};

/* fo__ct_read - the entry that a ctnetlink message shows.
 * 0; -EPROTONOSUPPORT other than TCP, UDP or ICMP echo over IP; -EPROTO malformed. */
int fo__ct_read(const struct nlmsghdr *nlh, struct fo__ct_entry *out);

/* Seen in both directions: what the kernel's packet rules call established. */
int fo__ct_established(const struct fo__ct_entry *entry);
/* A TCP connection that FIN or RST has begun to end; FO_R_TCP_FIN, FO_R_TCP_RST or FO_R_NONE. */
enum fo_reason fo__ct_closing(const struct fo__ct_entry *entry);
/* "ESTABLISHED" and the like, as conntrack(8) prints them; "" for others. */
const char *fo__ct_tcp_state_name(unsigned int state);

/* ---- An entry and a flow (fit.c) ---- */

int fo__ct_same_tuple(const struct fo_tuple *a, const struct fo_tuple *b);
/* fo__ct_carries - is this the entry of the connection whose packets arrive as tuple[0] and tuple[1]?
 * @reversed: receives whether tuple[0] is what conntrack calls the reply. */
int fo__ct_carries(const struct fo__ct_entry *entry, const struct fo_tuple tuple[2], int *reversed);
/* fo__ct_contradicts - say of an entry that does not carry it what the reply should be. -EINVAL, FO_R_NAT. */
int fo__ct_contradicts(const struct fo__ct_entry *entry, const struct fo_tuple tuple[2],
		       struct fo_error *err);
/* fo__ct_fits - may the connection leave the slow path? 0; -EOPNOTSUPP a helper reads it or its sequence numbers are
 * adjusted; -EBUSY it is ending. */
int fo__ct_fits(const struct fo__ct_entry *entry, struct fo_error *err);

/* ---- Asking and changing (request.c) ---- */

/* fo__ct_ready - have the kernel load its connection tracking where it is a module that nobody has wanted yet: until then there
 * is nothing to listen to, and its sysctls do not exist. @tx: as for fo__ct_get().
 * 0; -EOPNOTSUPP this kernel has none; -EPERM; -errno. */
int fo__ct_ready(struct fo__nl *nl, void *tx, struct fo_error *err);

struct fo__ct_key {
	const struct fo_tuple *tuple; /* either direction */
	uint16_t zone;
};

/* Called once for each key, in their order: entry, or NULL with errno (ENOENT: no such entry). */
typedef void (*fo__ct_found)(void *arg, size_t i, const struct fo__ct_entry *entry, int error);

/* How many keys one exchange takes. */
#define FO__CT_GET_MOST 128u
/* Buffer for a request of that many. */
#define FO__CT_TX_ROOM (FO__CT_GET_MOST * 160u)

/* fo__ct_get - read n entries, FO__CT_GET_MOST in one exchange. @tx: buffer of FO__CT_TX_ROOM bytes. 0, or -errno when
 * the kernel could not be asked; the rest of the keys are then told of with that errno. */
int fo__ct_get(struct fo__nl *nl, void *tx, const struct fo__ct_key *keys, size_t n, fo__ct_found found,
	       void *arg);

#define FO__CT_SET_TIMEOUT (1u << 0) /* timeout_s */
#define FO__CT_BE_LIBERAL  (1u << 1) /* TCP: take segments out of the window, both directions */
#define FO__CT_BE_STRICT   (1u << 2) /* TCP: no longer */

/* One change of a living entry; what bits do not say stays. */
struct fo__ct_wish {
	struct fo__ct_key key;
	uint32_t bits;
	uint32_t timeout_s;
};

/* fo__ct_change - make n of them, FO__CT_GET_MOST in one exchange. @errors: receives an errno for each (ENOENT: no such
 * entry), or 0. 0, or the first -errno when answers were missing; the items that it touches then have that errno. */
int fo__ct_change(struct fo__nl *nl, void *tx, const struct fo__ct_wish *wishes, size_t n, int *errors);
/* fo__ct_delete - forget an entry. @id: from struct fo__ct_entry, so that no newer one is meant; 0: any. */
int fo__ct_delete(struct fo__nl *nl, void *tx, const struct fo__ct_key *key, uint32_t id,
		  struct fo__nl_answer *answer);

/* ---- Dumps and events (watch.c) ---- */

typedef int (*fo__ct_seen)(void *arg, const struct fo__ct_entry *entry);

/* fo__ct_dump_begin - begin to read all entries that have every one of these IPS_ bits (0: all) and, where the kernel can
 * filter, only them; fo__ct_dump_step() as fo__nl_dump_step(). Use a socket of its own. */
int fo__ct_dump_begin(struct fo__nl *nl, uint32_t status);
int fo__ct_dump_step(struct fo__nl *nl, uint32_t status, fo__ct_seen seen, void *arg);

enum fo__ct_event { FO__CT_NEW, FO__CT_UPDATE, FO__CT_DESTROY };
typedef void (*fo__ct_heard)(void *arg, enum fo__ct_event event, const struct fo__ct_entry *entry);

/* fo__ct_listen - join the groups of these events. */
int fo__ct_listen(const struct fo__nl *nl, unsigned int events, struct fo_error *err);
#define FO__CT_LISTEN_DESTROY (1u << FO__CT_DESTROY)
#define FO__CT_LISTEN_UPDATE  (1u << FO__CT_UPDATE)
#define FO__CT_LISTEN_NEW     (1u << FO__CT_NEW)
/* fo__ct_events - one datagram of them: 1, 0 none there, -ENOBUFS some were lost, -errno. */
int fo__ct_events(struct fo__nl *nl, fo__ct_heard heard, void *arg);

#endif
