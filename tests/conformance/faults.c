/* SPDX-License-Identifier: BSD-2-Clause */
/* faults.c - does the suite notice? Each fault that the example backend knows, and the cases that must fail with it.
 *
 * Before any fault, each of these cases must pass on the sound backend, so that "failed" means "noticed". With each fault
 * one case that it does not touch must still pass, so that a backend that is dead altogether does not count as caught.
 * Some mistakes the library must make good: with those the cases must pass.
 * Neighbours: examples/npu has the faults, rig_npu.c seeds them, run.c runs cases.
 */
#include "faults.h"

#include <stdio.h>

#include "npu.h"
#include "run.h"

#define CONTROL "add/find_by_key"

/* Patterns of "group/name"; the first of them that fails has caught it. shielded: none may fail. */
static const struct {
	enum npu_fault fault;
	const char *cases;
	int shielded;
} expected[] = {
	{.fault = NPU_FAULT_UDP_ZERO_REWRITTEN, .cases = "checksum/udp_zero_stays_zero"},
	{.fault = NPU_FAULT_UDP_ZERO_SENT, .cases = "checksum/udp_every_checksum_value"},
	{.fault = NPU_FAULT_TCP_ZERO_COMPLEMENTED, .cases = "checksum/tcp_every_checksum_value"},
	{.fault = NPU_FAULT_PORTS_WITHOUT_CSUM, .cases = "bytes/ipv4_tcp_every_nat_and_encapsulation"},
	{.fault = NPU_FAULT_NO_PSEUDO_HEADER, .cases = "bytes/ipv6_udp_every_nat_and_encapsulation"},
	{.fault = NPU_FAULT_ICMP_PSEUDO_HEADER,
	 .cases = "checksum/icmp_without_and_icmpv6_with_pseudo_header"},
	{.fault = NPU_FAULT_CSUM_REPAIRED, .cases = "checksum/wrong_stays_wrong"},
	{.fault = NPU_FAULT_ECN_CLEARED, .cases = "checksum/dscp_is_written_and_ecn_kept"},
	{.fault = NPU_FAULT_TTL_KEPT, .cases = "checksum/every_ttl"},
	{.fault = NPU_FAULT_TTL_ONE_FORWARDED, .cases = "guards/ttl_of_one_and_zero_pass"},
	{.fault = NPU_FAULT_FRAGMENT_FORWARDED, .cases = "guards/fragments_pass"},
	{.fault = NPU_FAULT_OPTIONS_FORWARDED, .cases = "guards/options_and_extension_headers_pass"},
	{.fault = NPU_FAULT_MTU_IGNORED, .cases = "lengths/mtu_exact_goes_one_more_passes"},
	{.fault = NPU_FAULT_MTU_OFF_BY_ONE, .cases = "lengths/mtu_exact_goes_one_more_passes"},
	{.fault = NPU_FAULT_MAC_IGNORED, .cases = "guards/wrong_mac_passes"},
	{.fault = NPU_FAULT_VLAN_IGNORED, .cases = "ingress/wrong_encapsulation_passes"},
	{.fault = NPU_FAULT_PORT_IGNORED, .cases = "ingress/wrong_port_passes"},
	{.fault = NPU_FAULT_ICMP_ERROR_AS_ECHO, .cases = "guards/icmp_other_than_echo_passes"},
	{.fault = NPU_FAULT_SYN_FORWARDED, .cases = "guards/syn_passes_other_flags_go"},
	{.fault = NPU_FAULT_FIN_IGNORED, .cases = "closing/fin_in_original_direction"},
	{.fault = NPU_FAULT_RST_FORWARDED, .cases = "closing/rst_in_reply_direction"},
	{.fault = NPU_FAULT_PADDING_FORWARDED, .cases = "lengths/padding_is_trimmed"},
	{.fault = NPU_FAULT_PPPOE_LENGTH, .cases = "bytes/ipv4_udp_every_nat_and_encapsulation"},
	{.fault = NPU_FAULT_PCP_COPIED, .cases = "ingress/priority_bits_are_the_adjacencys"},
	{.fault = NPU_FAULT_PASS_MODIFIED, .cases = "lengths/mtu_exact_goes_one_more_passes"},
	{.fault = NPU_FAULT_LINK_IGNORED,
	 .cases = "late/port_down_stops_every_flow_at_once,devices/port_down_ends_its_flows_with_an_event"},
	{.fault = NPU_FAULT_L2_BYTES, .cases = "counters/l3_bytes_per_direction"},
	{.fault = NPU_FAULT_PADDING_COUNTED,
	 .cases = "counters/l3_bytes_per_direction,lengths/padding_is_trimmed"},
	{.fault = NPU_FAULT_FULL_EVICTS, .cases = "full/full_refuses_and_evicts_nothing"},
	{.fault = NPU_FAULT_NEVER_IDLE, .cases = "idle/timeouts_by_protocol"},
	{.fault = NPU_FAULT_ONE_DIRECTION, .cases = "add/both_directions_at_once"},
	{.fault = NPU_FAULT_COUNTER_LOST_AT_DELETE,
	 .cases = "delete/delete_ends_both_directions_and_no_other_flow"},
	{.fault = NPU_FAULT_STATS_CONSUMED, .cases = "counters/reading_has_no_side_effect"},
	{.fault = NPU_FAULT_DELETED_FORWARDS, .cases = "delete/delete_needs_no_poll"},
	{.fault = NPU_FAULT_LATE_RESURRECTION, .cases = "states/deleted_while_being_added_stays_deleted"},
	{.fault = NPU_FAULT_REMOVED_NOT_TOLD, .cases = "delete/delete_without_last_closes_until_polled"},
	{.fault = NPU_FAULT_CLOSING_NOT_TOLD, .cases = "closing/fin_in_reply_direction"},
	{.fault = NPU_FAULT_TOLD_TWICE,
	 .cases = "delete/*,closing/*,events/*,idle/*,duplicates/*",
	 .shielded = 1},
	{.fault = NPU_FAULT_RESET_NOT_TOLD, .cases = "events/device_loses_all_flows"},
	{.fault = NPU_FAULT_FALLBACK_INVENTED, .cases = "states/undisturbed_flow_never_falls_back"},
	{.fault = NPU_FAULT_ADJ_UPDATE_IGNORED, .cases = "adjacency/next_hop_changes_under_traffic"},
	{.fault = NPU_FAULT_DSCP_UPDATE_IGNORED, .cases = "update/new_dscp"},
	{.fault = NPU_FAULT_IDLE_BY_ONE_DIRECTION, .cases = "idle/one_direction_keeps_both_alive"},
};

