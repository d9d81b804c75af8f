/* SPDX-License-Identifier: BSD-2-Clause */
/* test_events.c - a backend that is late: notices of all flows at once, of which none is lost; flows that stay ARMED.
 *
 * The backend is one of this file: flow_add answers PENDING, its poll reports every flow as HARDWARE, unless it hangs.
 */
#include <string.h>

#include "flowoffload-backend.h"
#include "unit.h"

#define FLOWS 5000u

static struct fo_host *host;
static const struct fo_host_ops *ops;
static uint64_t cookies[FLOWS];
static unsigned int n_cookies, n_done;
static unsigned int next_state = FO_STATE_HARDWARE;
static int hangs;
static uint64_t now_ms;

static int late_probe(const struct fo_table_options *options, struct fo_caps *caps, struct fo_error *err)
{
	(void)options;
	(void)err;
	caps->can = FO_CAP_IPV4 | FO_CAP_UDP | FO_CAP_INGRESS | FO_CAP_ASYNC_ADD | FO_CAP_CALLER_NEIGH;
	return 0;
}

static int late_create(const struct fo_backend_config *config, struct fo_caps *caps, void **priv,
		       struct fo_error *err)
{
	host = config->host;
	ops = config->ops;
	n_cookies = n_done = 0;
	next_state = FO_STATE_HARDWARE;
	*priv = NULL;
	return late_probe(config->options, caps, err);
}

static void late_destroy(void *priv)
{
	(void)priv;
}

static int late_add(void *priv, const struct fo_backend_flow *flow, unsigned int *state, struct fo_error *err)
{
	(void)priv;
	(void)state;
	(void)err;
	cookies[n_cookies++] = flow->cookie;
	return FO_BACKEND_PENDING;
}

static int late_del(void *priv, uint64_t cookie, uint32_t slot, struct fo_error *err)
{
	(void)priv;
	(void)cookie;
	(void)slot;
	(void)err;
	return 0;
}

static void late_poll(void *priv, unsigned int max_us)
{
	(void)priv;
	(void)max_us;
	if (hangs)
		return;
	for (; n_done < n_cookies; n_done++)
		ops->state(host, cookies[n_done], next_state, FO_R_NONE);
}

static const struct fo_backend late = {
	.size = sizeof(struct fo_backend),
	.abi = FO_BACKEND_ABI,
	.name = "late",
	.probe = late_probe,
	.create = late_create,
	.destroy = late_destroy,
	.flow_add = late_add,
	.flow_del = late_del,
	.poll = late_poll,
};

static uint64_t read_clock(void *ctx)
{
	(void)ctx;
	return now_ms;
}

static struct fo_table *open_table(fo_adj_id adj[2])
{
	struct fo_port ports[2];
	struct fo_table_options options;
	struct fo_table *table;

	ck_assert_int_eq(fo_backend_register(&late, NULL), 0);
	FO_INIT(&options);
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	options.backend = "late";
	options.clock_ms = read_clock;
	options.timeout_udp_ms = 5000;
	options.capacity = FLOWS;
	options.ports = ports;
	options.n_ports = 2;
	ck_assert_int_eq(fo_table_create(&options, &table, NULL), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct fo_adj spec;

		FO_INIT(&spec);
		spec.port = i + 1;
		spec.mtu = 1500;
		memcpy(spec.own_mac, "\2\0\0\0\0\1", 6);
		memcpy(spec.peer_mac, "\2\0\0\0\0\11", 6);
		ck_assert_int_eq(fo_adj_add(table, &spec, &adj[i], NULL), 0);
	}
	return table;
}

