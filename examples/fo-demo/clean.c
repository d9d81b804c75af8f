/* SPDX-License-Identifier: BSD-2-Clause */
/* clean.c - `fo-demo clean`: takes away what a killed process left in the kernel. Neighbours: demo.h, serve.c.
 *
 * A table of backend tc removes what it finds of an earlier one when it is created, and everything when it is destroyed.
 */
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>

#include <flowoffload-tc.h>

#include "demo.h"
#include "out.h"

#define DEVICES_MOST 64u

static const char usage_text[] =
	"usage: fo-demo clean --device DEV [--device DEV ...] [OPTIONS]\n"
	"\n"
	"Removes the rules of tc that a killed 'fo-demo serve', or another program with this library, left "
	"on\n"
	"these devices. Rules of others, and of a process that lives, stay. Without this program:\n"
	"tc filter del dev DEV ingress prio N, for N from 50000 to 50007.\n"
	"\n"
	"  -d, --device DEV     again for each\n"
	"      --priority N     the first of the eight that the rules have, default 50000\n"
	"  -h, --help           this text\n";

enum option_key { KEY_PRIORITY = 256 };

static const struct option longs[] = {
	{"device", required_argument, NULL, 'd'},
	{"priority", required_argument, NULL, KEY_PRIORITY},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* Ports one by one: what is wrong with one must not keep the others from being cleaned. */
static int clean(const char *device, uint32_t priority)
{
	struct fo_tc_options own;
	struct fo_table_options options;
	struct fo_table *table = NULL;
	struct fo_error err = {0};
	struct fo_caps caps;
	struct fo_port port;

	FO_INIT(&own);
	own.priority = priority;
	own.conntrack = FO_TC_CONNTRACK_OFF;
	own.mode = FO_TC_CLEAN_UP;
	FO_INIT(&port);
	port.port = if_nametoindex(device);
	if (port.port == 0) {
		out_error("--device: there is no device '%s' here", device);
		return DEMO_FAILED;
	}
	FO_INIT(&options);
	options.backend = "tc";
	options.backend_options = &own;
	options.capacity = 1;
	options.ports = &port;
	options.n_ports = 1;
	options.flags = FO_TABLE_ACCEPT_LINGER;
	FO_INIT(&caps);
	if (fo_table_create(&options, &table, &err) != 0 || fo_table_caps(table, &caps, &err) != 0) {
		out_fo_error(device, &err);
		fo_table_destroy(table);
		return DEMO_FAILED;
	}
	printf("%s: %s\n", device, caps.text);
	fo_table_destroy(table);
	return DEMO_OK;
}

int cmd_clean(int argc, char **argv)
{
	const char *devices[DEVICES_MOST];
	size_t n = 0;
	uint64_t priority = 0;
	int key, status = DEMO_OK;

	optind = 0;
	while ((key = getopt_long(argc, argv, "d:h", longs, NULL)) != -1) {
		if (key == 'h') {
			fputs(usage_text, stdout);
			return out_finish(DEMO_OK);
		}
		if (key == 'd' && n < DEVICES_MOST)
			devices[n++] = optarg;
		else if (key != KEY_PRIORITY || !out_number("--priority", optarg, 1, 65535, &priority))
			return DEMO_USAGE;
	}
	if (n == 0 || optind != argc) {
		out_error("clean: name the devices: --device DEV");
		return DEMO_USAGE;
	}
	for (size_t i = 0; i < n; i++)
		if (clean(devices[i], (uint32_t)priority) != DEMO_OK)
			status = DEMO_FAILED;
	return out_finish(status);
}
