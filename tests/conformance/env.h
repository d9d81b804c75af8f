/* SPDX-License-Identifier: BSD-2-Clause */
/* env.h - what the cases work with: one table on one rig, the same flows in the reference model,
 * the events so far.
 *
 * Whatever env_add() and env_send() do happens twice, in the library and in the model (model.h),
 * and is compared. topology.h builds the sides and flows.
 * */
#ifndef CONFORMANCE_ENV_H
#define CONFORMANCE_ENV_H

#include "model.h"
#include "packet.h"
#include "suite.h"

#define ENV_PORTS     4u /* ports LAN .. SPARE (topology.h) exist at first */
#define ENV_PORT_0    2u /* number of the first: 1 is the loopback device where ports are network devices */
#define ENV_MAX_ADJ   256u
#define ENV_MAX_FLOWS 4096u
#define ENV_BURST     32u
#define ENV_HEADROOM  64u
/* Idle timeouts where a case says nothing of them: on a slow machine with a real clock a long case is not about idleness. */
#define ENV_PATIENT_MS 14400000u

struct env {
	const struct rig *rig;
	void *state;
	struct fo_table *table;
	struct fo_caps caps;
	struct fo_table_options options;
	struct fo_port ports[ENV_PORTS];
	unsigned int n_adjs;
	fo_adj_id adj_ids[ENV_MAX_ADJ];
	struct fo_adj adjs[ENV_MAX_ADJ];
	struct model model;
	struct model_flow flows[ENV_MAX_FLOWS]; /* model.flows */
	fo_flow_id ids[ENV_MAX_FLOWS];
	struct fo_event *events; /* in the order of delivery */
	unsigned int n_events;
	unsigned int max_events;
	uint64_t needs;	     /* of the case */
	uint64_t polled_ms;  /* CLOCK_MONOTONIC of the last poll */
	struct fo_error err; /* of the last call that should fail */
};

/* Options for a small table with ENV_PORTS ports; the case's prepare() changes them. */
void env_init(struct env *env, const struct rig *rig);
void env_open(struct env *env);
void env_close(struct env *env);
/* Skip the case unless the backend has these FO_CAP_ bits (or so many encapsulations, or
 * connections). */
void env_need(struct env *env, uint64_t caps);
void env_need_encaps(struct env *env, unsigned int n);
/* Does the backend have them? For one combination among many: a lack in what the rig must have
 * fails the case. */
int env_has(struct env *env, uint64_t caps, unsigned int n_encaps);
/* How many connections a case may use that would like to have n. */
unsigned int env_room(const struct env *env, unsigned int n);

/* Register a side; the copy in env->adjs is what the model uses. */
fo_adj_id env_adj(struct env *env, const struct fo_adj *adj);
const struct fo_adj *env_adj_of(const struct env *env, fo_adj_id id);
/* Add to the table and the model, wait until it is in the short cut. Returns the index of flow
 * and id. */
unsigned int env_add(struct env *env, const struct fo_flow *flow);
/* Does this state say so? What hardware does with a flow may take longer to be proven than a case does: PARTIAL. */
int env_short_cut(const struct env *env, unsigned int state);
/* A side as the rig can have it: its devices made, its l3_dev set. */
void env_prepare_side(struct env *env, struct fo_adj *adj);
/* Flow n goes by these sides from now on: where the rig has a slow path, that knows it first. */
void env_reroute(struct env *env, unsigned int n, const struct fo_adj adj[2]);
/* fo_port_set(), and the rig's device with it. */
void env_port_set(struct env *env, uint32_t number, unsigned int state);
/* With RIG_FAULTS: the hardware is so from now on; NULL: as it should be. */
void env_fault(struct env *env, const struct rig_fault *fault);
/* ... and has so many rules that forward. */
unsigned int env_rules(struct env *env);
/* Bring about the connection of a flow that is to be added, where the backend looks for it. */
void env_connect(struct env *env, const struct fo_flow *flow);
/* Put a flow that the table has under this id into the model. */
unsigned int env_know(struct env *env, const struct fo_flow *flow, fo_flow_id id);
/* fo_flow_add() must refuse: code, reason, and field (NULL: any) as given; and leave no trace. */
void env_add_refused(struct env *env, const struct fo_flow *flow, int code, unsigned int reason,
		     const char *field);