static void add_flow(struct fo_table *table, const fo_adj_id adj[2], uint16_t i)
{
	struct fo_flow flow;
	fo_flow_id id;

	FO_INIT(&flow);
	memcpy(flow.adj, adj, sizeof(flow.adj));
	for (unsigned int dir = 0; dir < 2; dir++) {
		flow.tuple[dir].family = FO_FAMILY_IPV4;
		flow.tuple[dir].proto = 17;
		memcpy(flow.tuple[dir].src, dir ? "\306\63\144\7" : "\12\0\0\2", 4);
		memcpy(flow.tuple[dir].dst, dir ? "\12\0\0\2" : "\306\63\144\7", 4);
	}
	flow.tuple[0].sport_be = flow.tuple[1].dport_be = (uint16_t)(i + 1);
	flow.tuple[0].dport_be = flow.tuple[1].sport_be = 53;
	flow.user = i;
	ck_assert_int_eq(fo_flow_add(table, &flow, &id, NULL), 0);
}

struct seen {
	uint8_t state[FLOWS];
	unsigned int others;
	enum fo_event_kind kind;
	unsigned int is;
};

static void on_event(void *arg, const struct fo_event *event)
{
	struct seen *seen = arg;

	if (event->kind != seen->kind || event->state != seen->is || event->user >= FLOWS)
		seen->others++;
	else
		seen->state[event->user]++;
}

/* Every flow told once, in polls of at most max callbacks. */
static void expect_each_once(struct fo_table *table, unsigned int max, enum fo_event_kind kind,
			     unsigned int is)
{
	struct seen seen = {.kind = kind, .is = is};
	unsigned int total = 0;
	int told;

	/* a poll looks at some slots only for what the ring had no room for */
	do {
		told = fo_table_poll(table, max, 0, on_event, &seen, NULL);
		ck_assert_int_ge(told, 0);
		total += (unsigned int)told;
	} while (told || fo_table_deadline(table) <= now_ms);
	ck_assert_uint_eq(seen.others, 0);
	ck_assert_uint_eq(total, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++)
		ck_assert_uint_eq(seen.state[i], 1);
}

START_TEST(notices_beyond_the_ring_come_once_each)
{
	fo_adj_id adj[2];
	struct fo_table *table = open_table(adj);

	for (unsigned int i = 0; i < FLOWS; i++)
		add_flow(table, adj, (uint16_t)i);
	expect_each_once(table, _i ? 7 : 0, FO_EV_STATE, FO_STATE_HARDWARE);
	/* And again, when they fall back. */
	next_state = FO_STATE_ARMED;
	n_done = 0;
	expect_each_once(table, _i ? 7 : 0, FO_EV_FALLBACK, FO_STATE_ARMED);
	ck_assert_uint_gt(fo_table_deadline(table), 0);
	fo_table_destroy(table);
}
END_TEST

START_TEST(armed_flow_expires_when_the_device_never_answers)
{
	struct seen seen = {.kind = FO_EV_EXPIRED, .is = FO_STATE_ARMED};
	struct fo_table_counters counters;
	fo_adj_id adj[2];
	struct fo_table *table = open_table(adj);

	hangs = 1;
	add_flow(table, adj, 7);
	now_ms += 4999;
	ck_assert_int_eq(fo_table_poll(table, 0, 0, on_event, &seen, NULL), 0);
	now_ms += 1001; /* the timeout and the granularity of ageing */
	ck_assert_int_eq(fo_table_poll(table, 0, 0, on_event, &seen, NULL), 1);
	ck_assert_uint_eq(seen.others, 0);
	ck_assert_uint_eq(seen.state[7], 1);
	FO_INIT(&counters);
	ck_assert_int_eq(fo_stats(table, &counters, NULL), 0);
	ck_assert_uint_eq(counters.flows + counters.closing, 0);
	fo_table_destroy(table);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("events");
	TCase *notices = tcase_create("notices");

	tcase_add_loop_test(notices, notices_beyond_the_ring_come_once_each, 0, 2);
	tcase_add_test(notices, armed_flow_expires_when_the_device_never_answers);
	suite_add_tcase(suite, notices);
	return suite;
}
