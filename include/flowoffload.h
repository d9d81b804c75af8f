/* SPDX-License-Identifier: BSD-2-Clause */
/* flowoffload.h - the whole public API of libflowoffload: one interface for flow offload.
 *
 * The slow path (a kernel, a user-space router) decides about the first packets of a connection. The caller
 * then hands the connection to a table with fo_flow_add(); its packets take a short cut from there on: in
 * this process (backend "soft", struct fo_worker), in the kernel or in hardware (other backends). People who
 * write a backend of their own read flowoffload-backend.h as well.
 *
 * Conventions of this file
 *   Return value   0 (or a count) or -errno. Results go through out-parameters, untouched on failure.
 *   err            last argument, may be NULL; filled on failure only, by the rules at struct fo_error.
 *   NULL           for a table is -EINVAL (fo_table_deadline(): UINT64_MAX); for a worker or packets, 0 packets.
 *   _be            network byte order; every other integer is in host order.
 *   size           of a struct: set it with FO_INIT(). The library reads what an older caller does not
 *                  have as zero and refuses (-EINVAL, FO_R_SIZE) a newer caller's unknown non-zero tail.
 *   Thread classes control: the table's one control thread (one at a time; the caller serialises).
 *                  worker:  the thread that uses that worker at the moment.
 *                  any:     every thread, at any time.
 *   Ownership      what the caller passes is copied; strings returned are static.
 *   fork           the child may only exec or _exit.
 */
#ifndef FLOWOFFLOAD_H
#define FLOWOFFLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FO_VERSION_MAJOR 0
#define FO_VERSION_MINOR 1
#define FO_VERSION_PATCH 0

/* FO_INIT - zero a struct of this header and set its size: struct fo_flow flow; FO_INIT(&flow); */
#define FO_INIT(p) ((void)memset((p), 0, sizeof(*(p))), (void)((p)->size = sizeof(*(p))))

struct fo_table;  /* flows of one router instance, on one backend */
struct fo_worker; /* one packet loop's access to a table */

typedef uint64_t fo_flow_id; /* slot and generation; 0 is no flow; a stale one is refused with -ENOENT */
typedef uint64_t fo_adj_id;  /* the same for adjacencies */

/* Directions; index of every [2] array here. The originator's first packet travels in FO_ORIGINAL. */
enum fo_dir { FO_ORIGINAL = 0, FO_REPLY = 1 };

/* ---- Reasons and errors --------------------------------------------------------------------------- */

/* Why a packet was passed on, a call was refused, a flow ended. Values are stable; new ones are added.
 * Below FO_R_PACKET_MAX: verdicts on packets (struct fo_packet, counted in struct fo_table_counters). */
enum fo_reason {
	FO_R_NONE = 0,
	FO_R_NO_FLOW = 1,        /* no flow has this tuple */
	FO_R_NOT_IP = 2,         /* neither IPv4 nor IPv6 after at most two VLAN tags and PPPoE */
	FO_R_MALFORMED = 3,      /* truncated, or lengths contradict each other */
	FO_R_FRAGMENT = 4,       /* any IPv4 or IPv6 fragment, the first included */
	FO_R_IP_OPTIONS = 5,     /* IPv4 header longer than 20 bytes */
	FO_R_EXT_HEADER = 6,     /* IPv6 extension header other than a fragment */
	FO_R_TTL = 7,            /* TTL or hop limit is 1 or 0 */
	FO_R_MTU = 8,            /* longer than the egress MTU; a GSO frame: its segments */
	FO_R_PROTOCOL = 9,       /* not TCP, UDP, ICMP or ICMPv6 */
	FO_R_ICMP_TYPE = 10,     /* ICMP other than echo request and reply */
	FO_R_TCP_SYN = 11,
	FO_R_TCP_FIN = 12,       /* also: a flow ended because FIN was seen */
	FO_R_TCP_RST = 13,       /* also: a flow ended because RST was seen */
	FO_R_WRONG_INGRESS = 14, /* tuple known, but from another port, VLAN or PPPoE session */
	FO_R_WRONG_MAC = 15,     /* not sent to the adjacency's own MAC */
	FO_R_CLOSING = 16,       /* the flow is ending */
	FO_R_NO_HEADROOM = 17,   /* the egress L2 header does not fit before the packet */
	FO_R_INVALIDATED = 18,   /* also: a flow ended by fo_invalidate() */
	FO_R_EGRESS_DOWN = 19,   /* also: a flow ended because its port went down or away */
	FO_R_BUSY = 20,          /* lost a race with the control thread twice; the next packet hits */
	FO_R_CSUM_META = 21,     /* a partial checksum of other than TCP or UDP, or not at its place */
	FO_R_GSO = 22,           /* a GSO frame into PPPoE, or one without a partial checksum or a gso_size */
	FO_R_ENCAP = 23,         /* more tags than two, or PPP other than IP */
	FO_R_NOT_ACTIVE = 24,    /* the flow is armed: the slow path carries it */
	FO_R_TABLE_GONE = 25,    /* the table was destroyed while this worker was open */
	FO_R_PACKET_MAX = 32,

