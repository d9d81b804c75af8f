/* SPDX-License-Identifier: BSD-2-Clause */
/* cases_faulty.c - hardware that is full, refuses or is slow, and a port that goes down under load. See faulty.h. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "faulty.h"

#define BATCH 6u

/* What the table said of flows that it was given. */
struct answer {
	int results[BATCH];
	struct fo_error err; /* of the first that was refused */
};

/* Give flows to the table; those that it refuses are known as gone. */
static void give(struct env *env, const struct fo_flow *flows, unsigned int n, struct answer *answer)
{
	fo_flow_id ids[BATCH] = {0};
	unsigned int i, added = 0;
	int rc;

	memset(answer, 0, sizeof(*answer));
	rc = fo_flow_add_many(env->table, flows, n, 0, ids, answer->results, &answer->err);
	for (i = 0; i < n; i++) {
		unsigned int at = env_know(env, &flows[i], ids[i]);

		REQUIRE_EQ(!ids[i], answer->results[i] != 0);
		added += !answer->results[i];
		if (answer->results[i])
			env->flows[at].life = MODEL_GONE;
	}
	REQUIRE_EQ(rc, added);
	env_settle(env);
}

/* Of the first that was refused: all that is said of it. */
static void check_words(struct env *env, const struct answer *answer, int code, unsigned int reason,
			int backend_errno, const char *words)
{
	env->err = answer->err;
	env_refused(env, env->err.code, code, reason, NULL);
	REQUIRE_EQ(env->err.backend_errno, backend_errno);
	if (!strstr(env->err.text, words))
		FAIL("the driver said \"%s\", the error says \"%s\"", words, env->err.text);
}

/* ---- Refusals -------------------------------------------------------------------------------------------- */

/* One flow in hardware, then a batch under a fault. */
static void batch_under(struct env *env, const struct rig_fault *fault, struct answer *answer)
{
	struct fo_flow flows[BATCH];
	unsigned int i;

	usual(env);
	for (i = 0; i < BATCH; i++)
		faulty_connected(env, &flows[i], 1 + i);
	env_fault(env, fault);
	give(env, flows, BATCH, answer);
}

/* Room for two flows and a half. */
static void full_in_a_batch(struct env *env)
{
	const struct rig_fault full = {.full = 1, .room = 5};
	struct answer answer;
	unsigned int inside, i;

	batch_under(env, &full, &answer);
	inside = faulty_check(env) - 1;
	REQUIRE(inside <= full.room / 2);
	if (faulty_answers_at_once(env)) {
		REQUIRE_EQ(inside, 2);
		for (i = 0; i < BATCH; i++)
			REQUIRE_EQ(answer.results[i], i < inside ? 0 : -ENOSPC);
		check_words(env, &answer, -ENOSPC, FO_R_FULL, ENOSPC, "The flow table is full");
	}
	faulty_mend_and_end(env);
}

/* Not even what the first flow of all needs beside its own rules. */
static void full_from_the_start(struct env *env)
{
	struct rig_fault full = {.full = 1};
	struct fo_flow flow;
	struct answer answer;

	faulty_connected(env, &flow, 0);
	for (full.room = 0; full.room < 2; full.room++) {
		env_fault(env, &full);
		give(env, &flow, 1, &answer);
		faulty_expect(env, 0);
		if (faulty_answers_at_once(env))
			check_words(env, &answer, -ENOSPC, FO_R_FULL, ENOSPC, "The flow table is full");
		if (!answer.results[0])
			break;
		env->model.n_flows--;
	}
	env->model.n_flows = 1;
	faulty_mend_and_end(env);
}

/* How many of the batch are in the table. */
static unsigned int kept(const struct env *env)
{
	unsigned int n, out = 0;

	for (n = 1; n <= BATCH; n++)
		out += env->flows[n].life != MODEL_GONE;
	return out;
}

/* The second rule of one flow, with words of the driver's own; the others do not suffer. Who stays in the table is asked
 * for again. */
static void failure_in_a_batch(struct env *env)
{
	const struct rig_fault once = {.error = EIO, .skip = 3, .count = 1, .words = "The engine has hung"};
	struct answer answer;
	unsigned int i;

	batch_under(env, &once, &answer);
	(void)faulty_check(env);
	faulty_expect(env, 1 + kept(env));
	REQUIRE(kept(env) >= BATCH - 1);
	if (faulty_answers_at_once(env)) {
		for (i = 0; i < BATCH; i++)
			REQUIRE_EQ(answer.results[i], i == 1 ? -EIO : 0);
		check_words(env, &answer, -EIO, FO_R_BACKEND, EIO, "The engine has hung");
	}
	faulty_mend_and_end(env);
}

static void one_direction(struct env *env, uint32_t port)
{
	const struct rig_fault refusing = {.port = port};
	struct answer answer;
	unsigned int i;

	batch_under(env, &refusing, &answer);
	faulty_expect(env, 1);
	if (faulty_answers_at_once(env)) {
		for (i = 0; i < BATCH; i++)
			REQUIRE_EQ(answer.results[i], -EOPNOTSUPP);
		check_words(env, &answer, -EOPNOTSUPP, FO_R_UNSUPPORTED, EOPNOTSUPP,
			    "Told to take no rule for this port");
	}
	faulty_mend_and_end(env);
}