#define N_EXPECTED (sizeof(expected) / sizeof(expected[0]))

struct finding {
	enum run_outcome outcome; /* worst so far: a failure is what is looked for */
	char name[128];
	char why[512];
};

/* Run cases until one fails; what is found is that failure, or how the last one ended. Returns how many were run. */
static unsigned int run_until_failure(const struct run_options *options, const char *patterns,
				      struct finding *found)
{
	unsigned int n = 0, g, i;

	memset(found, 0, sizeof(*found));
	for (g = 0; run_groups[g]; g++) {
		for (i = 0; i < run_groups[g]->n_cases; i++) {
			const struct suite_case *c = &run_groups[g]->cases[i];
			char name[sizeof(found->name)];

			snprintf(name, sizeof(name), "%s/%s", run_groups[g]->name, c->name);
			if (!run_matches(patterns, name))
				continue;
			n++;
			memcpy(found->name, name, sizeof(name));
			found->outcome = run_case(options, c, found->why, sizeof(found->why));
			if (found->outcome == RUN_FAIL)
				return n;
		}
	}
	return n;
}

static void report(const struct run_options *options, const char *word, const char *what, const char *fault,
		   const struct finding *found)
{
	if (options->json)
		printf("{\"fault\": \"%s\", \"outcome\": \"%s\", \"case\": \"%s\"}\n", fault, what,
		       found->name);
	else
		printf("%-4s %s %s by %s  %s\n", word, what, fault, *found->name ? found->name : "no case",
		       found->why);
	fflush(stdout);
}