	FO_R_ARGUMENT = 64,      /* a value no backend accepts; field and text say which */
	FO_R_SIZE = 65,          /* a struct size this library cannot read */
	FO_R_TUPLE = 66,         /* addresses, ports or protocol contradict each other */
	FO_R_ADDRESS = 67,       /* zero, multicast, broadcast, loopback, link-local or v4-mapped */
	FO_R_NAT = 68,           /* tuple[1] does not answer tuple[0] under the stated NAT */
	FO_R_PORT = 69,          /* port not in the table */
	FO_R_ADJACENCY = 70,     /* no such adjacency, or one that contradicts itself */
	FO_R_ENCAP_KIND = 71,    /* encapsulation unknown, reserved, too many or in the wrong order */
	FO_R_EXISTS = 72,        /* the key belongs to a living flow */
	FO_R_KEY_CLOSING = 73,   /* the key belongs to a flow that is still closing */
	FO_R_FULL = 74,          /* capacity reached */
	FO_R_RECLAIM = 75,       /* slots wait for workers or for fo_table_poll() */
	FO_R_INDEX_CROWDED = 76, /* too many keys on one hash; the table rotates its secret by itself */
	FO_R_STALE = 77,         /* handle of something that has ended, or never was */
	FO_R_IN_USE = 78,        /* still referenced by flows, or owned by somebody else (text: whom) */
	FO_R_UNSUPPORTED = 79,   /* well formed, but not on this backend; caps say so */
	FO_R_NEEDS = 80,         /* a needed capability is missing; text names it */
	FO_R_NO_BACKEND = 81,    /* no backend of that name, or none fits */
	FO_R_PERMISSION = 82,
	FO_R_MEMORY = 83,
	FO_R_WORKERS = 84,       /* more workers than the table was created for, or none allowed */
	FO_R_TIMEOUT = 85,       /* not finished at the deadline */
	FO_R_BACKEND = 86,       /* the backend's own error; backend_errno and text have its words */
	FO_R_COLLISION = 87,     /* the device cannot hold this key beside another (distinct from full) */
	FO_R_DELETED = 88,       /* a flow ended by fo_flow_del() */
	FO_R_IDLE = 89,          /* a flow ended by its idle timeout */
	FO_R_LOST = 90,          /* the backend lost the flow (reset, flushed by others) */
	FO_R_FALLBACK = 91,      /* the backend handed the flow back to the slow path */
	FO_R_STALLED = 92,       /* a worker has been inside fo_worker_run() for too long */
	FO_R_CALL_ORDER = 93,    /* the call is not allowed now (from this callback, after destroy) */
	FO_R_NOT_ESTABLISHED = 94, /* the kernel's conntrack does not know the connection, or not both ways yet */
	FO_R_NOT_IN_HARDWARE = 95, /* the driver did not take it, or one direction only, or that cannot be told */
	FO_R_MAX = 96
};

/* Where a request failed. */
enum fo_stage { FO_STAGE_NONE, FO_STAGE_VALIDATE, FO_STAGE_RESOLVE, FO_STAGE_INSTALL, FO_STAGE_VERIFY, FO_STAGE_AGE };

/* What went wrong, in the caller's memory. Written by a failing call only.
 * text is one sentence that names the field and the remedy; backend_errno is the backend's own errno (> 0) or 0. */
struct fo_error {
	int32_t code;          /* the -errno that the call returned */
	uint16_t reason;       /* enum fo_reason */
	uint16_t stage;        /* enum fo_stage */
	int32_t backend_errno;
	char field[44];        /* path of the field, such as "tuple[1].family"; empty when none */
	char text[200];
};

/* Short stable name ("no-flow") and one-line explanation of a reason. Never NULL. Thread: any. */
const char *fo_reason_name(unsigned int reason);
const char *fo_reason_text(unsigned int reason);
/* "validate", "resolve", "install", "verify", "age", or "". Thread: any. */
const char *fo_stage_name(unsigned int stage);
/* Version of the library linked, "0.1.0". Thread: any. */
const char *fo_version(void);

/* ---- Capabilities --------------------------------------------------------------------------------- */

/* What a backend can do. The same bits say what a table or a flow needs ("needs"). */
#define FO_CAP_IPV4            (UINT64_C(1) << 0)
#define FO_CAP_IPV6            (UINT64_C(1) << 1)
#define FO_CAP_TCP             (UINT64_C(1) << 2)
#define FO_CAP_UDP             (UINT64_C(1) << 3)
#define FO_CAP_ICMP_ECHO       (UINT64_C(1) << 4)  /* ICMP and ICMPv6 echo */
#define FO_CAP_SNAT            (UINT64_C(1) << 5)
#define FO_CAP_DNAT            (UINT64_C(1) << 6)  /* with SNAT: both at once, hairpin */
#define FO_CAP_PORT_NAT        (UINT64_C(1) << 7)
#define FO_CAP_NAT66           (UINT64_C(1) << 8)
#define FO_CAP_VLAN            (UINT64_C(1) << 9)  /* one tag, matched and written */
#define FO_CAP_QINQ            (UINT64_C(1) << 10) /* two tags */
#define FO_CAP_PPPOE           (UINT64_C(1) << 11)
#define FO_CAP_DSCP            (UINT64_C(1) << 12)
#define FO_CAP_SCOPE           (UINT64_C(1) << 13) /* scopes other than 0 */
#define FO_CAP_INGRESS         (UINT64_C(1) << 14) /* ingress port and encapsulation are matched */
#define FO_CAP_ANY_INGRESS     (UINT64_C(1) << 15) /* FO_ADJ_ANY_INGRESS */
#define FO_CAP_ADJ_UPDATE      (UINT64_C(1) << 16) /* fo_adj_update() works, and FO_UPDATE_ADJ */
#define FO_CAP_FLOW_UPDATE     (UINT64_C(1) << 17)
#define FO_CAP_WORKER          (UINT64_C(1) << 18) /* fo_worker_open() works */
#define FO_CAP_HARDWARE        (UINT64_C(1) << 19)
#define FO_CAP_POLICY          (UINT64_C(1) << 20) /* fo_policy_add() works */
#define FO_CAP_PERSIST         (UINT64_C(1) << 21)
#define FO_CAP_PUNT_SYN        (UINT64_C(1) << 22) /* SYN is handed to the slow path */
#define FO_CAP_PUNT_FIN        (UINT64_C(1) << 23)
#define FO_CAP_PUNT_RST        (UINT64_C(1) << 24)
#define FO_CAP_PUNT_MAC        (UINT64_C(1) << 25) /* wrong destination MAC */
#define FO_CAP_CRASH_GONE      (UINT64_C(1) << 26) /* a crash leaves nothing */
#define FO_CAP_CRASH_LEASE     (UINT64_C(1) << 27) /* ... leaves flows until a lease runs out */
#define FO_CAP_CRASH_LINGERS   (UINT64_C(1) << 28) /* ... leaves flows until somebody cleans up */
#define FO_CAP_DELETE_KEEPS_CT (UINT64_C(1) << 29) /* a delete leaves conntrack alone */
#define FO_CAP_GUARDS_VERIFIED (UINT64_C(1) << 30) /* guards (TTL, MTU, fragments) proven, not assumed */
#define FO_CAP_EGRESS_QDISC    (UINT64_C(1) << 31) /* short-cut packets still pass the egress qdisc */
#define FO_CAP_INGRESS_TC      (UINT64_C(1) << 32) /* ... and ingress TC */
#define FO_CAP_COUNTERS_FAST   (UINT64_C(1) << 33) /* counters are of the short cut alone */
#define FO_CAP_NETNS           (UINT64_C(1) << 34)
#define FO_CAP_PER_FLOW_TIMEOUT (UINT64_C(1) << 35)
#define FO_CAP_ASYNC_ADD       (UINT64_C(1) << 36) /* add answers ARMED; an event tells the outcome */
#define FO_CAP_CALLER_NEIGH    (UINT64_C(1) << 37) /* the caller gives both MACs */
#define FO_CAP_BLOCKING_ADD    (UINT64_C(1) << 38) /* add may block on a driver */
#define FO_CAP_VLAN_AD         (UINT64_C(1) << 39) /* tags of 802.1ad, not of 802.1Q alone */
#define FO_CAP_COUNT           40

