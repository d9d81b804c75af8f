/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_tables.c - tables: options, order of calls, allocator, sync; and rule 12: what a crash
 * leaves behind. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "topology.h"

static void options(struct env *env)
{
	struct fo_table_options o;
	struct fo_table *table = NULL;
	struct fo_port ports[2];

	env_open(env); /* the rig has filled in backend and clock */
#define BAD(change, code, reason, field)                                                                     \
	do {                                                                                                 \
		o = env->options;                                                                            \
		memcpy(ports, env->ports, sizeof(ports));                                                    \
		change;                                                                                      \
		REFUSED(env, fo_table_create(&o, &table, &env->err), code, reason, field);                   \
		REQUIRE(table == NULL);                                                                      \
	} while (0)
	BAD(o.size = 0, -EINVAL, FO_R_SIZE, "size");
	BAD(o.capacity = 0, -EINVAL, ANY_REASON, "capacity");
	BAD(o.capacity = (1u << 30) + 1, -EINVAL, ANY_REASON, "capacity");
	BAD(o.max_workers = 251, -EINVAL, ANY_REASON, "max_workers");
	BAD(o.n_ports = 0, -EINVAL, ANY_REASON, "n_ports");
	BAD(o.ports = NULL, -EINVAL, ANY_REASON, "ports");
	BAD(o.port_stride = 2, -EINVAL, ANY_REASON, "port_stride");
	BAD(o.timeout_udp_ms = FO_TIMEOUT_MAX_MS + 1, -EINVAL, ANY_REASON, "timeout_udp_ms");
	BAD(o.hash = 9, -EINVAL, ANY_REASON, "hash");
	BAD(o.flags = 1u << 30, -EINVAL, ANY_REASON, "flags");
	BAD(o.reserved = 1, -EINVAL, ANY_REASON, "reserved");
	BAD((o.ports = ports, o.n_ports = 2, ports[1].port = 0), -EINVAL, ANY_REASON, "ports[1].port");
	BAD((o.ports = ports, o.n_ports = 2, ports[1].state = 7), -EINVAL, ANY_REASON, "ports[1].state");
	BAD((o.ports = ports, o.n_ports = 2, ports[1].size = 1), -EINVAL, FO_R_SIZE, "ports[1].size");
	BAD((o.ports = ports, o.n_ports = 2, ports[1].port = ports[0].port), -EINVAL, ANY_REASON, NULL);
	BAD(o.backend = "no-such-backend", -ENOENT, FO_R_NO_BACKEND, "backend");
	BAD(o.needs = UINT64_C(1) << 63, -EINVAL, ANY_REASON, "needs");
#undef BAD
	REFUSED(env, fo_table_create(NULL, &table, &env->err), -EINVAL, FO_R_ARGUMENT, "opts");
	REFUSED(env, fo_table_create(&env->options, NULL, &env->err), -EINVAL, FO_R_ARGUMENT, "out");
	REQUIRE_EQ(fo_table_create(NULL, &table, NULL), -EINVAL);
}

static void null_is_accepted_where_it_says(struct env *env)
{
	fo_table_destroy(NULL);
	fo_worker_close(NULL);
	usual(env);
	REQUIRE_EQ(fo_table_poll(env->table, 0, 0, NULL, NULL, NULL), 0);
}

static void destroy_with_flows(struct env *env)
{
	unsigned int round, i;

	for (round = 0; round < 3; round++) {
		env_open(env);
		for (i = 0; i < env_room(env, 10); i++)
			usual(env);
		env_traffic(env, 0, FO_ORIGINAL, 2);
		OK(env, fo_flow_del(env->table, env->ids[1], NULL, &env->err));
		env_close(env);
	}
}