/* On the sound backend nothing is noticed. Returns how many faults' cases fail without their fault. */
static unsigned int check_sound(const struct run_options *options)
{
	unsigned int wrong = 0;
	struct finding found;
	size_t i, j;

	rig_npu_seed(NPU_FAULT_NONE);
	for (i = 0; i < N_EXPECTED; i++) {
		if (options->glob && !run_matches(options->glob, npu_fault_name(expected[i].fault)))
			continue;
		for (j = 0; j < i && strcmp(expected[i].cases, expected[j].cases); j++)
			;
		if (j < i)
			continue;
		if (run_until_failure(options, expected[i].cases, &found) && found.outcome != RUN_FAIL)
			continue;
		if (!*found.name)
			snprintf(found.why, sizeof(found.why), "matches %s", expected[i].cases);
		wrong++;
		report(options, "FAIL", "false-alarm", npu_fault_name(NPU_FAULT_NONE), &found);
	}
	return wrong;
}

/* 1 when the library made it good. */
static unsigned int check_shielded(const struct run_options *options, size_t i)
{
	const char *fault = npu_fault_name(expected[i].fault);
	struct finding found;

	if (!run_until_failure(options, expected[i].cases, &found) || found.outcome == RUN_FAIL) {
		report(options, "FAIL", "not-shielded", fault, &found);
		return 0;
	}
	if (options->json)
		printf("{\"fault\": \"%s\", \"outcome\": \"shielded\"}\n", fault);
	else
		printf("ok   shielded %s: the library makes it good\n", fault);
	return 1;
}

/* 1 when it was caught and nothing else broke. */
static unsigned int check_fault(const struct run_options *options, size_t i)
{
	const char *fault = npu_fault_name(expected[i].fault);
	struct finding found, control;

	rig_npu_seed(expected[i].fault);
	if (expected[i].shielded)
		return check_shielded(options, i);
	if (!run_until_failure(options, expected[i].cases, &found) || found.outcome != RUN_FAIL) {
		report(options, "FAIL", "missed", fault, &found);
		return 0;
	}
	if (!run_until_failure(options, CONTROL, &control) || control.outcome != RUN_OK) {
		report(options, "FAIL", "broke-everything", fault, &control);
		return 0;
	}
	report(options, "ok", "caught", fault, &found);
	return 1;
}

/* A fault without a line here is missed. */
static unsigned int count_unlisted(const struct run_options *options)
{
	const struct finding none = {.outcome = RUN_SKIP};
	unsigned int n = 0, fault;
	size_t i;

	for (fault = NPU_FAULT_NONE + 1; fault < NPU_FAULT_COUNT; fault++) {
		for (i = 0; i < N_EXPECTED && expected[i].fault != fault; i++)
			;
		if (i < N_EXPECTED)
			continue;
		report(options, "FAIL", "missed", npu_fault_name(fault), &none);
		n++;
	}
	return n;
}

int faults_run(const struct run_options *given)
{
	struct run_options options = *given;
	unsigned int caught = 0, missed = 0;
	size_t i;

	options.rig = &rig_npu;
	if (check_sound(&options)) {
		fprintf(stderr, "fo-conformance: cases fail without a fault; mend that first\n");
		return 1;
	}
	for (i = 0; i < N_EXPECTED; i++) {
		if (options.glob && !run_matches(options.glob, npu_fault_name(expected[i].fault)))
			continue;
		if (check_fault(&options, i))
			caught++;
		else
			missed++;
	}
	rig_npu_seed(NPU_FAULT_NONE);
	if (!options.glob)
		missed += count_unlisted(&options);
	if (options.json)
		printf("{\"caught\": %u, \"missed\": %u}\n", caught, missed);
	else
		printf("%u faults caught or shielded, %u missed\n", caught, missed);
	return missed || !caught;
}