/* Name of one capability bit ("vlan", "punt-syn"). bit: 0 .. FO_CAP_COUNT-1. Never NULL. Thread: any. */
const char *fo_cap_name(unsigned int bit);

struct fo_caps {
	size_t size;
	char backend[16];
	uint64_t can;                /* FO_CAP_ bits */
	uint32_t max_flows;          /* the backend's own limit; 0: none but memory */
	uint32_t max_encaps;         /* tags and sessions in one adjacency */
	uint32_t delete_bound_ms;    /* after fo_flow_del() returned, no packet begun later uses the flow; 0: at once */
	uint32_t age_granularity_ms; /* an idle flow ends at most this much late, when polled */
	uint32_t max_workers;        /* 0 without FO_CAP_WORKER */
	uint32_t stats_flags;        /* FO_STATS_INCLUDES_SLOW, _GRO_AGGREGATED, _L2_MIXED: what is true of all its counters */
	char text[160];              /* what a person should know about this backend here */
	char choice[400];            /* of a table: why "auto" took this backend and none before it; empty when it was named */
};

/* ---- Tables --------------------------------------------------------------------------------------- */

/* Memory for everything but the struct fo_error of a caller. alloc() returns size bytes aligned to align
 * (a power of two, at most 2 MiB), not necessarily zeroed, or NULL; free() gets the same size back. Called by
 * control calls and fo_worker_open/close only, never by fo_worker_run(). */
struct fo_allocator {
	void *(*alloc)(void *ctx, size_t size, size_t align);
	void (*free)(void *ctx, void *ptr, size_t size);
	void *ctx;
};

enum fo_port_state { FO_PORT_UP = 0, FO_PORT_DOWN = 1, FO_PORT_GONE = 2 };

/* One port: the device that packets enter and leave by. Kernel backends: an ifindex. soft: any number that
 * the packet loop uses in struct fo_packet. */
struct fo_port {
	size_t size;
	uint32_t port;     /* not 0 */
	uint32_t state;    /* enum fo_port_state */
};

enum fo_hash { FO_HASH_DEFAULT = 0, FO_HASH_FAST = 1, FO_HASH_SIPHASH = 2 };

#define FO_TIMEOUT_DEFAULT_MS 120000u

struct fo_table_options {
	size_t size;
	const char *backend;            /* name, or NULL / "auto" */
	uint64_t needs;                 /* FO_CAP_ bits that the backend must have */
	uint32_t capacity;              /* connections at most, 1 .. 2^30; a hard maximum */
	uint32_t max_workers;           /* 0 .. 250; with "auto", more than 0 needs FO_CAP_WORKER */
	const struct fo_port *ports;    /* n_ports of them, port_stride bytes apart (0: sizeof(struct fo_port)) */
	size_t n_ports;                 /* at least one */
	size_t port_stride;
	uint32_t timeout_tcp_ms;        /* idle timeouts where a flow states none; 0: FO_TIMEOUT_DEFAULT_MS */
	uint32_t timeout_udp_ms;
	uint32_t timeout_icmp_ms;
	uint32_t hash;                  /* enum fo_hash: FAST is keyed and rotated, SIPHASH is the conservative choice */
	const struct fo_allocator *allocator; /* copied; NULL: the system's */
	uint64_t (*clock_ms)(void *ctx);      /* monotonic milliseconds; NULL: CLOCK_MONOTONIC */
	void *clock_ctx;
	int32_t netns_fd;               /* kernel backends: network namespace; 0 or -1: the caller's */
	uint32_t flags;                 /* FO_TABLE_ bits */
	const void *backend_options;    /* for a backend's own header; NULL */
	uint32_t stall_ms;              /* a worker inside one run this long is reported; 0: 1000 */
	uint32_t reserved;
};

#define FO_TABLE_ALLOW_SYSCTL  (1u << 0) /* sysctls may be changed; each change is reported in fo_caps.text */
#define FO_TABLE_PERSIST       (1u << 1) /* flows outlive the process (FO_CAP_PERSIST), and come back with the next one */
#define FO_TABLE_ACCEPT_LINGER (1u << 2) /* the caller accepts what FO_CAP_CRASH_LINGERS says */
#define FO_TABLE_ALLOW_FOREIGN (1u << 3) /* share devices with flow tables of others */
#define FO_TABLE_KILL_CONNTRACK (1u << 4) /* without FO_CAP_DELETE_KEEPS_CT: flows with NAT too, whose connections a delete breaks */

/* fo_table_create - open a table on a backend.
 * @opts: see struct fo_table_options; "auto" takes the first backend that has all of needs, and fo_caps.choice says why:
 *        hardware by nft, hardware by tc, bpf, nft in software, soft, as far as the devices allow, they are built in, and
 *        flags have the consents that each asks for; registered ones by their ranks.
 * @out:  the table.
 *
 * -EINVAL an option is wrong; -ENOENT no backend of that name; -EOPNOTSUPP the backend (or, for auto, every
 * backend) lacks a need: the text says which; -ENOMEM; -EPERM; -EBUSY a device is owned by another; -ENODEV.
 * Thread: any (the caller becomes the control thread).
 */
