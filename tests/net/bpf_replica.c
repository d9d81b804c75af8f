/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_replica.c - the source of the XDP program, compiled for this machine instead of for the kernel, against fo_worker_run():
 * see bpf_differential.h.
 *
 * Needs no kernel that has BPF, so it also runs for other processors, and for the other byte order, under qemu-user. Maps are
 * arrays, which a backend of this file's own fills by what backend bpf fills its maps by (src/backends/bpf/encode.h). What
 * the verifier or the compiler for BPF make of the source it cannot see; that is bpf_differential.c's.
 */
#define _GNU_SOURCE
#include "bpf_differential.h"

#include "backends/bpf/encode.h"
#include "backends/bpf/xdp.bpf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 4096u
/* About what the kernel's test run has; behind an Ethernet header words lie straight, as drivers see to where machines want
 * that. */
#define ROOM_BEFORE 258u
#define ROOM	    8192u

const char program_name[] = "bpf-replica", backend_name[] = "replica";

struct element {
	int used;
	union fo__bpf_key key;
	union fo__bpf_element element;
};

/* ---- maps ---- */

static struct element elements[2][2 * SLOTS]; /* by family, in the order of states */
static struct fo__bpf_state states_of[2 * SLOTS];
static struct fo__bpf_entry entries_of[2 * SLOTS + 1];
static uint32_t numbers[2 * SLOTS + 1]; /* of entries, by side */
static struct {
	struct fo__bpf_ingress_key key;
	uint32_t number;
} ingresses[2 * SLOTS];
static uint32_t n_ingresses, slots_high;
static struct fo__bpf_counters counted;
static uint64_t ticks = 1;
static uint8_t *room; /* where 32 bits are an address, as in struct xdp_md */

static void *find_element(int v6, const void *key)
{
	size_t size = v6 ? sizeof(struct fo__bpf_key6) : sizeof(struct fo__bpf_key4);

	for (unsigned int i = 0; i < 2 * slots_high; i++) {
		struct element *element = &elements[v6][i / 2 + i % 2 * SLOTS];

		if (element->used && !memcmp(&element->key, key, size))
			return &element->element;
	}
	return NULL;
}

static void *find_ingress(const struct fo__bpf_ingress_key *key)
{
	for (uint32_t i = 0; i < n_ingresses; i++)
		if (!memcmp(&ingresses[i].key, key, sizeof(*key)))
			return &ingresses[i].number;
	return NULL;
}

static void *find_device(const uint32_t *key)
{
	for (unsigned int i = 0; i < PORTS; i++)
		if (ports_of[i] == *key)
			return &ports_of[i];
	return NULL;
}

void *bpf_map_lookup_elem(const void *map, const void *key)
{
	uint32_t number;

	if (map == &flows4 || map == &flows6)
		return find_element(map == &flows6, key);
	if (map == &ingress)
		return find_ingress(key);
	if (map == &devices)
		return find_device(key);
	memcpy(&number, key, sizeof(number));
	if (map == &states)
		return number < 2 * SLOTS ? &states_of[number] : NULL;
	if (map == &adjacencies)
		return number < 2 * SLOTS + 1 ? &numbers[number] : NULL;
	if (map == &entries)
		return number < 2 * SLOTS + 1 ? &entries_of[number] : NULL;
	return map == &counters ? &counted : NULL;
}

/* ---- helpers ---- */

int bpf_xdp_adjust_head(struct xdp_md *ctx, int delta)
{
	uint32_t data = ctx->data + (uint32_t)delta;

	if (data < (uint32_t)(uintptr_t)room || data + 14 > ctx->data_end)
		return -1;
	ctx->data = data;
	return 0;
}

int bpf_xdp_adjust_tail(struct xdp_md *ctx, int delta)
{
	uint32_t end = ctx->data_end + (uint32_t)delta;

	if (end > (uint32_t)(uintptr_t)room + ROOM || end < ctx->data + 14)
		return -1;
	ctx->data_end = end;
	return 0;
}

int bpf_redirect_map(const void *map, __u32 key, __u64 flags)
{
	return bpf_map_lookup_elem(map, &key) ? XDP_REDIRECT : (int)flags;
}

/* A ring that is always full: the flag alone tells. */
void *bpf_ringbuf_reserve(const void *ring, __u64 size, __u64 flags)
{
	(void)ring;
	(void)size;
	(void)flags;
	return NULL;
}

void bpf_ringbuf_submit(void *data, __u64 flags)
{
	(void)data;
	(void)flags;
}

__u64 bpf_jiffies64(void)
{
	return ticks += 2;
}

/* ---- a backend that fills the maps ---- */

struct table {
	struct fo_host *host;
	const struct fo_host_ops *ops;
	uint64_t reported[2 * SLOTS][2];
};

static int replica_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	(void)options;
	(void)err;
	caps->can = FO_CAP_IPV4 | FO_CAP_IPV6 | FO_CAP_TCP | FO_CAP_UDP | FO_CAP_ICMP_ECHO | FO_CAP_SNAT |
		    FO_CAP_DNAT | FO_CAP_PORT_NAT | FO_CAP_NAT66 | FO_CAP_VLAN | FO_CAP_VLAN_AD |
		    FO_CAP_QINQ | FO_CAP_PPPOE | FO_CAP_DSCP | FO_CAP_INGRESS | FO_CAP_COUNTERS_FAST |
		    FO_CAP_CALLER_NEIGH | FO_CAP_PER_FLOW_TIMEOUT;
	caps->max_encaps = FO_MAX_ENCAPS;
	return 0;
}