/* Nothing of an earlier table is in a later one. */
static void tables_begin_empty(struct env *env)
{
	struct fo_table_counters stats;
	struct packet_spec spec;
	struct rig_packet packet;
	struct fo_flow flow;
	fo_flow_id old;

	env_open(env);
	old = env->ids[usual(env)];
	env_traffic(env, 0, FO_ORIGINAL, 1);
	env_close(env);
	env_open(env);
	env_stats(env, &stats);
	REQUIRE_EQ(stats.flows, 0);
	REQUIRE_EQ(stats.added, 0);
	REQUIRE_EQ(stats.adjacencies, 0);
	REQUIRE_EQ(stats.forwarded_packets, 0);
	connection(&flow, 4, 6, NAT_SRC, 0);
	between(env, &flow);
	packet_spec_init(&spec, &flow.tuple[0], &env->adjs[0]);
	{
		static struct packet_frame frame;

		packet_build(&spec, &frame);
		env_packet(&packet, &frame, LAN);
	}
	env_pass(env, &packet, FO_R_NO_FLOW);
	REFUSED(env, fo_flow_del(env->table, old, NULL, &env->err), -ENOENT, FO_R_STALE, NULL);
}

static void stats_of_the_table(struct env *env)
{
	struct fo_table_counters stats;
	unsigned int n = usual(env);

	usual(env);
	env_stats(env, &stats);
	REQUIRE_EQ(stats.size, sizeof(stats));
	REQUIRE_EQ(stats.capacity, env->options.capacity);
	REQUIRE_EQ(stats.flows, 2);
	REQUIRE_EQ(stats.adjacencies, 2);
	REQUIRE(stats.memory > 0);
	if (env->caps.can & FO_CAP_WORKER)
		REQUIRE_EQ(stats.workers, 1);
	env_delete(env, n);
	env_stats(env, &stats);
	REQUIRE_EQ(stats.flows, 1);
	stats.size = 5;
	REFUSED(env, fo_stats(env->table, &stats, &env->err), -EINVAL, FO_R_SIZE, "size");
	REFUSED(env, fo_stats(env->table, NULL, &env->err), -EINVAL, FO_R_ARGUMENT, "out");
}

static void sync_with_nothing_pending(struct env *env)
{
	usual(env);
	OK(env, fo_table_sync(env->table, 0, &env->err));
	OK(env, fo_flow_del(env->table, env->ids[0], NULL, &env->err));
	OK(env, fo_table_sync(env->table, 10000, &env->err));
	REQUIRE_EQ(env_count_ends(env), 0);
	env->flows[0].life = MODEL_CLOSING;
	env_ended(env, 0, FO_EV_DELETED, FO_R_DELETED);
}

/* The descriptor says that there is work: an event that waits. */
static void fd_is_readable_when_there_is_work(struct env *env)
{
	struct pollfd p = {.events = POLLIN};

	p.fd = fo_table_fd(env->table);
	if (p.fd == -EOPNOTSUPP) {
		REQUIRE(fo_table_deadline(env->table) > 0);
		return;
	}
	REQUIRE(p.fd >= 0);
	usual(env);
	OK(env, fo_flow_del(env->table, env->ids[0], NULL, &env->err));
	OK(env, fo_table_sync(env->table, 10000, &env->err));
	REQUIRE_EQ(poll(&p, 1, 10000), 1);
	env->flows[0].life = MODEL_CLOSING;
	env_ended(env, 0, FO_EV_DELETED, FO_R_DELETED);
}

/* ---- Allocation ------------------------------------------------------------------------------ */

struct ledger {
	size_t bytes;
	unsigned int blocks;
	unsigned int countdown; /* the n-th allocation fails; 0: none */
	unsigned int wrong;
};

struct block {
	size_t size;
	void *raw;
};

static void *ledger_alloc(void *ctx, size_t size, size_t align)
{
	struct ledger *l = ctx;
	struct block *block;
	uintptr_t at;
	void *raw;

	if (l->countdown && !--l->countdown)
		return NULL;
	if (!align || (align & (align - 1)) || align > 2u << 20)
		l->wrong++;
	raw = malloc(size + align + sizeof(*block));
	if (!raw)
		return NULL;
	at = ((uintptr_t)raw + sizeof(*block) + align - 1) & ~(uintptr_t)(align - 1);
	block = (struct block *)(at - sizeof(*block));
	memcpy(block, &(struct block){size, raw}, sizeof(*block));
	memset((void *)at, 0x5a, size); /* not zeroed, as the header allows */
	l->bytes += size;
	l->blocks++;
	return (void *)at;
}