int fo_table_create(const struct fo_table_options *opts, struct fo_table **out, struct fo_error *err);

/* fo_table_destroy - end all flows and free the table; NULL is accepted. With FO_TABLE_PERSIST living flows stay in the
 * device: the next table that is created there has them, with their handles, counters and all that was given. No events are delivered. Workers still
 * open pass every packet on (FO_R_TABLE_GONE); the memory goes with the last fo_worker_close(). Not from a
 * callback of the same table: ignored there. Thread: control. */
void fo_table_destroy(struct fo_table *table);

/* fo_table_caps - what this table's backend can do here. -EINVAL caps->size. Thread: any. */
int fo_table_caps(const struct fo_table *table, struct fo_caps *caps, struct fo_error *err);

/* fo_table_fd - a descriptor that is readable when fo_table_poll() has work: events, ageing, reclaim.
 * For epoll, uloop, libevent; never read it. Owned by the table. -EOPNOTSUPP on systems without one: use
 * fo_table_deadline(). Thread: control. */
int fo_table_fd(struct fo_table *table);

/* fo_table_deadline - when to poll next at the latest, in milliseconds of the table's clock; UINT64_MAX: no
 * need. Thread: control. */
uint64_t fo_table_deadline(struct fo_table *table);

struct fo_event;
typedef void (*fo_event_cb)(void *arg, const struct fo_event *event);

/* fo_table_poll - deliver events and do a slice of ageing, reclaim, index upkeep and the backend's work.
 * @max_events: at most this many callbacks; 0: no limit.
 * @max_us:     stop after about this many microseconds; 0: one slice, which is small (a few hundred cache lines): while
 *              fo_table_deadline() is not in the future, or fo_table_fd() stays readable, there is more to do.
 * @cb:         may call every function of this API on this table except fo_table_poll, fo_table_sync and
 *              fo_table_destroy; NULL: events are dropped.
 *
 * Returns the number of events delivered. -EINVAL called from its own callback (FO_R_CALL_ORDER).
 * Thread: control.
 */
int fo_table_poll(struct fo_table *table, unsigned int max_events, unsigned int max_us,
		  fo_event_cb cb, void *arg, struct fo_error *err);

/* fo_table_sync - wait until workers and backend have let go of all that was deleted or invalidated before
 * this call. Events stay queued for fo_table_poll(). -ETIMEDOUT after timeout_ms (real time), with the stalled
 * worker named. Thread: control. */
int fo_table_sync(struct fo_table *table, unsigned int timeout_ms, struct fo_error *err);

/* fo_port_set - tell the table that a port came up, went down or is gone. UP adds an unknown port. DOWN and
 * GONE: from the next burst on no packet is short-cut to it (FO_R_EGRESS_DOWN), its flows end with an event
 * (FO_R_EGRESS_DOWN). -EINVAL; -ENODEV unknown port; -ENOMEM. Thread: control. */
int fo_port_set(struct fo_table *table, const struct fo_port *port, struct fo_error *err);

/* ---- Adjacencies: one side of the router ------------------------------------------------------------ */

enum fo_encap_kind {
	FO_ENCAP_NONE = 0,
	FO_ENCAP_8021Q = 1,  /* TPID 0x8100 */
	FO_ENCAP_8021AD = 2, /* TPID 0x88a8 */
	FO_ENCAP_PPPOE = 3,  /* session; innermost */
	FO_ENCAP_IPIP = 16,  /* reserved, refused today */
	FO_ENCAP_IP6IP6 = 17,
	FO_ENCAP_GRE = 18
};

struct fo_encap {
	uint16_t kind;       /* enum fo_encap_kind */
	uint16_t id;         /* VID 1..4094, or PPPoE session 1..65534 */
	uint8_t pcp;         /* written on egress, 0..7; ignored on ingress; 0 for PPPoE */
	uint8_t dei;         /* 0 or 1, likewise */
	uint16_t reserved;
};

#define FO_MAX_ENCAPS 3

/* How packets arrive from one side of the router (checked: port, tags, session, destination MAC) and how
 * packets to that side leave. A tag with VID 0 (priority tag) matches no adjacency: such packets pass on. */
struct fo_adj {
	size_t size;
	uint32_t port;
	uint32_t l3_dev;              /* ppp0, br-lan: for fo_invalidate() and kernel backends; 0: same as port */
	uint8_t own_mac[6];           /* ours: source on egress, destination on ingress */
	uint8_t peer_mac[6];          /* destination on egress; zero both where the kernel resolves (nft) */
	uint32_t n_encaps;
	struct fo_encap encap[FO_MAX_ENCAPS]; /* outermost first */
	uint32_t mtu;                 /* largest IP packet to that side, bytes: 68 .. 65535 (1280 at least where an IPv6 flow
				       * is added); inside PPPoE: the session's, at most 65533 */
	uint32_t flags;               /* FO_ADJ_ bits */
};

#define FO_ADJ_ANY_INGRESS (1u << 0) /* do not check port, tags, session and MAC of packets from this side */

/* fo_adj_add - describe one side.
 * -EINVAL field wrong (FO_R_ADJACENCY, FO_R_ENCAP_KIND); -ENODEV unknown port; -EOPNOTSUPP not on this backend;
 * -ENOMEM; -ENOSPC 2^24-1 of them. Thread: control. */
int fo_adj_add(struct fo_table *table, const struct fo_adj *adj, fo_adj_id *out, struct fo_error *err);

/* fo_adj_update - replace what the adjacency says: all its flows follow in one step, counters kept. From the
 * next burst on no packet uses the old one. -ENOENT; -EEXIST the new ingress would give two flows one key;
 * -EBUSY one of the two is closing; -EAGAIN a stalled worker holds too many old entries; the errors of
 * fo_adj_add(). Nothing changed on failure. Thread: control. */
int fo_adj_update(struct fo_table *table, fo_adj_id id, const struct fo_adj *adj, struct fo_error *err);

/* fo_adj_del - forget an adjacency. -ENOENT; -EBUSY flows use it (FO_R_IN_USE): fo_invalidate() them first.
 * Thread: control. */
int fo_adj_del(struct fo_table *table, fo_adj_id id, struct fo_error *err);

