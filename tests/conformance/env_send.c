/* SPDX-License-Identifier: BSD-2-Clause */
/* env_send.c - packets through the rig and through the model, compared. See env.h. */
#include "env.h"

#include <stdio.h>

static struct model_answer answers[ENV_BURST];
static struct rig_result results[ENV_BURST];

void env_packet(struct rig_packet *packet, const struct packet_frame *frame, uint32_t port)
{
	memset(packet, 0, sizeof(*packet));
	packet->frame = frame->bytes;
	packet->length = frame->length;
	packet->in_port = port;
	packet->headroom = ENV_HEADROOM;
}

static const char *first_difference(const struct rig_result *result, const uint8_t *want, uint32_t length)
{
	static char text[320];
	uint32_t i = 0, from;

	while (i < length && i < result->length && result->frame[i] == want[i])
		i++;
	from = i > 8 ? (i - 8) & ~1u : 0;
	snprintf(text, sizeof(text), "byte %u of %u/%u: from %u got %s want %s", i, result->length, length,
		 from,
		 suite_hex(result->frame + from, result->length - from < 40 ? result->length - from : 40),
		 suite_hex(want + from, length - from < 40 ? length - from : 40));
	return text;
}

static void compare_forwarded(const struct env *env, const struct rig_packet *in,
			      const struct rig_result *out, const struct model_answer *want)
{
	if (out->length != want->length || memcmp(out->frame, want->frame, want->length))
		FAIL("forwarded with other bytes: %s", first_difference(out, want->frame, want->length));
	if (out->out_port != want->out_port)
		FAIL("left by port %u, should be %u", out->out_port, want->out_port);
	if (!(env->rig->features & (RIG_META | RIG_CSUM)))
		return;
	if (out->flags != want->flags)
		FAIL("left with flags 0x%x, should be 0x%x", out->flags, want->flags);
	if ((in->flags & FO_PKT_CSUM_PARTIAL) &&
	    (out->csum_start != want->csum_start || out->csum_offset != in->csum_offset))
		FAIL("left with checksum at %u+%u, should be %u+%u", out->csum_start, out->csum_offset,
		     want->csum_start, in->csum_offset);
	if ((in->flags & FO_PKT_GSO) && out->gso_size != in->gso_size)
		FAIL("left with gso_size %u, should be %u", out->gso_size, in->gso_size);
}

/* A second look that owes nothing to the model's arithmetic: what was right must still be right. */
static void recompute(const struct rig_packet *in, const struct rig_result *out, uint32_t l3_in,
		      uint32_t l3_out)
{
	if (in->flags & (FO_PKT_CSUM_PARTIAL | FO_PKT_GSO))
		return;
	if (out->frame[l3_out] >> 4 == 4 &&
	    packet_ip_csum_ok(in->frame, l3_in) != packet_ip_csum_ok(out->frame, l3_out))
		FAIL("the IPv4 header checksum changed from %s to %s",
		     packet_ip_csum_ok(in->frame, l3_in) ? "right" : "wrong",
		     packet_ip_csum_ok(out->frame, l3_out) ? "right" : "wrong");
	if (packet_l4_csum_ok(in->frame, l3_in, in->length) &&
	    !packet_l4_csum_ok(out->frame, l3_out, out->length))
		FAIL("a right L4 checksum became a wrong one");
}

static void compare(const struct env *env, const struct rig_packet *in, const struct rig_result *out,
		    const struct model_answer *want)
{
	if (out->violation[0])
		FAIL("%s (packet %s)", out->violation, suite_hex(in->frame, in->length));
	if (out->verdict != want->verdict)
		FAIL("%s (%s), should be %s (%s): %u bytes on port %u: %s",
		     out->verdict == FO_FORWARD ? "forwarded" : "passed on", fo_reason_name(out->reason),
		     want->verdict == FO_FORWARD ? "forwarded" : "passed on", fo_reason_name(want->reason),
		     in->length, in->in_port, suite_hex(in->frame, in->length < 64 ? in->length : 64));
	if (want->verdict == FO_FORWARD) {
		compare_forwarded(env, in, out, want);
		recompute(in, out, want->l3_in, want->length - want->l3_bytes);
		if ((env->rig->features & RIG_FLOW_IDS) && out->flow != env->ids[want->flow])
			FAIL("says flow %llx, should be %llx", (unsigned long long)out->flow,
			     (unsigned long long)env->ids[want->flow]);
		return;
	}
	if (out->length != in->length || memcmp(out->frame, in->frame, in->length))
		FAIL("passed on, but not unmodified: %s", first_difference(out, in->frame, in->length));
	if ((env->rig->features & RIG_REASONS) &&
	    (out->reason >= FO_R_PACKET_MAX || !(want->reasons & (UINT64_C(1) << out->reason))))
		FAIL("passed on with %s, should be %s: %s", fo_reason_name(out->reason),
		     fo_reason_name(want->reason), suite_hex(in->frame, in->length < 64 ? in->length : 64));
}