/* A rig packet for a built frame, arriving at port. */
void env_packet(struct rig_packet *packet, const struct packet_frame *frame, uint32_t port);
/* Inject; the model says what must happen, byte for byte. The answer is valid until the next
 * send. */
const struct model_answer *env_send(struct env *env, const struct rig_packet *packet);
/* ... and it must be forwarded, or passed with this reason: said by the case itself, so that a
 * mistake in the model does not hide one in the library. */
const struct model_answer *env_forward(struct env *env, const struct rig_packet *packet);
void env_pass(struct env *env, const struct rig_packet *packet, unsigned int reason);
/* One burst, judged in order. */
void env_burst(struct env *env, const struct rig_packet *packets, unsigned int n);
/* With RIG_FAULTS: one valid packet of this direction comes out as the reference says, by whatever path. Did it take the
 * short cut? */
int env_arrive(struct env *env, unsigned int flow, enum fo_dir dir);
/* n valid packets of a flow's direction, all forwarded. */
void env_traffic(struct env *env, unsigned int flow, enum fo_dir dir, unsigned int n);
/* One valid packet of this direction is passed on with reason (FO_R_NONE: any). */
void env_quiet(struct env *env, unsigned int flow, enum fo_dir dir, unsigned int reason);
/* A valid spec of that direction. */
void env_spec(const struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec);
/* Build spec and make a packet of it, arriving as the flow's direction does. Static memory, one
 * at a time. */
struct rig_packet env_frame(const struct env *env, unsigned int flow, enum fo_dir dir,
			    const struct packet_spec *spec);

/* Of this machine, whatever the table's clock says. */
uint64_t env_monotonic_ms(void);
/* Poll until nothing is pending: no flow ARMED, none CLOSING. Events go to env->events. */
void env_settle(struct env *env);
/* One poll that delivers so many events at most. */
void env_poll_limited(struct env *env, unsigned int max_events);
/* What a backend with FO_CAP_CRASH_LEASE wants of its caller, however slow the machine is: a poll now and then. */
void env_keep_lease(struct env *env);
/* n polls, whatever happens. */
void env_polls(struct env *env, unsigned int n);
void env_advance(struct env *env, uint64_t ms);
/* Poll until a flow's terminal event is there (fails when it does not come); returns it. */
const struct fo_event *env_ended(struct env *env, unsigned int flow, unsigned int kind, unsigned int reason);
/* How many events of that id; kind 0: terminal ones. */
unsigned int env_count_events(const struct env *env, fo_flow_id id, unsigned int kind);
/* Terminal events of any flow so far. */
unsigned int env_count_ends(const struct env *env);
/* Delete and wait until it is gone; its final counters must be those of the model. */
void env_delete(struct env *env, unsigned int flow);
/* The first and every step-th after it, together: a backend may do so faster than one by one. */
void env_delete_every(struct env *env, unsigned int step);
/* All of them; the model and the events begin anew. */
void env_delete_all(struct env *env);
/* The counters of the library are those of the model. */
void env_check_counters(struct env *env, unsigned int flow);
void env_check_final(struct env *env, unsigned int flow, const struct fo_flow_counters *counters);

void env_stats(struct env *env, struct fo_table_counters *out);
#define ANY_REASON 0xffffu /* for the calls below */
/* A call that must be refused has filled env->err: code, reason, non-empty text, field (NULL:
 * any). */
void env_refused(struct env *env, int rc, int code, unsigned int reason, const char *field);
/* Call `expr` (which passes &env->err) and check the refusal. */
#define REFUSED(env, expr, code, reason, field)                                                              \
	do {                                                                                                 \
		memset(&(env)->err, 0, sizeof((env)->err));                                                  \
		suite_context("%s:%d %s", __FILE__, __LINE__, #expr);                                        \
		env_refused((env), (expr), (code), (reason), (field));                                       \
		suite_context(NULL);                                                                         \
	} while (0)
/* Call that must succeed: 0, or the error's words. */
#define OK(env, expr)                                                                                        \
	do {                                                                                                 \
		int rc_;                                                                                     \
		memset(&(env)->err, 0, sizeof((env)->err));                                                  \
		rc_ = (expr);                                                                                \
		if (rc_)                                                                                     \
			FAIL("%s returned %d: %s: %s", #expr, rc_, (env)->err.field, (env)->err.text);       \
	} while (0)

#endif /* CONFORMANCE_ENV_H */