static void original_direction(struct env *env)
{
	one_direction(env, LAN);
}

static void reply_direction(struct env *env)
{
	one_direction(env, WAN);
}

/* What does not need it is taken as ever. */
static void ability_lost(struct env *env)
{
	const struct rig_fault without = {.without = "nat"};
	struct fo_flow flow;
	struct answer answer;

	usual(env);
	faulty_connected(env, &flow, 1);
	env_fault(env, &without);
	give(env, &flow, 1, &answer);
	faulty_expect(env, 1);
	if (faulty_answers_at_once(env))
		check_words(env, &answer, -EOPNOTSUPP, FO_R_UNSUPPORTED, EOPNOTSUPP,
			    "Told to be without NAT");
	(void)plain(env, FO_FAMILY_IPV4, 17, NAT_NONE, 2);
	faulty_expect(env, 2);
	faulty_mend_and_end(env);
}

/* ---- Slowness -------------------------------------------------------------------------------------------- */

#define SLOW_MS 200u

/* A call of the control thread's that waits for the driver; it asserts nothing. */
struct call {
	struct env *env;
	const struct fo_flow *flows;
	fo_flow_id ids[BATCH];
	int results[BATCH];
	struct fo_flow_counters counters[BATCH];
	int (*run)(struct call *call);
	int rc;
	uint64_t took_ms;
	atomic_int over;
};

static void *run_call(void *arg)
{
	struct call *call = arg;
	uint64_t began = env_monotonic_ms();

	call->rc = call->run(call);
	call->took_ms = env_monotonic_ms() - began;
	atomic_store(&call->over, 1);
	return NULL;
}

/* Packets of flow 0, which is in hardware, and of those that the call is about go on all the while. No thread but that of
 * the call uses the table. */
static void traffic_meanwhile(struct env *env, struct call *call, unsigned int first, unsigned int n)
{
	pthread_t thread;
	unsigned int i = 0;

	REQUIRE_EQ(pthread_create(&thread, NULL, run_call, call), 0);
	do {
		REQUIRE(env_arrive(env, 0, i & 1 ? FO_REPLY : FO_ORIGINAL));
		(void)env_arrive(env, first + i / 2 % n, i & 1 ? FO_REPLY : FO_ORIGINAL);
		i++;
	} while (!atomic_load(&call->over));
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(call->rc, 0);
}

static int add_them(struct call *call)
{
	int rc = fo_flow_add_many(call->env->table, call->flows, 2, 0, call->ids, call->results, NULL);

	return rc == 2 ? 0 : rc;
}

static int ask_them(struct call *call)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < 2; i++) {
		FO_INIT(&call->counters[i]);
		rc = fo_flow_stats(call->env->table, call->ids[i], &call->counters[i], NULL);
	}
	return rc;
}

static int delete_them(struct call *call)
{
	return fo_flow_del_many(call->env->table, call->ids, 2, call->results, NULL) == 2 ? 0 : -1;
}

/* Packets that came while the driver was at it may not have been counted; nothing that was known before is lost. */
static void deleted_with(struct env *env, unsigned int n, const struct fo_flow_counters *known)
{
	const struct fo_event *event = faulty_end(env, n);
	unsigned int d;

	REQUIRE(event && event->kind == FO_EV_DELETED && event->reason == FO_R_DELETED);
	REQUIRE(event->counters.flags & FO_STATS_FINAL);
	for (d = 0; d < 2; d++) {
		REQUIRE(event->counters.packets[d] >= known->packets[d]);
		REQUIRE((event->counters.flags & FO_STATS_INCLUDES_SLOW) ||
			event->counters.packets[d] <= env->flows[n].packets[d]);
	}
}

/* Two flows come, are asked for and go while each operation of the driver takes its time. */
static void slow_driver(struct env *env)
{
	const struct rig_fault slow = {.add_ms = SLOW_MS, .delete_ms = SLOW_MS, .stats_ms = SLOW_MS};
	struct fo_flow flows[2];
	struct call call = {.env = env, .flows = flows, .run = add_them};
	unsigned int i;

	usual(env);
	for (i = 0; i < 2; i++) {
		faulty_connected(env, &flows[i], 1 + i);
		env_know(env, &flows[i], 0);
	}
	env_fault(env, &slow);
	traffic_meanwhile(env, &call, 1, 2);
	if (faulty_answers_at_once(env))
		REQUIRE(call.took_ms >= 4ull * SLOW_MS);
	for (i = 0; i < 2; i++)
		env->ids[1 + i] = call.ids[i];
	env_settle(env);
	faulty_expect(env, 3);

	call.run = ask_them;
	atomic_store(&call.over, 0);
	traffic_meanwhile(env, &call, 1, 2);
	for (i = 0; i < 2; i++)
		env_check_counters(env, 1 + i);

	call.run = delete_them;
	atomic_store(&call.over, 0);
	traffic_meanwhile(env, &call, 1, 2);
	env_settle(env);
	for (i = 0; i < 2; i++) {
		deleted_with(env, 1 + i, &call.counters[i]);
		env->flows[1 + i].life = MODEL_GONE;
	}
	faulty_expect(env, 1);
	faulty_mend_and_end(env);
}