/* fo_adj_get - read it back. -ENOENT; -EINVAL out->size. Thread: control. */
int fo_adj_get(struct fo_table *table, fo_adj_id id, struct fo_adj *out, struct fo_error *err);

/* ---- Flows ------------------------------------------------------------------------------------------ */

#define FO_FAMILY_IPV4 4
#define FO_FAMILY_IPV6 6

/* One direction as its packets arrive, before the router translates them.
 * ICMP and ICMPv6: sport_be is the echo identifier, dport_be is htons(type << 8 | code) of the echo message:
 * request in FO_ORIGINAL (0x0800; 0x8000 for ICMPv6), reply in FO_REPLY (0x0000; 0x8100). */
struct fo_tuple {
	uint8_t src[16];     /* network order; IPv4 in the first four bytes, the rest zero */
	uint8_t dst[16];
	uint16_t sport_be;
	uint16_t dport_be;
	uint8_t family;      /* FO_FAMILY_IPV4 or FO_FAMILY_IPV6 */
	uint8_t proto;       /* IPPROTO_TCP 6, UDP 17, ICMP 1 (IPv4), ICMPv6 58 (IPv6) */
	uint16_t reserved;
};

/* Which ends are translated. Zero: whatever the tuples say, but at least one end must mirror the other tuple. */
#define FO_NAT_NONE 1u  /* neither: tuple[1] must be the exact mirror of tuple[0] */
#define FO_NAT_SRC  2u  /* the originator's address or port (SNAT): tuple[1].dst may differ from tuple[0].src */
#define FO_NAT_DST  4u  /* the destination (DNAT): tuple[1].src may differ from tuple[0].dst */

#define FO_DSCP_KEEP 0u
#define FO_DSCP_SET(dscp) (0x80u | ((dscp) & 0x3fu)) /* value for fo_flow.dscp[] */

#define FO_TIMEOUT_TABLE 0u          /* the table's timeout of that protocol */
#define FO_TIMEOUT_NEVER UINT32_MAX
#define FO_TIMEOUT_MAX_MS (UINT32_C(1) << 30) /* 12 days; a longer one is -EINVAL */

/* A connection, both directions. Packets that arrive as tuple[d] leave as the mirror of tuple[1 - d]: NAT is
 * whatever turns one into the mirror of the other. They arrive by adj[d] and leave by adj[1 - d]; adj[FO_ORIGINAL]
 * is the originator's side, both may be the same (hairpin). Key: scope + ingress port and encapsulation + tuple. */
struct fo_flow {
	size_t size;
	struct fo_tuple tuple[2];
	fo_adj_id adj[2];
	uint64_t needs;      /* FO_CAP_ bits; refused where the backend lacks one */
	uint64_t user;       /* the caller's cookie, handed back in info and events */
	uint32_t tag;        /* for fo_invalidate() and walks */
	uint32_t ct_mark;    /* conntrack mark, for backends that carry one; stored by all */
	uint32_t timeout_ms; /* idle timeout, FO_TIMEOUT_TABLE or FO_TIMEOUT_NEVER */
	uint16_t scope;      /* conntrack zone */
	uint8_t dscp[2];     /* FO_DSCP_KEEP or FO_DSCP_SET(): written to packets that travel in that direction */
	uint32_t nat;        /* FO_NAT_ bits, or 0 */
	uint32_t reserved;
};

/* fo_flow_add - offload one connection, both directions or none.
 *
 * -EINVAL     wrong everywhere: FO_R_TUPLE, FO_R_ADDRESS, FO_R_NAT, FO_R_ADJACENCY, FO_R_SIZE, FO_R_ARGUMENT
 * -EOPNOTSUPP well formed, not on this backend: FO_R_UNSUPPORTED, FO_R_NEEDS
 * -EEXIST     either key belongs to a living flow, which is untouched
 * -EBUSY      either key belongs to a flow that is closing: retry after its terminal event
 * -ENOSPC     capacity reached (FO_R_FULL), or FO_R_INDEX_CROWDED (retry: the table rotates its secret)
 * -EAGAIN     slots wait for reclaim: call fo_table_poll()
 * -ENOENT     an adjacency handle is stale (0 is -EINVAL); -ENODEV its port is down or gone; -ENOMEM; -EIO backend error
 *
 * Thread: control. Source: net/netfilter/nf_flow_table_core.c, flow_offload_add().
 */
int fo_flow_add(struct fo_table *table, const struct fo_flow *flow, fo_flow_id *out, struct fo_error *err);

/* fo_flow_add_many - add n flows, stride bytes apart (0: sizeof(struct fo_flow)).
 * @ids, @results: n entries each, may be NULL; results[i] is what fo_flow_add() would have returned.
 * @err: of the first item refused.
 * Returns how many were added, or -EINVAL when the call itself is wrong. The good ones are in effect.
 * Thread: control. */
int fo_flow_add_many(struct fo_table *table, const struct fo_flow *flows, size_t n, size_t stride,
		     fo_flow_id *ids, int *results, struct fo_error *err);

/* Bits of fo_flow_update(): which fields of the struct fo_flow are taken. */
#define FO_UPDATE_TIMEOUT (1u << 0)
#define FO_UPDATE_TAG     (1u << 1)
#define FO_UPDATE_MARK    (1u << 2)
#define FO_UPDATE_DSCP    (1u << 3)
#define FO_UPDATE_ADJ     (1u << 4) /* both of adj[] */
#define FO_UPDATE_USER    (1u << 5)

/* fo_flow_update - change a living flow, counters kept; all of mask or nothing.
 * -ENOENT; -EINVAL unknown bit or wrong value; -EEXIST the new ingress key is taken; -EOPNOTSUPP; -ENODEV.
 * Thread: control. */
int fo_flow_update(struct fo_table *table, fo_flow_id id, uint32_t mask, const struct fo_flow *flow,
		   struct fo_error *err);