static void ledger_free(void *ctx, void *ptr, size_t size)
{
	struct ledger *l = ctx;
	struct block block;

	if (!ptr)
		return;
	memcpy(&block, (uint8_t *)ptr - sizeof(block), sizeof(block));
	if (block.size != size)
		l->wrong++;
	l->bytes -= block.size;
	l->blocks--;
	free(block.raw);
}

static struct ledger ledger;
static struct fo_allocator ledger_hook = {ledger_alloc, ledger_free, &ledger};

static void use_everything(struct env *env)
{
	unsigned int i;

	env_open(env);
	for (i = 0; i < 20; i++)
		usual(env);
	env_traffic(env, 3, FO_ORIGINAL, 2);
	env_delete(env, 3);
	env_polls(env, 20);
	env_close(env);
}

static void allocator_gets_everything_back(struct env *env)
{
	memset(&ledger, 0, sizeof(ledger));
	env->options.allocator = &ledger_hook;
	use_everything(env);
	REQUIRE_EQ(ledger.wrong, 0);
	REQUIRE_EQ(ledger.blocks, 0);
	REQUIRE_EQ(ledger.bytes, 0);
}

/* The call may fail for want of memory, once; the next one succeeds. */
#define ONCE_MORE(rc, call)                                                                                  \
	do {                                                                                                 \
		(rc) = (call);                                                                               \
		if ((rc) == -ENOMEM)                                                                         \
			(rc) = (call);                                                                       \
		REQUIRE_EQ(rc, 0);                                                                           \
	} while (0)

/* Adjacencies, flows of real connections, a worker, deletes, polls. */
static void short_story(struct env *env)
{
	struct fo_worker *worker = NULL;
	fo_adj_id adjs[2] = {0, 0};
	fo_flow_id ids[20];
	struct fo_adj adj;
	unsigned int i;
	int rc;

	rc = fo_worker_open(env->table, NULL, &worker, &env->err);
	REQUIRE(rc == 0 || rc == -ENOMEM || rc == -EOPNOTSUPP);
	for (i = 0; i < 2; i++) {
		side(&adj, i ? WAN : LAN, PLAIN);
		env_prepare_side(env, &adj);
		ONCE_MORE(rc, fo_adj_add(env->table, &adj, &adjs[i], &env->err));
		env->adjs[i] = adj;
		env->adj_ids[i] = adjs[i];
	}
	env->n_adjs = 2;
	for (i = 0; i < 20; i++) {
		struct fo_flow flow;

		connection(&flow, 4, 6, NAT_SRC, i);
		flow.adj[0] = adjs[0];
		flow.adj[1] = adjs[1];
		env_connect(env, &flow);
		ONCE_MORE(rc, fo_flow_add(env->table, &flow, &ids[i], &env->err));
	}
	for (i = 0; i < 20; i++)
		ONCE_MORE(rc, fo_flow_del(env->table, ids[i], NULL, &env->err));
	for (i = 0; i < 50; i++)
		REQUIRE(fo_table_poll(env->table, 0, 0, NULL, NULL, NULL) >= 0);
	fo_worker_close(worker);
}