/* ---- Ports ----------------------------------------------------------------------------------------------- */

/* The device alone: the table is not told. */
static void device(struct env *env, uint32_t number, unsigned int state)
{
	struct fo_port port;
	char why[200];

	FO_INIT(&port);
	port.port = number;
	port.state = state;
	if (env->rig->port(env->state, &port, why, sizeof(why)))
		FAIL("the rig could not change the device: %s", why);
}

/* A packet for the port that is down does not come out of another. */
static void goes_nowhere(struct env *env, unsigned int n)
{
	struct packet_spec spec;
	struct rig_packet packet;
	struct rig_result result;

	env_spec(env, n, FO_ORIGINAL, &spec);
	packet = env_frame(env, n, FO_ORIGINAL, &spec);
	REQUIRE(!env->rig->carry(env->state, &packet, &result));
	REQUIRE_EQ(result.length, 0);
}

/* Flow 0 LAN to DMZ, flows 1 .. BATCH LAN to WAN. */
static void flows_over_two_ports(struct env *env)
{
	struct fo_flow other;
	struct fo_adj adj;
	unsigned int i;

	connection(&other, FO_FAMILY_IPV4, 6, NAT_NONE, 50);
	between(env, &other);
	side(&adj, DMZ, PLAIN);
	other.adj[FO_REPLY] = env_adj(env, &adj);
	env_add(env, &other);
	for (i = 0; i < BATCH; i++)
		usual(env);
}

/* Where the kernel decides what goes where, it takes flows off a port that is down, and the table says so; that they are to
 * end is for the caller to say. */
static int is_kernels(const struct env *env)
{
	return !(env->caps.can & FO_CAP_CALLER_NEIGH);
}

static unsigned int left_port(const struct env *env)
{
	unsigned int i, out = 0;

	for (i = 1; i <= BATCH; i++)
		out += faulty_end(env, i) ||
		       (is_kernels(env) && env_count_events(env, env->ids[i], FO_EV_FALLBACK));
	return out;
}

/* The kernel's own notice must do: a port goes down while packets for it come in, and comes back. */
static void port_under_load(struct env *env)
{
	struct fo_flow flow;
	unsigned int i;

	flows_over_two_ports(env);
	faulty_expect(env, 1 + BATCH);
	device(env, WAN, FO_PORT_DOWN);
	for (i = 1; i <= BATCH; i++)
		env->flows[i].life = MODEL_EGRESS_DOWN;
	for (i = 0; left_port(env) < BATCH; i++) {
		REQUIRE(i < 20000);
		REQUIRE(env_arrive(env, 0, i & 1 ? FO_REPLY : FO_ORIGINAL));
		goes_nowhere(env, 1 + i % BATCH);
		env_polls(env, 1);
	}
	faulty_expect_rules(env, 2);
	if (is_kernels(env))
		env_port_set(env, WAN, FO_PORT_DOWN);
	for (i = 1; i <= BATCH; i++) {
		env_ended(env, i, FO_EV_INVALIDATED, FO_R_EGRESS_DOWN);
		env_quiet(env, i, FO_ORIGINAL, FO_R_NONE);
	}
	flow = env->flows[1].flow;
	env_add_refused(env, &flow, -ENODEV, FO_R_EGRESS_DOWN, NULL);
	device(env, WAN, FO_PORT_UP);
	if (is_kernels(env))
		env_port_set(env, WAN, FO_PORT_UP);
	env_polls(env, 1);
	faulty_expect(env, 1);
	for (i = 1; i <= BATCH; i++)
		faulty_add_again(env, i);
	faulty_expect(env, 1 + BATCH);
	faulty_mend_and_end(env);
}

static const struct suite_case faulty_cases[] = {
	{.name = "full_in_the_middle_of_a_batch", .run = full_in_a_batch, .features = RIG_FAULTS},
	{.name = "full_from_the_start", .run = full_from_the_start, .features = RIG_FAULTS},
	{.name = "failure_in_the_middle_of_a_batch", .run = failure_in_a_batch, .features = RIG_FAULTS},
	{.name = "original_direction_is_refused", .run = original_direction, .features = RIG_FAULTS},
	{.name = "reply_direction_is_refused", .run = reply_direction, .features = RIG_FAULTS},
	{.name = "an_ability_is_lost", .run = ability_lost, .features = RIG_FAULTS},
	{.name = "slow_driver_and_traffic_meanwhile", .run = slow_driver, .features = RIG_FAULTS},
	{.name = "port_goes_down_under_load_and_comes_back", .run = port_under_load, .features = RIG_FAULTS},
};
SUITE_GROUP(group_faulty, "faulty", faulty_cases);