static int replica_create(const struct fo_backend_config *given, struct fo_caps *caps, void **priv,
			  struct fo_error *err)
{
	static struct table table;

	if (given->slots > SLOTS)
		fail("a table", "has more slots than this test");
	memset(elements, 0, sizeof(elements));
	memset(states_of, 0, sizeof(states_of));
	n_ingresses = slots_high = 0;
	fo_slots = SLOTS;
	table = (struct table){.host = given->host, .ops = given->ops};
	*priv = &table;
	return replica_probe(given->options, caps, err);
}

static void replica_destroy(void *priv)
{
	(void)priv;
}

static uint32_t ingress_number(const struct fo_adj *adj)
{
	struct fo__bpf_ingress_key key = {.encap = fo__bpf_encap_word(adj), .port = adj->port};
	uint32_t *found = find_ingress(&key);

	if (!adj->n_encaps)
		return adj->port;
	if (found)
		return *found;
	ingresses[n_ingresses].key = key;
	ingresses[n_ingresses].number = FO__BPF_INGRESS_TAGGED | n_ingresses;
	return ingresses[n_ingresses++].number;
}

/* Each flow has sides of its own. */
static int replica_flow_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state,
			    struct fo_error *err)
{
	uint32_t side[2] = {1 + 2 * flow->slot, 2 + 2 * flow->slot};
	int v6 = flow->flow->tuple[0].family == FO_FAMILY_IPV6;

	(void)priv;
	(void)state;
	(void)err;
	if (slots_high <= flow->slot)
		slots_high = flow->slot + 1;
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct element *to = &elements[v6][flow->slot + dir * SLOTS];

		numbers[side[dir]] = side[dir];
		fo__bpf_build_entry(flow->in[dir], ingress_number(flow->in[dir]), &entries_of[side[dir]]);
		fo__bpf_build_key(&flow->flow->tuple[dir], ingress_number(flow->in[dir]), &to->key);
		fo__bpf_build_element(flow, SLOTS, dir, side, &to->element);
		to->used = 1;
	}
	return 0;
}

static int replica_flow_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	(void)priv;
	(void)cookie;
	(void)err;
	for (unsigned int dir = 0; dir < 2; dir++)
		elements[0][slot + dir * SLOTS].used = elements[1][slot + dir * SLOTS].used = 0;
	return 0;
}

static int replica_flow_stats(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	struct table *table = priv;

	(void)err;
	for (unsigned int dir = 0; dir < 2; dir++) {
		uint32_t number = slot + dir * SLOTS;
		const struct fo__bpf_state *now = &states_of[number];

		table->ops->count(table->host, cookie, dir, now->packets - table->reported[number][0],
				  now->bytes - table->reported[number][1], 0);
		table->reported[number][0] = now->packets;
		table->reported[number][1] = now->bytes;
	}
	return 0;
}

static const struct fo_backend replica = {
	.size = sizeof(replica),
	.abi = FO_BACKEND_ABI,
	.name = "replica",
	.probe = replica_probe,
	.create = replica_create,
	.destroy = replica_destroy,
	.flow_add = replica_flow_add,
	.flow_del = replica_flow_del,
	.flow_stats = replica_flow_stats,
};

/* ---- the program ---- */

int program_of(const struct hook *hook)
{
	(void)hook;
	return 0;
}

void close_program(int program)
{
	(void)program;
}

int by_program(int program, int tc, const struct packet_frame *frame, uint32_t in_port, struct outcome *out)
{
	uint32_t at = (uint32_t)(uintptr_t)room + ROOM_BEFORE;
	struct xdp_md ctx = {.data = at, .data_end = at + frame->length, .ingress_ifindex = in_port};
	int verdict;

	(void)program;
	(void)tc;
	memcpy(room + ROOM_BEFORE, frame->bytes, frame->length);
	verdict = xdp_run(&ctx, frame->length);
	if (verdict != XDP_REDIRECT && verdict != XDP_PASS)
		fail("the program", "neither sends nor passes");
	out->forward = verdict == XDP_REDIRECT;
	out->length = ctx.data_end - ctx.data;
	memcpy(out->bytes, (const void *)(uintptr_t)ctx.data, out->length);
	return 1;
}

static void open_room(void)
{
	/* A wish, which any machine with room there grants. */
	room = mmap((void *)(uintptr_t)0x20000000u, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (room == MAP_FAILED || (uintptr_t)room > UINT32_MAX - ROOM)
		skip("no memory at an address of 32 bits");
}

/* bpf-replica [SEED [CORPUS_FILE...]] */
int main(int argc, char **argv)
{
	static const struct hook hook = {"XDP, compiled for this machine", FO_BPF_ATTACH_XDP, 0};
	struct fo_error err;

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0) | 1;
	for (unsigned int i = 0; i < PORTS; i++)
		ports_of[i] = i + 1;
	open_room();
	if (fo_backend_register(&replica, &err))
		fail("fo_backend_register", err.text);
	run_hook(&hook);
	run_corpus(&hook, argc > 2 ? argv + 2 : NULL);
	printf("2 passed, 0 failed, 0 skipped\n");
	return 0;
}
