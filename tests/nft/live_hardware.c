/* SPDX-License-Identifier: BSD-2-Clause */
/* live_hardware.c - the nft backend in hardware mode, on the simulated hardware of tests/hwsim: what is said of a flow, and
 * that no rule is left in the driver. world.sh has made its ports those of the router. See live.h.
 */
#include "live.h"

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- The table ---- */

static void options_of(struct world *world, struct fo_table_options *options, struct fo_port ports[2])
{
	world_options(world, options, ports);
	options->needs = FO_CAP_HARDWARE;
	options->flags |= FO_TABLE_ACCEPT_LINGER | FO_TABLE_KILL_CONNTRACK;
}

static void open_table(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];

	/* What hardware counts is told after a tenth of these. */
	world_sysctl_set("nf_flowtable_udp_timeout", 10);
	world_sysctl_set("nf_flowtable_tcp_timeout", 10);
	options_of(world, &options, ports);
	OK(fo_table_create(&options, &world->table, &live_err));
	world_sides(world);
}

/* Established, and its sides told. */
static void establish(struct world *world, struct pair *pair)
{
	pair_talk(pair, 3);
	pair->flow.adj[0] = world->adj[0];
	pair->flow.adj[1] = world->adj[1];
}

static void add(struct world *world, struct pair *pair, fo_flow_id *id)
{
	establish(world, pair);
	OK(fo_flow_add(world->table, &pair->flow, id, &live_err));
}