/* Validity of counters; unknown is "unknown", never zero. */
#define FO_STATS_PACKETS        (1u << 0) /* packets[] are known */
#define FO_STATS_BYTES          (1u << 1) /* bytes[] are known, L3: IP total length, no padding, no L2 */
#define FO_STATS_LAST_SEEN      (1u << 2)
#define FO_STATS_FINAL          (1u << 3) /* nothing can still move them */
#define FO_STATS_INCLUDES_SLOW  (1u << 4) /* slow path packets are in them */
#define FO_STATS_GRO_AGGREGATED (1u << 5) /* some frames were GSO/GRO aggregates, counted as one packet each */
#define FO_STATS_L2_MIXED       (1u << 6) /* bytes mix L2 and L3 lengths: not comparable */

/* What took the short cut since the flow was ACTIVE. */
struct fo_flow_counters {
	size_t size;
	uint64_t packets[2];
	uint64_t bytes[2];
	uint64_t last_seen_ms[2]; /* table clock; of a direction without a packet yet: when the flow was added.
				   * Unknown (no FO_STATS_LAST_SEEN) after FO_TIMEOUT_MAX_MS of silence. */
	uint32_t flags;           /* FO_STATS_ bits */
	uint32_t reserved;
};

/* fo_flow_del - end the offload of one connection, both directions.
 * @last: receives the counters so far; may be NULL. With FO_STATS_FINAL in last->flags the flow is gone: its
 *        tuple is free and no event follows. Otherwise (always when last is NULL) it is CLOSING, its tuple stays taken, and
 *        FO_EV_DELETED brings the final counters. Final counters come exactly once.
 *
 * Returns 0 when accepted: no burst and no packet begun after fo_caps.delete_bound_ms uses the flow.
 * -ENOENT no such flow, or it is ending already (its event brings the counters); -EIO the backend refused; the flow
 * is still there. Thread: control.
 */
int fo_flow_del(struct fo_table *table, fo_flow_id id, struct fo_flow_counters *last, struct fo_error *err);

/* fo_flow_del_many - delete n flows; final counters come with events. Returns how many were accepted; results (may be
 * NULL) has one entry per item. Thread: control. */
int fo_flow_del_many(struct fo_table *table, const fo_flow_id *ids, size_t n, int *results, struct fo_error *err);

/* A key as packets show it, to find a flow by. */
#define FO_PORT_ANY UINT32_MAX
struct fo_key {
	size_t size;
	struct fo_tuple tuple;
	uint32_t port;       /* ingress port; FO_PORT_ANY: port and encap are not compared */
	uint32_t n_encaps;
	struct fo_encap encap[FO_MAX_ENCAPS]; /* kind and id are compared */
	uint16_t scope;
	uint16_t reserved[3];
};

/* fo_flow_find - the living flow whose packets have this key. @dir may be NULL. -ENOENT; -EINVAL. Thread: control. */
int fo_flow_find(struct fo_table *table, const struct fo_key *key, fo_flow_id *out, enum fo_dir *dir,
		 struct fo_error *err);

enum fo_state {
	FO_STATE_NONE = 0,
	FO_STATE_ARMED = 1,    /* accepted; the slow path carries it */
	FO_STATE_ACTIVE = 2,   /* short cut in software */
	FO_STATE_HARDWARE = 3,
	FO_STATE_PARTIAL = 4,  /* one direction in hardware, or not proven */
	FO_STATE_CLOSING = 5   /* ending; its terminal event is to come */
};
/* "armed", "active", ... Never NULL. Thread: any. */
const char *fo_state_name(unsigned int state);

struct fo_flow_info {
	size_t size;
	fo_flow_id id;
	struct fo_flow flow;     /* as added, updates applied; timeout_ms resolved */
	uint32_t state;          /* enum fo_state, as last seen */
	uint32_t reason;         /* enum fo_reason: why ARMED, PARTIAL or CLOSING; else FO_R_NONE */
	uint64_t since_ms;       /* table clock: when it was added */
	struct fo_flow_counters counters;
};

/* fo_flow_get - all that is known of one flow. -ENOENT; -EINVAL out->size. Thread: control. */
int fo_flow_get(struct fo_table *table, fo_flow_id id, struct fo_flow_info *out, struct fo_error *err);

/* fo_flow_stats - counters alone; no side effect. -ENOENT; -EINVAL out->size. Thread: control. */
int fo_flow_stats(struct fo_table *table, fo_flow_id id, struct fo_flow_counters *out, struct fo_error *err);

/* Which flows: every set bit of mask must match. mask 0: all flows. */
#define FO_MATCH_TAG    (1u << 0)
#define FO_MATCH_PORT   (1u << 1) /* either side's port */
#define FO_MATCH_L3_DEV (1u << 2) /* either side's L3 device */
#define FO_MATCH_MAC    (1u << 3) /* either side's peer MAC */
#define FO_MATCH_PREFIX (1u << 4) /* any address of either tuple */
#define FO_MATCH_SCOPE  (1u << 5)
#define FO_MATCH_PROTO  (1u << 6)
#define FO_MATCH_STATE  (1u << 7) /* walks only */
#define FO_MATCH_ADJ    (1u << 8) /* either side is this adjacency */

struct fo_match {
	size_t size;
	uint32_t mask;        /* FO_MATCH_ bits */
	uint32_t tag;
	uint32_t port;
	uint32_t l3_dev;
	uint8_t mac[6];
	uint16_t scope;
	uint8_t prefix[16];   /* network order */
	uint8_t prefix_len;   /* bits */
	uint8_t family;       /* of the prefix */
	uint8_t proto;
	uint8_t state;
	uint32_t reserved;
	fo_adj_id adj;
};

/* Return 0 to go on, anything else to stop. May call the API as a poll callback may (delete the flow, say). */
typedef int (*fo_walk_cb)(void *arg, const struct fo_flow_info *info);

/* fo_flow_walk - visit flows; one that lives during the whole walk is seen exactly once, CLOSING ones too.
 * @match: NULL: all. Returns the number visited; -EINVAL. Thread: control. */
int fo_flow_walk(struct fo_table *table, const struct fo_match *match, fo_walk_cb cb, void *arg,
		 struct fo_error *err);

/* fo_invalidate - end all flows that match and were added before this call; each gets its event (FO_EV_INVALIDATED).
 * By port, L3 device, MAC or adjacency alone, or by any of tag, prefix, scope and protocol: from the next burst on no
 * packet uses them; on a backend with a delete bound, within fo_caps.delete_bound_ms. A match that mixes both
 * kinds, or several of the first: within the next polls; fo_table_sync() waits for it. Adjacencies stay and may be used
 * for new flows at once.
 * -EINVAL. Thread: control. */