void env_burst(struct env *env, const struct rig_packet *packets, unsigned int n)
{
	unsigned int i;

	REQUIRE(n <= ENV_BURST);
	env_keep_lease(env);
	for (i = 0; i < n; i++)
		model_packet(&env->model, &packets[i], env->rig->now_ms(env->state), &answers[i]);
	if (env->rig->inject(env->state, packets, results, n))
		FAIL("the rig could not inject");
	for (i = 0; i < n; i++)
		compare(env, &packets[i], &results[i], &answers[i]);
}

const struct model_answer *env_send(struct env *env, const struct rig_packet *packet)
{
	env_burst(env, packet, 1);
	return &answers[0];
}

const struct model_answer *env_forward(struct env *env, const struct rig_packet *packet)
{
	env_send(env, packet);
	if (results[0].verdict != FO_FORWARD)
		FAIL("passed on (%s), should be forwarded", fo_reason_name(results[0].reason));
	return &answers[0];
}

void env_pass(struct env *env, const struct rig_packet *packet, unsigned int reason)
{
	env_send(env, packet);
	if (results[0].verdict != FO_PASS)
		FAIL("forwarded, should be passed on (%s)", fo_reason_name(reason));
	if (reason != FO_R_NONE && (env->rig->features & RIG_REASONS) && results[0].reason != reason)
		FAIL("passed on with %s, should be %s", fo_reason_name(results[0].reason),
		     fo_reason_name(reason));
}

void env_spec(const struct env *env, unsigned int flow, enum fo_dir dir, struct packet_spec *spec)
{
	packet_spec_init(spec, &env->flows[flow].flow.tuple[dir], &env->flows[flow].adj[dir]);
}

struct rig_packet env_frame(const struct env *env, unsigned int flow, enum fo_dir dir,
			    const struct packet_spec *spec)
{
	static struct packet_frame frame;
	struct rig_packet packet;

	packet_build(spec, &frame);
	env_packet(&packet, &frame, env->flows[flow].adj[dir].port);
	packet.scope = env->flows[flow].flow.scope;
	return packet;
}

void env_traffic(struct env *env, unsigned int flow, enum fo_dir dir, unsigned int n)
{
	struct packet_spec spec;
	struct rig_packet packet;
	unsigned int i;

	env_spec(env, flow, dir, &spec);
	for (i = 0; i < n; i++) {
		spec.payload_len = 10 + 7 * i % 900;
		spec.payload_seed = i;
		packet = env_frame(env, flow, dir, &spec);
		env_forward(env, &packet);
	}
}

int env_arrive(struct env *env, unsigned int flow, enum fo_dir dir)
{
	struct model_flow *f = &env->flows[flow];
	enum model_life life = f->life;
	struct model_answer *want = &answers[0];
	struct rig_result *out = &results[0];
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, flow, dir, &spec);
	packet = env_frame(env, flow, dir, &spec);
	/* The slow path makes of it what the short cut does. */
	f->life = MODEL_LIVE;
	model_judge(&env->model, &packet, want);
	f->life = life;
	if (env->rig->carry(env->state, &packet, out))
		FAIL("the rig could not carry a packet");
	if (out->violation[0])
		FAIL("%s (flow %u direction %u)", out->violation, flow, dir);
	if (!out->length)
		FAIL("a packet of flow %u direction %u went in, and nothing came out", flow, dir);
	compare_forwarded(env, &packet, out, want);
	recompute(&packet, out, want->l3_in, want->length - want->l3_bytes);
	if (out->verdict == FO_FORWARD)
		model_packet(&env->model, &packet, env->rig->now_ms(env->state), want);
	return out->verdict == FO_FORWARD;
}

void env_quiet(struct env *env, unsigned int flow, enum fo_dir dir, unsigned int reason)
{
	struct packet_spec spec;
	struct rig_packet packet;

	env_spec(env, flow, dir, &spec);
	packet = env_frame(env, flow, dir, &spec);
	env_pass(env, &packet, reason);
}
