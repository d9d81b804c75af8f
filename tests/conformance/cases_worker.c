/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_worker.c - fo_worker_open(), run and close as an embedder calls them: several workers, wrong calls, a table that goes
 * away first. What a worker does to packets is in all the other files. */
#include <errno.h>

#include "topology.h"

#define ROOM 2048u

static uint8_t buffers[300][ROOM];
static struct fo_packet packets[300];
static struct packet_frame frame;

static void three_workers(struct env *env)
{
	env->options.max_workers = 3;
}

/* The i-th packet: a valid one of this flow's direction. Returns its IP length. */
static uint32_t load(struct env *env, unsigned int i, unsigned int flow, enum fo_dir dir)
{
	struct packet_spec spec;

	env_spec(env, flow, dir, &spec);
	spec.payload_len = i % 100;
	packet_build(&spec, &frame);
	memset(&packets[i], 0, sizeof(packets[i]));
	memcpy(buffers[i] + 64, frame.bytes, frame.length);
	packets[i].data = buffers[i] + 64;
	packets[i].headroom = 64;
	packets[i].contiguous = packets[i].length = frame.length;
	packets[i].in_port = env->flows[flow].adj[dir].port;
	packets[i].flow = 0x5555; /* out only */
	return frame.length - frame.l3;
}

static struct fo_worker *open_worker(struct env *env, uint32_t flags)
{
	struct fo_worker *worker = NULL;
	struct fo_worker_options o;

	FO_INIT(&o);
	o.flags = flags;
	OK(env, fo_worker_open(env->table, &o, &worker, &env->err));
	REQUIRE(worker != NULL);
	return worker;
}

/* Any worker may take any packet: the flow's counters are the sum, also after a worker has gone. */
static void counters_are_the_sum_of_workers(struct env *env)
{
	unsigned int n = usual(env), i;
	struct fo_worker *w[2];

	w[0] = open_worker(env, 0);
	w[1] = open_worker(env, 0);
	for (i = 0; i < 200; i++) {
		enum fo_dir dir = i % 3 ? FO_ORIGINAL : FO_REPLY;
		uint32_t bytes = load(env, i, n, dir);

		REQUIRE_EQ(fo_worker_run(w[i & 1], &packets[i], 1, env->rig->now_ms(env->state)), 1);
		env->flows[n].packets[dir]++;
		env->flows[n].bytes[dir] += bytes;
		if (i % 50 == 0)
			env_traffic(env, n, dir, 1); /* the rig's own worker, too */
		if (i % 20 == 0)
			env_check_counters(env, n);
	}
	fo_worker_close(w[0]);
	env_check_counters(env, n);
	fo_worker_close(w[1]);
	env_delete(env, n);
}

static void bursts_of_any_size(struct env *env)
{
	static const unsigned int sizes[] = {0, 1, 31, 32, 33, 64, 65, 300};
	unsigned int a = usual(env), b = usual(env), s, i;
	struct fo_worker *worker = open_worker(env, FO_WORKER_FLOW_IDS);

	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (i = 0; i < sizes[s]; i++) {
			unsigned int flow = i & 1 ? a : b;
			uint32_t bytes = load(env, i, flow, FO_ORIGINAL);

			env->flows[flow].packets[0]++;
			env->flows[flow].bytes[0] += bytes;
		}
		REQUIRE_EQ(fo_worker_run(worker, packets, sizes[s], env->rig->now_ms(env->state)), sizes[s]);
		for (i = 0; i < sizes[s]; i++)
			REQUIRE(packets[i].flow == env->ids[i & 1 ? a : b]);
	}
	env_check_counters(env, a);
	env_check_counters(env, b);
	fo_worker_close(worker);
}

static void flow_ids_only_when_asked_for(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_worker *worker = open_worker(env, 0);

	load(env, 0, n, FO_ORIGINAL);
	REQUIRE_EQ(fo_worker_run(worker, packets, 1, env->rig->now_ms(env->state)), 1);
	REQUIRE_EQ(packets[0].flow, 0);
	fo_worker_close(worker);
}