int fo_invalidate(struct fo_table *table, const struct fo_match *match, struct fo_error *err);

/* ---- Events ----------------------------------------------------------------------------------------- */

enum fo_event_kind {
	FO_EV_STATE = 1,       /* ARMED, ACTIVE, HARDWARE, PARTIAL changed; coalesced */
	FO_EV_FALLBACK = 2,    /* left the short cut, still armed; coalesced */
	FO_EV_WORKER = 3,      /* a worker stalls or came back (reason FO_R_STALLED / FO_R_NONE); flow is 0 */
	/* terminal: one per flow; the callback finds its tuple free, and its id and its place in the
	 * capacity still held */
	FO_EV_DELETED = 16,    /* fo_flow_del() */
	FO_EV_CLOSED = 17,     /* FIN or RST */
	FO_EV_EXPIRED = 18,    /* idle */
	FO_EV_INVALIDATED = 19,/* fo_invalidate(), fo_port_set() */
	FO_EV_REFUSED = 20,    /* an asynchronous backend refused it */
	FO_EV_LOST = 21        /* the backend lost it */
};
#define FO_EV_IS_TERMINAL(kind) ((kind) >= FO_EV_DELETED)

/* "state", "expired", ... Never NULL. Thread: any. */
const char *fo_event_name(unsigned int kind);

struct fo_event {
	size_t size;
	uint32_t kind;           /* enum fo_event_kind */
	uint32_t reason;         /* enum fo_reason */
	fo_flow_id flow;
	uint64_t user;
	uint32_t tag;
	uint32_t state;          /* enum fo_state: before the end, for terminal ones */
	uint32_t worker;         /* FO_EV_WORKER: its number */
	int32_t backend_errno;   /* FO_EV_REFUSED, FO_EV_LOST: the backend's errno, or 0 */
	struct fo_flow_counters counters; /* terminal: FO_STATS_FINAL */
};

/* ---- Policies ------------------------------------------------------------------------------------------ */

typedef uint64_t fo_policy_id; /* as fo_flow_id */

/* Offload whatever the kernel has established and this matches, without being asked for each connection: what a rule
 * with "flow add" in the forward chain does. A flow taken by policy appears with an event (FO_EV_STATE) at a poll after the
 * kernel took it, and from then on is a flow like any other, with the policy's adjacencies, tag, user and timeout;
 * connections that were over before that poll are not seen. Prefixes and ports mean what the forward chain sees:
 * src is the originator as its packets arrive, dst what they are forwarded to, after DNAT. */
struct fo_policy {
	size_t size;
	fo_adj_id adj[2];    /* FO_ORIGINAL: the originators' side; their L3 devices are matched. Required */
	uint8_t src[16];     /* prefixes, network order; bits beyond the length are not looked at */
	uint8_t dst[16];
	uint8_t src_len;     /* bits; 0: any */
	uint8_t dst_len;
	uint8_t family;      /* FO_FAMILY_IPV4, FO_FAMILY_IPV6; 0: both, without prefixes */
	uint8_t proto;       /* TCP 6 or UDP 17; 0: both */
	uint16_t sport_first, sport_last; /* host order; 0 and 0: any */
	uint16_t dport_first, dport_last;
	uint32_t timeout_ms; /* of its flows, as in struct fo_flow */
	uint32_t tag;
	uint16_t scope;      /* conntrack zone */
	uint16_t reserved[3];
	uint64_t user;
};

/* fo_policy_add - take flows by this policy from now on.
 * -EINVAL a field is wrong, -ENOENT an adjacency is stale, -ENODEV its port is down; -EOPNOTSUPP not on this backend (no
 * FO_CAP_POLICY), or a scope it has not; -ENOSPC 32 policies; -EIO the backend refused; -ENOMEM. Thread: control. */
int fo_policy_add(struct fo_table *table, const struct fo_policy *policy, fo_policy_id *out, struct fo_error *err);

/* fo_policy_del - take no more; flows that it took end (FO_EV_INVALIDATED). fo_table_sync() waits for it. -ENOENT; -EIO the
 * backend refused: it stands. Thread: control. */
int fo_policy_del(struct fo_table *table, fo_policy_id id, struct fo_error *err);

/* fo_policy_get - read it back. -ENOENT; -EINVAL out->size. Thread: control. */
int fo_policy_get(struct fo_table *table, fo_policy_id id, struct fo_policy *out, struct fo_error *err);

/* fo_policy_at - the i-th of the table's policies, from 0: its id; 0: no more. Thread: control. */
fo_policy_id fo_policy_at(struct fo_table *table, unsigned int i);

/* ---- Table counters, explanations --------------------------------------------------------------------- */

struct fo_table_counters {
	size_t size;
	uint64_t flows;              /* living: ARMED, ACTIVE, HARDWARE, PARTIAL */
	uint64_t closing;            /* CLOSING, their terminal event not delivered */
	uint64_t capacity;
	uint64_t adjacencies;
	uint64_t added;              /* since create */
	uint64_t refused;            /* fo_flow_add() calls that failed */
	uint64_t ended[8];           /* by terminal event kind: [kind - FO_EV_DELETED]; [7]: with FINAL by fo_flow_del() */
	uint64_t forwarded_packets;  /* by the short cut, since create, ended flows included, as last reported by the backend */
	uint64_t forwarded_bytes;    /* L3 */
	uint64_t passed[FO_R_PACKET_MAX]; /* packets that workers passed on, by reason */
	uint64_t index_moves;        /* entries the index displaced or sent home */
	uint64_t index_rotations;    /* changes of the hash secret */
	uint64_t memory;             /* bytes of the table's own memory: reserved, whether touched or not */
	uint32_t workers;            /* open */
	uint32_t flags;              /* FO_STATS_ bits that hold for forwarded_* */
};

/* fo_stats - the table's counters; no side effect. -EINVAL out->size. Thread: control. */
int fo_stats(struct fo_table *table, struct fo_table_counters *out, struct fo_error *err);