/* Each allocation of the story fails once: -ENOMEM, nothing leaks, nothing is half done. */
static void every_allocation_fails_once(struct env *env)
{
	unsigned int nth, failed_at_create = 0, more = 1;

	for (nth = 1; nth < 400 && more; nth++) {
		char why[100];
		int rc;

		suite_context("allocation %u fails", nth);
		memset(&ledger, 0, sizeof(ledger));
		env_init(env, env->rig);
		env->options.allocator = &ledger_hook;
		REQUIRE(!env->rig->open(&env->state, &env->options, why, sizeof(why)));
		ledger.countdown = nth;
		memset(&env->err, 0, sizeof(env->err));
		rc = fo_table_create(&env->options, &env->table, &env->err);
		if (rc) {
			env_refused(env, rc, -ENOMEM, FO_R_MEMORY, NULL);
			failed_at_create++;
		} else {
			short_story(env);
			more = !ledger.countdown;
			fo_table_destroy(env->table);
			env->table = NULL;
		}
		env_close(env);
		REQUIRE_EQ(ledger.blocks, 0);
		REQUIRE_EQ(ledger.wrong, 0);
	}
	REQUIRE(failed_at_create > 0);
	REQUIRE(!more); /* the story has fewer allocations than we were ready to fail */
}

static const struct suite_case tables_cases[] = {
	{.name = "wrong_options_are_refused_by_field", .run = options, .no_table = 1},
	{.name = "null_is_accepted_where_it_says", .run = null_is_accepted_where_it_says},
	{.name = "destroy_with_flows", .run = destroy_with_flows, .no_table = 1},
	{.name = "tables_begin_empty", .run = tables_begin_empty, .no_table = 1},
	{.name = "stats_of_the_table", .run = stats_of_the_table},
	{.name = "sync_leaves_events_to_poll", .run = sync_with_nothing_pending},
	{.name = "fd_is_readable_when_there_is_work", .run = fd_is_readable_when_there_is_work},
	{.name = "allocator_gets_everything_back",
	 .run = allocator_gets_everything_back,
	 .no_table = 1,
	 .features = RIG_ALLOC},
	{.name = "every_allocation_fails_once",
	 .run = every_allocation_fails_once,
	 .no_table = 1,
	 .features = RIG_ALLOC},
};
SUITE_GROUP(group_tables, "tables", tables_cases);

/* ---- Crash ----------------------------------------------------------------------------------- */

static void doomed(struct env *env)
{
	suite_in_child();
	env_open(env);
	env_traffic(env, usual(env), FO_ORIGINAL, 2);
	_exit(42); /* no destroy, no detach, no goodbye */
}

#define SHOWN_ELSEWHERE "what lingers, and what becomes of it, is shown by the backend's own tests"

/* A process that dies without a word leaves what caps say: nothing, or something for a while. */
static void crash_leaves_what_caps_say(struct env *env)
{
	int status = 0;
	struct fo_flow flow;
	struct fo_table_counters stats;
	struct packet_spec spec;
	struct rig_packet packet;
	static struct packet_frame frame;
	pid_t pid;

	/* It would lie in the way of all that come after. */
	if (env->rig->limits & RIG_KEEPS)
		suite_skip(0, SHOWN_ELSEWHERE);
	pid = fork();
	if (pid == 0)
		doomed(env);
	REQUIRE(pid > 0);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) != SUITE_CHILD_FAILED);
	env->options.flags |= FO_TABLE_ACCEPT_LINGER;
	env_open(env);
	if (env->caps.can & FO_CAP_CRASH_LINGERS)
		suite_skip(0, SHOWN_ELSEWHERE);
	if ((env->caps.can & FO_CAP_CRASH_LEASE) && env->rig->leftover_ms)
		env_advance(env, env->rig->leftover_ms(env->state));
	env_stats(env, &stats);
	REQUIRE_EQ(stats.flows, 0);
	connection(&flow, 4, 6, NAT_SRC, 0);
	between(env, &flow);
	packet_spec_init(&spec, &flow.tuple[0], &env->adjs[0]);
	packet_build(&spec, &frame);
	env_packet(&packet, &frame, LAN);
	env_pass(env, &packet, FO_R_NO_FLOW);
	env_traffic(env, env_add(env, &flow), FO_ORIGINAL, 2);
}

static const struct suite_case crash_cases[] = {
	{.name = "crash_leaves_what_caps_say", .run = crash_leaves_what_caps_say, .no_table = 1},
};
SUITE_GROUP(group_crash, "crash", crash_cases);