static void wrong_calls(struct env *env)
{
	struct fo_worker *worker = NULL, *last;
	struct fo_worker_options o;
	struct fo_table_counters stats;
	unsigned int i;

	FO_INIT(&o);
	o.packet_size = sizeof(struct fo_packet) - 8;
	REFUSED(env, fo_worker_open(env->table, &o, &worker, &env->err), -EINVAL, ANY_REASON, "packet_size");
	o.packet_size = 0;
	o.flags = 1u << 20;
	REFUSED(env, fo_worker_open(env->table, &o, &worker, &env->err), -EINVAL, ANY_REASON, "flags");
	o.flags = 0;
	o.size = 2;
	REFUSED(env, fo_worker_open(env->table, &o, &worker, &env->err), -EINVAL, FO_R_SIZE, "size");
	REFUSED(env, fo_worker_open(env->table, NULL, NULL, &env->err), -EINVAL, FO_R_ARGUMENT, "out");
	/* as many as were asked for at create, no more; a place is free again after a close */
	for (i = 0; i < 20; i++) {
		worker = open_worker(env, 0);
		last = open_worker(env, 0);
		REFUSED(env, fo_worker_open(env->table, NULL, &worker, &env->err), -ENOSPC, FO_R_WORKERS,
			NULL);
		env_stats(env, &stats);
		REQUIRE_EQ(stats.workers, 3);
		fo_worker_close(worker);
		fo_worker_close(last);
	}
	env_stats(env, &stats);
	REQUIRE_EQ(stats.workers, 1);
}

/* Workers outlive their table: they pass all on, and the last close frees what is left. */
static void worker_of_a_destroyed_table(struct env *env)
{
	unsigned int n = usual(env);
	struct fo_worker *worker = open_worker(env, 0);
	uint64_t now = env->rig->now_ms(env->state);
	uint8_t before[ROOM];

	load(env, 0, n, FO_ORIGINAL);
	REQUIRE_EQ(fo_worker_run(worker, packets, 1, now), 1);
	load(env, 0, n, FO_ORIGINAL);
	memcpy(before, buffers[0], ROOM);
	env->rig->detach(env->state);
	fo_table_destroy(env->table);
	env->table = NULL;
	REQUIRE_EQ(fo_worker_run(worker, packets, 1, now), 0);
	REQUIRE_EQ(packets[0].verdict, FO_PASS);
	REQUIRE_EQ(packets[0].reason, FO_R_TABLE_GONE);
	REQUIRE(!memcmp(before, buffers[0], ROOM));
	fo_worker_close(worker);
}

static void fixed_hash(struct env *env, uint32_t hash)
{
	unsigned int n, i;

	env->options.hash = hash;
	env->options.capacity = env_room(env, 1000);
	env_open(env);
	n = env->options.capacity;
	for (i = 0; i < n; i++)
		usual(env);
	for (i = 0; i < n; i++) {
		env_traffic(env, i, FO_ORIGINAL, 1);
		env_traffic(env, n - 1 - i, FO_REPLY, 1);
	}
	env_delete_every(env, 2);
	for (i = 0; i < n; i++) {
		if (i & 1)
			env_traffic(env, i, FO_REPLY, 1);
		else
			env_quiet(env, i, FO_REPLY, FO_R_NO_FLOW);
		if (i & 1)
			env_check_counters(env, i);
	}
	env_close(env);
}

/* A table that is full to the last flow, half emptied: with each hash. */
static void full_tables_under_each_hash(struct env *env)
{
	fixed_hash(env, FO_HASH_FAST);
	fixed_hash(env, FO_HASH_SIPHASH);
}

static const struct suite_case worker_cases[] = {
	{.name = "counters_are_the_sum_of_workers",
	 .run = counters_are_the_sum_of_workers,
	 .prepare = three_workers,
	 .needs = FO_CAP_WORKER},
	{.name = "bursts_of_any_size",
	 .run = bursts_of_any_size,
	 .prepare = three_workers,
	 .needs = FO_CAP_WORKER},
	{.name = "flow_ids_only_when_asked_for",
	 .run = flow_ids_only_when_asked_for,
	 .prepare = three_workers,
	 .needs = FO_CAP_WORKER},
	{.name = "wrong_calls", .run = wrong_calls, .prepare = three_workers, .needs = FO_CAP_WORKER},
	{.name = "worker_of_a_destroyed_table_passes_all",
	 .run = worker_of_a_destroyed_table,
	 .prepare = three_workers,
	 .needs = FO_CAP_WORKER},
	{.name = "full_tables_under_each_hash", .run = full_tables_under_each_hash, .no_table = 1},
};
SUITE_GROUP(group_worker, "worker", worker_cases);