struct fo_explanation {
	size_t size;
	fo_flow_id flow;         /* the flow spoken of, or 0 */
	uint32_t state;          /* enum fo_state; FO_STATE_NONE: not offloaded */
	uint32_t reason;         /* why not, or why not fully */
	uint32_t stage;          /* enum fo_stage */
	int32_t backend_errno;
	uint32_t dir;            /* by key: which direction the key is */
	uint32_t reserved;
	uint64_t since_ms;
	struct fo_flow_counters counters;
	char text[400];          /* for a person: one to three sentences */
};

/* fo_flow_explain - is it offloaded, since when, and if not, why not.
 * @id:  a flow, or 0 to ask by key. An id that has ended is explained as long as the table remembers it.
 * @key: used when id is 0; a tuple that no flow has is answered too (state NONE, with what the table knows: ended
 *       and why, refused and why, key known from another ingress, never seen).
 * -ENOENT id was never given out or is forgotten; -EINVAL. Thread: control. */
int fo_flow_explain(struct fo_table *table, fo_flow_id id, const struct fo_key *key,
		    struct fo_explanation *out, struct fo_error *err);

/* ---- Backends ----------------------------------------------------------------------------------------- */

/* fo_backend_name - name of the i-th backend of this library and of those registered, or NULL. Thread: any. */
const char *fo_backend_name(unsigned int i);

/* fo_backend_probe - what a backend could do here with these options, without creating anything.
 * @opts: NULL: no options. caps->text and err->text say why not.
 * -ENOENT unknown name; -EPERM; -EOPNOTSUPP; -ENODEV. Thread: any. */
int fo_backend_probe(const char *name, const struct fo_table_options *opts, struct fo_caps *caps,
		     struct fo_error *err);

/* ---- The software fast path ----------------------------------------------------------------------------- */

enum fo_verdict { FO_PASS = 0, FO_FORWARD = 1 };

#define FO_PKT_CSUM_PARTIAL (1u << 0) /* in, out: L4 checksum field holds the pseudo header sum; csum_* are valid */
#define FO_PKT_GSO          (1u << 1) /* in, out: gso_size is valid; the frame is to be segmented by whoever sends it */
#define FO_PKT_VLAN         (1u << 2) /* in: the outermost tag is in vlan_*, not in data. Cleared on FORWARD: tags are in data */

/* One Ethernet frame in the caller's buffer. Exactly 64 bytes. Only the headers (up to 94 bytes: L2 with tags and PPPoE, IP, and
 * TCP's fixed part) must be contiguous; the rest may be anywhere. The buffer is the caller's alone during the run.
 * PASS: frame and struct are as they were, but for verdict, reason and flow. FORWARD: data, headroom, contiguous, length, out_port,
 * csum_start and flags describe the frame to send; it is trimmed to the IP length (pad it to 60 bytes where the link needs it).
 * length < contiguous after a trim never happens. */
struct fo_packet {
	uint8_t *data;        /* first byte of the Ethernet header */
#if UINTPTR_MAX == UINT32_MAX
	uint32_t data_hi;
#endif
	uint64_t user;        /* the caller's; never touched */
	uint32_t contiguous;  /* bytes readable at data */
	uint32_t length;      /* whole frame, bytes from data on */
	uint32_t in_port;
	uint32_t out_port;    /* out, FORWARD */
	uint32_t flags;       /* FO_PKT_ bits */
	uint16_t headroom;    /* writable bytes before data */
	uint16_t gso_size;    /* L4 payload per segment, bytes */
	uint16_t csum_start;  /* FO_PKT_CSUM_PARTIAL: offset of the L4 header from data */
	uint16_t csum_offset; /* ... and of the checksum field from there */
	uint16_t vlan_tci;    /* FO_PKT_VLAN */
	uint16_t vlan_tpid;   /* 0x8100 or 0x88a8 */
	fo_flow_id flow;      /* out: the flow, with FO_WORKER_FLOW_IDS; else 0 */
	uint8_t verdict;      /* out: enum fo_verdict */
	uint8_t reason;       /* out: enum fo_reason, FO_R_NONE when forwarded */
	uint16_t scope;       /* in: conntrack zone of this packet */
	uint32_t reserved;    /* zero */
};

#define FO_WORKER_FLOW_IDS (1u << 0) /* fill fo_packet.flow; costs a cache line per packet */

struct fo_worker_options {
	size_t size;
	size_t packet_size;   /* sizeof(struct fo_packet); 0: that */
	uint32_t flags;       /* FO_WORKER_ bits */
	uint32_t reserved;
};

/* fo_worker_open - register a packet loop. @opts may be NULL.
 * -EOPNOTSUPP a backend without workers; -ENOSPC fo_table_options.max_workers are open (FO_R_WORKERS);
 * -EINVAL packet_size; -ENOMEM. Thread: any, but not at the same time as fo_table_destroy(). */
int fo_worker_open(struct fo_table *table, const struct fo_worker_options *opts, struct fo_worker **out,
		   struct fo_error *err);

/* fo_worker_run - give each of n packets its verdict, and rewrite those to forward.
 * @packets: n of them, any n; 32 is a good burst.
 * @now_ms:  the table's clock (CLOCK_MONOTONIC milliseconds unless hooked), read once per burst by the caller.
 *
 * Returns how many are FO_FORWARD. No lock, no syscall, no allocation; between calls the worker is offline and
 * holds nothing up. Packets of one flow are judged in their order. Checksums are updated, not verified: a wrong one
 * stays wrong. Must not be left by longjmp or cancellation.
 * Thread: worker (one thread at a time per worker). Source: net/netfilter/nf_flow_table_ip.c.
 */
unsigned int fo_worker_run(struct fo_worker *worker, struct fo_packet *packets, unsigned int n, uint64_t now_ms);

/* fo_worker_close - give the worker back; NULL is accepted. Its counters stay in the table. Thread: any, not during its run.
 * One whose thread has died inside fo_worker_run() holds up reuse until another thread closes it; what that thread had
 * forwarded and not counted is in no counter. */
void fo_worker_close(struct fo_worker *worker);

#ifdef __cplusplus
}
#endif

#endif /* FLOWOFFLOAD_H */