/* A table, and a flow of UDP that is seen to be in that state. */
static fo_flow_id begin(struct world *world, struct pair *pair, unsigned int state)
{
	fo_flow_id id;

	open_table(world);
	pair_open(pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	add(world, pair, &id);
	world_until_state(world, pair, id, state);
	return id;
}

static unsigned int state_of(struct world *world, fo_flow_id id, unsigned int *reason)
{
	struct fo_flow_info info;

	FO_INIT(&info);
	OK(fo_flow_get(world->table, id, &info, &live_err));
	*reason = info.reason;
	return info.state;
}

static void explained(struct world *world, fo_flow_id id, const char *word)
{
	struct fo_explanation ex;

	FO_INIT(&ex);
	OK(fo_flow_explain(world->table, id, NULL, &ex, &live_err));
	if (!strstr(ex.text, word))
		FAIL("\"%s\" does not say \"%s\"", ex.text, word);
}

static void talk_for(struct world *world, struct pair *pair, unsigned int ms)
{
	struct timespec now;
	uint64_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + ms;
	do {
		pair_talk(pair, 1);
		world_rest(world);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 < end);
}

/* Closed, and nothing is left that the hardware was not told to forget. */
static void close_clean(struct world *world)
{
	world_close(world);
	CHECK_INT(hwsim_rules(), 0);
	CHECK_INT(hwsim_counter("flushed"), 0);
}

/* ---- Cases ---- */

static void a_flow_of(struct world *world, int family, int type)
{
	struct pair pair;
	fo_flow_id id;
	uint64_t slow;
	unsigned long fast;

	pair_open(&pair, family, type, 5001, 7000);
	add(world, &pair, &id);
	world_until_state(world, &pair, id, FO_STATE_PARTIAL);
	CHECK_INT(hwsim_rules(), 2);
	explained(world, id, "one direction at least");
	world_until_state(world, &pair, id, FO_STATE_HARDWARE);
	explained(world, id, "HW_OFFLOAD");
	slow = world_slow();
	fast = hwsim_counter("forwarded");
	pair_talk(&pair, 20);
	CHECK_INT(world_slow() - slow, 0);
	CHECK(hwsim_counter("forwarded") - fast >= 40);
	OK(fo_flow_del(world->table, id, NULL, &live_err));
	world_until_event(world, FO_EV_DELETED, world->events[FO_EV_DELETED] + 1);
	CHECK_INT(hwsim_rules(), 0);
	pair_close(&pair);
}

static void proven(struct world *world)
{
	open_table(world);
	a_flow_of(world, AF_INET, SOCK_DGRAM);
	a_flow_of(world, AF_INET6, SOCK_STREAM);
	close_clean(world);
}

static void refused_by_driver(struct world *world)
{
	struct pair pair;
	unsigned int reason;
	fo_flow_id id;

	hwsim_order("fail", "95 0 1000000 no room for this kind");
	id = begin(world, &pair, FO_STATE_ACTIVE);
	CHECK_INT(world->last[FO_EV_STATE].reason, FO_R_NOT_IN_HARDWARE);
	CHECK_INT(state_of(world, id, &reason), FO_STATE_ACTIVE);
	CHECK_INT(reason, FO_R_NOT_IN_HARDWARE);
	explained(world, id, "The driver refused it");
	CHECK_INT(hwsim_rules(), 0);
	/* The kernel asks again, and then it is told. */
	hwsim_order("fail", "0");
	world_until_state(world, &pair, id, FO_STATE_HARDWARE);
	pair_close(&pair);
	close_clean(world);
}

static void one_direction(struct world *world)
{
	struct pair pair;
	unsigned int reason;
	fo_flow_id id;

	hwsim_order("refuse", "in1");
	id = begin(world, &pair, FO_STATE_PARTIAL);
	talk_for(world, &pair, 8000);
	CHECK_INT(state_of(world, id, &reason), FO_STATE_PARTIAL);
	CHECK_INT(reason, FO_R_NOT_IN_HARDWARE);
	CHECK_INT(hwsim_rules(), 1);
	hwsim_order("refuse", "");
	world_until_state(world, &pair, id, FO_STATE_HARDWARE);
	pair_close(&pair);
	close_clean(world);
}

/* Room for two flows and a half: each says where it is, and its packets arrive. */
static void full(struct world *world)
{
	static const unsigned int states[] = {FO_STATE_PARTIAL, FO_STATE_PARTIAL, FO_STATE_PARTIAL,
					      FO_STATE_ACTIVE};
	struct pair pairs[4];
	unsigned int reason;
	fo_flow_id id[4];

	hwsim_order("capacity", "5");
	open_table(world);
	for (uint16_t i = 0; i < 4; i++) {
		pair_open(&pairs[i], AF_INET, SOCK_DGRAM, (uint16_t)(5001 + i), (uint16_t)(7000 + i));
		add(world, &pairs[i], &id[i]);
		world_until_state(world, &pairs[i], id[i], states[i]);
		(void)state_of(world, id[i], &reason);
		CHECK_INT(reason, FO_R_NOT_IN_HARDWARE);
	}
	CHECK_INT(hwsim_rules(), 5);
	for (unsigned int i = 0; i < 4; i++)
		pair_talk(&pairs[i], 5);
	/* The kernel asks again for what it carries itself. */
	hwsim_order("capacity", "100");
	for (unsigned int i = 0; i < 4; i++)
		world_until_state(world, &pairs[i], id[i], FO_STATE_HARDWARE);
	CHECK_INT(hwsim_rules(), 8);
	close_clean(world);
	for (unsigned int i = 0; i < 4; i++)
		pair_close(&pairs[i]);
}

static void ask_only(struct world *world, struct pair *pair)
{
	char got;

	CHECK_INT(send(pair->client, "q", 1, 0), 1);
	CHECK_INT(recv(pair->server, &got, 1, 0), 1);
	world_rest(world);
}

/* Nobody's packets, nobody's proof. */
static void silent_direction(struct world *world)
{
	struct pair pair;
	unsigned int reason;
	fo_flow_id id;

	open_table(world);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	add(world, &pair, &id);
	ask_only(world, &pair); /* that is what takes it up */
	world_until_state(world, NULL, id, FO_STATE_PARTIAL);
	for (unsigned int i = 0; i < 200; i++) {
		ask_only(world, &pair);
		usleep(20000);
	}
	CHECK_INT(state_of(world, id, &reason), FO_STATE_PARTIAL);
	pair_close(&pair);
	close_clean(world);
}

static void refused(const struct fo_table_options *options, int code, unsigned int reason, const char *word)
{
	struct fo_table *table;

	CHECK_INT(fo_table_create(options, &table, &live_err), code);
	CHECK_INT(live_err.reason, reason);
	if (!strstr(live_err.text, word))
		FAIL("\"%s\" does not say \"%s\"", live_err.text, word);
}

static void consents(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_caps caps;
	struct pair pair;
	fo_flow_id id;

	options_of(world, &options, ports);
	options.flags &= ~FO_TABLE_ACCEPT_LINGER;
	refused(&options, -EOPNOTSUPP, FO_R_NEEDS, "FO_TABLE_ACCEPT_LINGER");
	options_of(world, &options, ports);
	options.flags &= ~FO_TABLE_KILL_CONNTRACK;
	OK(fo_table_create(&options, &world->table, &live_err));
	FO_INIT(&caps);
	OK(fo_table_caps(world->table, &caps, &live_err));
	CHECK(!(caps.can & (FO_CAP_SNAT | FO_CAP_DELETE_KEEPS_CT | FO_CAP_CRASH_GONE)));
	CHECK(caps.can & FO_CAP_HARDWARE);
	world_sides(world);
	pair_open(&pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	establish(world, &pair);
	CHECK_INT(fo_flow_add(world->table, &pair.flow, &id, &live_err), -EOPNOTSUPP);
	pair_talk(&pair, 20);
	CHECK_INT(hwsim_rules(), 0);
	pair_close(&pair);
	close_clean(world);
	world_run("ip link add v8 type veth peer name v9");
	options_of(world, &options, ports);
	ports[1].port = if_nametoindex("v8");
	refused(&options, -EOPNOTSUPP, FO_R_UNSUPPORTED, "v8");
	world_run("ip link del v8");
}

/* A table, whatever is established between its sides is taken, and a connection of UDP. */
static fo_policy_id begin_with_policy(struct world *world, struct fo_policy *policy, struct pair *pair)
{
	fo_policy_id id;

	open_table(world);
	FO_INIT(policy);
	policy->adj[0] = world->adj[0];
	policy->adj[1] = world->adj[1];
	OK(fo_policy_add(world->table, policy, &id, &live_err));
	pair_open(pair, AF_INET, SOCK_DGRAM, 5001, 7000);
	return id;
}

/* Taken by the kernel, and nobody has looked: a dump finds it, or the drain. */
static void talk_until_taken(struct pair *pair)
{
	pair_talk(pair, 5);
	for (unsigned int waited = 0; hwsim_rules() < 2 && waited < 1000; waited++)
		usleep(20000);
	CHECK_INT(hwsim_rules(), 2);
}

static void policies(struct world *world)
{
	struct fo_policy policy;
	struct pair pair;
	fo_policy_id id = begin_with_policy(world, &policy, &pair);

	talk_for(world, &pair, 2000);
	CHECK_INT(hwsim_rules(), 2);
	OK(fo_policy_del(world->table, id, &live_err));
	world_until_event(world, FO_EV_INVALIDATED, 1);
	CHECK_INT(hwsim_rules(), 0);
	OK(fo_policy_add(world->table, &policy, &id, &live_err));
	talk_until_taken(&pair);
	close_clean(world);
	pair_close(&pair);
}

/* No call can name its flow: it goes all the same, and long before the table. */
static void policy_gone(struct world *world)
{
	struct fo_policy policy;
	struct pair pair;
	fo_policy_id id = begin_with_policy(world, &policy, &pair);

	talk_until_taken(&pair);
	OK(fo_policy_del(world->table, id, &live_err));
	/* With traffic, for it would leave for being idle, too. */
	for (unsigned int waited = 0; hwsim_rules() && waited < 200; waited++)
		talk_for(world, &pair, 100);
	CHECK_INT(hwsim_rules(), 0);
	close_clean(world);
	pair_close(&pair);
}

static void drained(struct world *world)
{
	struct pair pairs[8];
	fo_flow_id id;

	open_table(world);
	for (uint16_t i = 0; i < 8; i++) {
		pair_open(&pairs[i], i & 1 ? AF_INET6 : AF_INET, SOCK_DGRAM, (uint16_t)(5001 + i),
			  (uint16_t)(7000 + i));
		add(world, &pairs[i], &id);
		world_until_state(world, &pairs[i], id, FO_STATE_PARTIAL);
	}
	CHECK_INT(hwsim_rules(), 16);
	close_clean(world);
	for (unsigned int i = 0; i < 8; i++)
		pair_close(&pairs[i]);
}

/* A delete takes that flow and its conntrack entry, at once, without a refresh: the other stays where it is. */
static void alone(struct world *world)
{
	struct pair pairs[2];
	fo_flow_id id[2];
	unsigned long added, deleted;
	uint64_t slow;

	id[0] = begin(world, &pairs[0], FO_STATE_HARDWARE);
	pair_open(&pairs[1], AF_INET6, SOCK_DGRAM, 5002, 7001);
	add(world, &pairs[1], &id[1]);
	world_until_state(world, &pairs[1], id[1], FO_STATE_HARDWARE);
	added = hwsim_counter("added");
	deleted = hwsim_counter("deleted");
	slow = world_slow();
	OK(fo_flow_del(world->table, id[0], NULL, &live_err));
	world_run("! conntrack -L -p udp --orig-port-src 5001 2>/dev/null | grep .");
	world_until_event(world, FO_EV_DELETED, 1);
	CHECK_INT(hwsim_rules(), 2);
	pair_talk(&pairs[1], 20);
	CHECK_INT(world_slow() - slow, 0);
	CHECK_INT(hwsim_counter("added") - added, 0);
	CHECK_INT(hwsim_counter("deleted") - deleted, 2);
	CHECK_INT(world->events[FO_EV_FALLBACK], 0);
	close_clean(world);
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
}

/* What hardware forwards keeps a flow alive, late as it is told. */
static void idle(struct world *world)
{
	struct pair pairs[2];
	unsigned int reason;
	fo_flow_id id[2];

	open_table(world);
	for (uint16_t i = 0; i < 2; i++) {
		pair_open(&pairs[i], AF_INET, SOCK_DGRAM, (uint16_t)(5001 + i), (uint16_t)(7000 + i));
		establish(world, &pairs[i]);
		pairs[i].flow.timeout_ms = 1000;
		CHECK_INT(fo_flow_add(world->table, &pairs[i].flow, &id[i], &live_err), -EOPNOTSUPP);
		CHECK(!strcmp(live_err.field, "timeout_ms"));
		pairs[i].flow.timeout_ms = 8000;
		add(world, &pairs[i], &id[i]);
		world_until_state(world, &pairs[i], id[i], FO_STATE_PARTIAL);
	}
	talk_for(world, &pairs[1], 20000);
	CHECK_INT(world->events[FO_EV_EXPIRED], 1);
	CHECK(world->last[FO_EV_EXPIRED].flow == id[0]);
	CHECK_INT(state_of(world, id[1], &reason), FO_STATE_HARDWARE);
	CHECK_INT(hwsim_rules(), 2);
	close_clean(world);
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
}

static void forgotten(struct world *world)
{
	struct pair pair;

	(void)begin(world, &pair, FO_STATE_PARTIAL);
	world_run("conntrack -D -p udp >/dev/null 2>&1");
	world_until_event(world, FO_EV_LOST, 1);
	CHECK_INT(hwsim_rules(), 0);
	pair_close(&pair);
	close_clean(world);
}

/* ... and of what is gone from conntrack, which the table has not heard yet. */
static void drained_of_forgotten(struct world *world)
{
	struct pair pair;

	(void)begin(world, &pair, FO_STATE_PARTIAL);
	world_run("conntrack -D -p udp >/dev/null 2>&1");
	close_clean(world);
	pair_close(&pair);
}

static void by_itself(struct world *world)
{
	struct fo_table_options options;
	struct fo_port ports[2];
	struct fo_caps caps;

	FO_INIT(&caps);
	options_of(world, &options, ports);
	options.needs = 0;
	options.backend = NULL;
	OK(fo_table_create(&options, &world->table, &live_err));
	OK(fo_table_caps(world->table, &caps, &live_err));
	if (strcmp(caps.backend, "nft") || !(caps.can & FO_CAP_HARDWARE) ||
	    !strstr(caps.choice, "auto took nft in hardware"))
		FAIL("%s: %s", caps.backend, caps.choice);
	world_close(world);
	options.needs = FO_CAP_DELETE_KEEPS_CT | FO_CAP_POLICY;
	OK(fo_table_create(&options, &world->table, &live_err));
	OK(fo_table_caps(world->table, &caps, &live_err));
	if (strcmp(caps.backend, "nft") || (caps.can & FO_CAP_HARDWARE) ||
	    !strstr(caps.choice, "nft in hardware lacks delete-keeps-ct"))
		FAIL("%s: %s", caps.backend, caps.choice);
	world_close(world);
}

/* Nobody drains: what the driver does not drop by itself is there until the hardware is reset. The last case, therefore. */
static void crashed(struct world *world)
{
	bool keeps = !strcmp(getenv("FO_WORLD_HARDWARE"), "ppe");
	unsigned long flushed = hwsim_counter("flushed");
	struct pair pair;
	int status;
	pid_t child = fork();

	if (!child) {
		(void)begin(world, &pair, FO_STATE_PARTIAL);
		(void)kill(getpid(), SIGKILL);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status));
	world_run("! nft list tables | grep flowoffload_");
	CHECK_INT(hwsim_rules(), keeps ? 2 : 0);
	CHECK_INT(hwsim_counter("flushed") - flushed, keeps ? 0 : 2);
}

const struct live_case live_hardware[] = {
	{"hardware_is_said_when_both_directions_are_proven", proven},
	{"hardware_refused_by_the_driver_is_said", refused_by_driver},
	{"hardware_in_one_direction_is_partial", one_direction},
	{"hardware_that_is_full_says_who_is_left_out", full},
	{"hardware_of_a_silent_direction_is_not_proven", silent_direction},
	{"hardware_asks_for_consent", consents},
	{"hardware_by_policy", policies},
	{"hardware_by_a_policy_goes_with_it_known_or_not", policy_gone},
	{"hardware_is_drained_before_the_table_goes", drained},
	{"hardware_is_drained_of_what_conntrack_forgot", drained_of_forgotten},
	{"hardware_of_others_is_left_alone_by_a_delete", alone},
	{"hardware_keeps_alive_what_it_forwards", idle},
	{"hardware_forgets_with_conntrack", forgotten},
	{"hardware_is_taken_by_auto", by_itself},
	{"hardware_after_a_crash_keeps_what_the_driver_keeps", crashed},
	{NULL, NULL},
};
