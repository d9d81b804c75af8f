/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_api.c - any sequence of API calls against a plain-array model, with an allocator that fails when told to.
 *
 * Each byte of the input chooses a call, the following ones its arguments. At the end every flow is brought to its
 * end: each has had exactly one terminal event, or its final counters from fo_flow_del(); ids are stale; the books of
 * the allocator are empty. The model is in api_model.h, which also lists the files with the calls.
 */
#include <errno.h>

#include "api_model.h"

static uint64_t clock_ms(void *ctx)
{
	return ((struct api *)ctx)->now_ms;
}

static bool open_table(struct api *api)
{
	struct fo_table_options opts;
	struct fo_port ports[API_PORTS];
	struct api_verdict v = {0, 0};
	struct fo_error err;
	unsigned int i;

	FO_INIT(&opts);
	for (i = 0; i < API_PORTS; i++) {
		FO_INIT(&ports[i]);
		ports[i].port = i + 1;
	}
	opts.backend = "soft";
	opts.capacity = API_CAPACITY;
	opts.max_workers = API_WORKERS;
	opts.ports = ports;
	opts.n_ports = API_PORTS;
	opts.allocator = &api->ledger.hook;
	opts.clock_ms = clock_ms;
	opts.clock_ctx = api;
	return api_answered(api, "fo_table_create", fo_table_create(&opts, &api->table, &err), &err, &v);
}

static void call_clock(struct api *api)
{
	unsigned int byte = fuzz_take8(api->in);

	api->now_ms += byte < 0x80 ? byte : (byte - 0x7fu) * 400u;
}

static void call_odds(struct api *api)
{
	struct fo_caps caps;

	FO_INIT(&caps);
	FUZZ_CHECK(fo_table_caps(api->table, &caps, NULL) == 0 && (caps.can & FO_CAP_WORKER), "caps");
	FUZZ_CHECK(fo_table_fd(api->table) >= -EOPNOTSUPP, "fd");
	(void)fo_table_deadline(api->table);
}

static void call_fail(struct api *api)
{
	ledger_fail_at(&api->ledger, fuzz_pick(api->in, 8));
}

typedef void (*call)(struct api *api);

/* The frequent ones stand here more than once. */
static const call calls[] = {
	api_call_add,	     api_call_add,	api_call_add,	      api_call_add,
	api_call_add_many,   api_call_del,	api_call_del,	      api_call_del_many,
	api_call_update,     api_call_adj_add,	api_call_adj_add,     api_call_adj_update,
	api_call_adj_del,    api_call_port_set, api_call_find,	      api_call_get,
	api_call_walk,	     api_call_poll,	api_call_poll,	      api_call_sync,
	api_call_explain,    api_call_stats,	api_call_stats,	      api_call_packets,
	api_call_packets,    api_call_packets,	api_call_worker_open, api_call_worker_close,
	api_call_invalidate, call_clock,	api_call_add_bad,     api_call_stale,
	call_fail,	     call_odds,
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* End what still lives, and wait for the events. */
static void drain(struct api *api)
{
	struct fo_error err;
	unsigned int i;

	ledger_fail_at(&api->ledger, 0);
	for (i = 0; i < api->n_flows; i++) {
		struct api_flow *f = &api->flows[i];
		int rc;

		if (f->life != API_LIVING && f->life != API_DOOMED)
			continue;
		rc = fo_flow_del(api->table, f->id, NULL, &err);
		FUZZ_CHECK(rc == 0 || (rc == -ENOENT && f->life == API_DOOMED), "fo_flow_del: %d", rc);
		if (rc == 0) {
			api_doom(f, true, API_KIND(FO_EV_DELETED));
			f->life = API_CLOSING;
			f->kinds |= API_KIND(FO_EV_DELETED);
		}
	}
	for (i = 0; i < 1000 && api_taken(api) != 0; i++) {
		api_call_sync(api);
		api_poll(api, 0);
	}
	FUZZ_CHECK(api_taken(api) == 0, "%u flows without a terminal event", api_taken(api));
	api_call_stats(api);
	for (i = 0; i < api->n_flows; i++) {
		struct fo_flow_info info;

		FO_INIT(&info);
		FUZZ_CHECK(fo_flow_get(api->table, api->flows[i].id, &info, &err) == -ENOENT,
			   "an ended id lives");
	}
}

static void close_workers(struct api *api)
{
	unsigned int i;

	for (i = 0; i < API_WORKERS; i++)
		fo_worker_close(api->workers[i]);
}

/* A worker that outlives its table passes everything on, and the memory goes with it. */
static void run_orphan(struct api *api)
{
	uint8_t frame[64] = {0};
	struct fo_packet p;
	unsigned int i;

	for (i = 0; i < API_WORKERS; i++) {
		if (api->workers[i] == NULL)
			continue;
		memset(&p, 0, sizeof(p));
		p.data = frame;
		p.contiguous = p.length = sizeof(frame);
		FUZZ_CHECK(fo_worker_run(api->workers[i], &p, 1, api->now_ms) == 0 && p.verdict == FO_PASS &&
				   p.reason == FO_R_TABLE_GONE,
			   "verdict %u, reason %s", p.verdict, fo_reason_name(p.reason));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct api api;
	struct fuzz_input in = {data, data + size};
	unsigned int how;

	memset(&api, 0, sizeof(api));
	api.in = &in;
	api.now_ms = 5000;
	ledger_init(&api.ledger);
	how = fuzz_take8(&in);
	ledger_fail_at(&api.ledger, how >> 4); /* 0: none */
	if (open_table(&api)) {
		while (fuzz_left(&in) != 0)
			calls[fuzz_pick(&in, CALLS)](&api);
		if ((how & 1) == 0)
			drain(&api);
		if ((how & 2) == 0)
			close_workers(&api);
		fo_table_destroy(api.table);
		if ((how & 2) != 0) {
			run_orphan(&api);
			close_workers(&api);
		}
	}
	FUZZ_CHECK(ledger_leaks(&api.ledger, "fo_table_destroy") == 0, "leak");
	ledger_fini(&api.ledger);
	return 0;
}

/* Sequences of calls by a fixed generator: workers, sides and flows first, so that there is something to break. */
size_t fuzz_seed(unsigned int i, uint8_t *out, size_t room)
{
	static const uint8_t start[] = {26,   0, 26, 1,	   9, 0, 0, 9,	  1, 0x0d, 9, 2,
					0x16, 9, 3,  0x2b, 0, 1, 4, 0x10, 0, 2,	   5, 0x32};
	uint32_t state = 12345u + 977u * i;
	size_t n = 200 + 40u * i % 1000, k;

	if (i >= 64 || room < 1 + sizeof(start) + n)
		return 0;
	out[0] = (uint8_t)(i & 3);
	memcpy(out + 1, start, sizeof(start));
	for (k = 0; k < n; k++) {
		state = state * 1664525u + 1013904223u;
		out[1 + sizeof(start) + k] = (uint8_t)(state >> 24);
	}
	return 1 + sizeof(start) + n;
}
