/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_maps.c - what the control thread pays for flows in the kernel's maps: added, swept, adopted; and their memory.
 *
 *   bench-bpf-maps [--sizes N[,N...]]
 *
 * The backend is called by its contract, without the library around it, where the map part alone is asked for. In a network
 * and a mount namespace of its own, on a veth there. Needs root. JSON lines for targets.py.
 */
#define _GNU_SOURCE
#include "backends/bpf/bpf.h"
#include "backends/bpf/state.h"
#include "flowoffload-bpf.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANDFUL	 128u
#define SLICE_US 2000u
#define SWEEPS	 5u
/* enum bpf_map_type */
#define MAP_HASH  1u
#define MAP_ARRAY 2u

static const char set_up_device[] =
	"ip link add fo0 type veth peer name fo1 && ip link set fo0 up && ip link set fo1 up";

static struct fo_port port;
static struct fo_bpf_options own;
static struct fo_table_options options;
static struct fo_adj adj[2];
static char folder[64];

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	fprintf(stderr, "bench-bpf-maps: %s: %s\n", what, why);
	exit(1);
}

static void line(const char *name, uint32_t n, double figure, const char *unit)
{
	printf("{\"bench\":\"bpf-maps\",\"case\":\"%s\",\"n\":%u,\"figure\":%.4f,\"unit\":\"%s\"}\n", name, n,
	       figure, unit);
}

static double clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void describe_flow(struct fo_flow *flow, uint32_t i, const fo_adj_id id[2])
{
	uint32_t inside = htonl(0x0a000000u + i / 50000), outside = htonl(0xc6336401u),
		 far = htonl(0xc0000201u);
	uint16_t near_port = htons((uint16_t)(1024 + i % 50000)), far_port = htons(53);

	FO_INIT(flow);
	for (unsigned int dir = 0; dir < 2; dir++) {
		flow->tuple[dir].family = FO_FAMILY_IPV4;
		flow->tuple[dir].proto = 17;
		flow->adj[dir] = id[dir];
	}
	far = htonl(ntohl(far) + i / 50000);
	memcpy(flow->tuple[0].src, &inside, 4);
	memcpy(flow->tuple[0].dst, &far, 4);
	flow->tuple[0].sport_be = flow->tuple[1].dport_be = near_port;
	flow->tuple[0].dport_be = flow->tuple[1].sport_be = far_port;
	memcpy(flow->tuple[1].src, &far, 4);
	memcpy(flow->tuple[1].dst, &outside, 4);
	flow->timeout_ms = FO_TIMEOUT_NEVER;
}

/* ---- the backend alone ---- */

static size_t host_bytes;
static uint64_t counted;

static void *host_alloc(struct fo_host *host, size_t size, size_t align)
{
	void *memory = NULL;

	(void)host;
	host_bytes += size;
	return posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, size) ? NULL : memory;
}

static void host_free(struct fo_host *host, void *memory, size_t size)
{
	(void)host;
	host_bytes -= size;
	free(memory);
}

static uint64_t host_now(struct fo_host *host)
{
	(void)host;
	return (uint64_t)clock_ms(CLOCK_MONOTONIC);
}

static void host_count(struct fo_host *host, uint64_t cookie, enum fo_dir dir, uint64_t packets,
		       uint64_t bytes, uint64_t last_seen_ms)
{
	(void)host;
	(void)cookie;
	(void)dir;
	(void)bytes;
	(void)last_seen_ms;
	counted += packets;
}

static void host_ignore(struct fo_host *host, uint64_t cookie)
{
	(void)host;
	(void)cookie;
}

static const struct fo_host_ops host_ops = {
	.size = sizeof(host_ops),
	.removed = host_ignore,
	.count = host_count,
	.now_ms = host_now,
	.alloc = host_alloc,
	.free = host_free,
};

struct crowd {
	struct fo_flow *flows;
	struct fo_backend_flow *told;
	uint32_t n;
};

/* What leaves is the mirror of the other direction. */
static void mirror(const struct fo_tuple *other, struct fo_tuple *out)
{
	*out = *other;
	memcpy(out->src, other->dst, 16);
	memcpy(out->dst, other->src, 16);
	out->sport_be = other->dport_be;
	out->dport_be = other->sport_be;
}

static void crowd_open(struct crowd *crowd, uint32_t n)
{
	static const fo_adj_id id[2] = {1, 2};

	crowd->n = n;
	crowd->flows = calloc(n, sizeof(*crowd->flows));
	crowd->told = calloc(n, sizeof(*crowd->told));
	if (!crowd->flows || !crowd->told)
		die("flows", "no memory");
	for (uint32_t i = 0; i < n; i++) {
		struct fo_backend_flow *told = &crowd->told[i];

		describe_flow(&crowd->flows[i], i, id);
		told->size = sizeof(*told);
		told->cookie = UINT64_C(1) << 32 | i;
		told->slot = i;
		told->flow = &crowd->flows[i];
		mirror(&told->flow->tuple[1], &told->out[0]);
		mirror(&told->flow->tuple[0], &told->out[1]);
		told->in[0] = told->to[1] = &adj[0];
		told->in[1] = told->to[0] = &adj[1];
	}
}

static void crowd_close(struct crowd *crowd)
{
	free(crowd->flows);
	free(crowd->told);
}

static void *backend_open(uint32_t n)
{
	struct fo_backend_config config = {
		.size = sizeof(config), .options = &options, .ops = &host_ops, .slots = n};
	struct fo_error err;
	struct fo_caps caps;
	void *priv;

	FO_INIT(&caps);
	memset(&err, 0, sizeof(err));
	if (fo__backend_bpf.create(&config, &caps, &priv, &err))
		die("create", err.text);
	return priv;
}

static void add_to_maps(void *priv, const struct crowd *crowd)
{
	struct fo_error errs[HANDFUL];
	unsigned int states[HANDFUL];
	int results[HANDFUL];
	double began = clock_ms(CLOCK_MONOTONIC), cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID), took;

	for (uint32_t i = 0; i < crowd->n; i += HANDFUL) {
		size_t n = crowd->n - i < HANDFUL ? crowd->n - i : HANDFUL;

		fo__backend_bpf.flow_add_many(priv, &crowd->told[i], n, states, results, errs);
		for (size_t at = 0; at < n; at++)
			if (results[at])
				die("an add", errs[at].text);
	}
	cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID) - cpu;
	took = clock_ms(CLOCK_MONOTONIC) - began;
	line("add-map-cpu", crowd->n, crowd->n / cpu * 1e3, "flows/s");
	line("add-map", crowd->n, crowd->n / took * 1e3, "flows/s");
	line("add-map-directions", crowd->n, 2 * crowd->n / took * 1e3, "directions/s");
}

static int by_value(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

/* ---- memory, as the kernel accounts it ---- */

struct found {
	int fd;
	unsigned int type, key_size, value_size, entries;
	double memlock;
};

static bool read_map(const char *name, struct found *found)
{
	char path[300], text[128];
	FILE *file;

	*found = (struct found){.fd = atoi(name)};
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", name);
	file = fopen(path, "r");
	while (file && fgets(text, sizeof(text), file)) {
		(void)sscanf(text, "map_type: %u", &found->type);
		(void)sscanf(text, "key_size: %u", &found->key_size);
		(void)sscanf(text, "value_size: %u", &found->value_size);
		(void)sscanf(text, "max_entries: %u", &found->entries);
		(void)sscanf(text, "memlock: %lf", &found->memlock);
	}
	if (file)
		fclose(file);
	return found->type != 0;
}

/* A map with one element a direction. */
static struct found map_of(unsigned int type, unsigned int key_size, uint32_t directions)
{
	DIR *dir = opendir("/proc/self/fdinfo");
	struct dirent *entry;
	struct found found;

	while (dir && (entry = readdir(dir)) != NULL)
		if (read_map(entry->d_name, &found) && found.type == type && found.key_size == key_size &&
		    found.entries == directions) {
			closedir(dir);
			return found;
		}
	die("a map", "not found");
}

/* An element of the hash of its family, and its state in the array of both. */
static double memory_of(unsigned int key_size, uint32_t n)
{
	return (map_of(MAP_HASH, key_size, 2 * n).memlock + map_of(MAP_ARRAY, 4, 2 * n).memlock) / (2.0 * n);
}

/* As if each direction had had a packet since the last sweep. */
static void touch_all(void *priv, uint32_t n)
{
	struct found map = map_of(MAP_ARRAY, 4, 2 * n);
	size_t size = 2 * (size_t)n * sizeof(struct fo__bpf_state);
	struct fo__bpf_state *states = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd, 0);
	uint32_t now = (uint32_t)fo__bpf_jiffies(priv) | 1;

	if (states == MAP_FAILED || map.value_size != sizeof(*states))
		die("states", strerror(errno));
	for (uint32_t i = 0; i < 2 * n; i++) {
		states[i].packets++;
		states[i].bytes += 100;
		states[i].last = now;
	}
	munmap(states, size);
}

/* Whole sweeps, in slices as fo_table_poll() would ask for them. */
static void sweep(void *priv, uint32_t n, bool active)
{
	double total[SWEEPS], clock[SWEEPS], longest = 0;

	for (unsigned int i = 0; i < SWEEPS; i++) {
		uint64_t due = fo__backend_bpf.deadline(priv);

		while ((uint64_t)clock_ms(CLOCK_MONOTONIC) <= due)
			usleep(10000);
		if (active)
			touch_all(priv, n);
		total[i] = clock[i] = 0;
		do {
			double cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID), at = clock_ms(CLOCK_MONOTONIC), slice;

			fo__backend_bpf.poll(priv, SLICE_US);
			slice = clock_ms(CLOCK_THREAD_CPUTIME_ID) - cpu;
			total[i] += slice;
			clock[i] += clock_ms(CLOCK_MONOTONIC) - at;
			longest = slice > longest ? slice : longest;
		} while (!fo__backend_bpf.deadline(priv));
	}
	qsort(total, SWEEPS, sizeof(total[0]), by_value);
	qsort(clock, SWEEPS, sizeof(clock[0]), by_value);
	line(active ? "sweep-active" : "sweep", n, total[SWEEPS / 2], "ms");
	line(active ? "sweep-active-clock" : "sweep-clock", n, clock[SWEEPS / 2], "ms");
	line(active ? "sweep-active-slice" : "sweep-slice", n, longest, "ms");
}

static void maps_alone(uint32_t n)
{
	struct crowd crowd;
	void *priv;

	crowd_open(&crowd, n);
	priv = backend_open(n);
	line("memory4", n, memory_of(16, n), "B");
	line("memory6", n, memory_of(40, n), "B");
	line("memory-user", n, (double)host_bytes / (2.0 * n), "B");
	add_to_maps(priv, &crowd);
	sweep(priv, n, false);
	counted = 0;
	sweep(priv, n, true);
	if (counted != SWEEPS * 2ull * n)
		die("a sweep", "not all packets were told");
	fo__backend_bpf.destroy(priv);
	crowd_close(&crowd);
}

/* ---- by the library ---- */

static void add_by_library(struct fo_table *table, uint32_t n, bool tell)
{
	struct fo_flow *flows = calloc(n, sizeof(*flows));
	struct fo_error err;
	fo_adj_id id[2];
	double began;

	for (unsigned int i = 0; i < 2; i++)
		if (fo_adj_add(table, &adj[i], &id[i], &err))
			die("an adjacency", err.text);
	if (!flows)
		die("flows", "no memory");
	for (uint32_t i = 0; i < n; i++)
		describe_flow(&flows[i], i, id);
	began = clock_ms(CLOCK_MONOTONIC);
	if (fo_flow_add_many(table, flows, n, 0, NULL, NULL, &err) != (int)n)
		die("flows", err.text);
	if (tell)
		line("add-library", n, n / (clock_ms(CLOCK_MONOTONIC) - began) * 1e3, "flows/s");
	free(flows);
}

static struct fo_table *table_open(uint32_t n)
{
	struct fo_table *table;
	struct fo_error err;

	options.capacity = n;
	if (fo_table_create(&options, &table, &err))
		die("a table", err.text);
	return table;
}

static void by_library(uint32_t n)
{
	struct fo_table *table = table_open(n);

	add_by_library(table, n, true);
	fo_table_destroy(table);
}

/* A process is killed with n flows; how long until the next one has them? */
static void adoption(uint32_t n)
{
	struct fo_table_counters stats;
	struct fo_table *table;
	double began, cpu;
	pid_t child;

	options.flags = FO_TABLE_PERSIST;
	fflush(stdout);
	child = fork();
	if (!child) {
		add_by_library(table_open(n), n, false);
		(void)kill(getpid(), SIGKILL);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		die("a process", strerror(errno));
	began = clock_ms(CLOCK_MONOTONIC);
	cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID);
	table = table_open(n);
	cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID) - cpu;
	began = clock_ms(CLOCK_MONOTONIC) - began;
	FO_INIT(&stats);
	if (fo_stats(table, &stats, NULL) || stats.flows != n)
		die("adoption", "not all flows were adopted");
	line("adoption", n, began, "ms");
	line("adoption-cpu", n, cpu, "ms");
	/* The file system goes with this namespace, and all with it. */
	fo_table_destroy(table);
	options.flags = 0;
}

static void set_up(void)
{
	snprintf(folder, sizeof(folder), "/tmp/fo-bench-bpf-XXXXXX");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(folder) || mount("bpf", folder, "bpf", 0, NULL))
		die("namespaces", strerror(errno));
	if (system(set_up_device))
		die("a veth", set_up_device);
	FO_INIT(&port);
	port.port = if_nametoindex("fo0");
	FO_INIT(&own);
	own.attach = FO_BPF_ATTACH_TC;
	own.conntrack = FO_BPF_CONNTRACK_OFF; /* the maps' part alone */
	FO_INIT(&options);
	options.backend = "bpf";
	options.ports = &port;
	options.n_ports = 1;
	options.backend_options = &own;
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&adj[i]);
		adj[i].port = port.port;
		adj[i].mtu = 1500;
		memcpy(adj[i].own_mac, (uint8_t[6]){2, 0, 0, 0, 0, 1}, 6);
		memcpy(adj[i].peer_mac, (uint8_t[6]){2, 0, 0, 0, 0, (uint8_t)(2 + i)}, 6);
	}
}

static void run(uint32_t n)
{
	static char pins[96];

	snprintf(pins, sizeof(pins), "%s/%u", folder, n);
	own.pins = pins;
	maps_alone(n);
	by_library(n);
	adoption(n);
}

int main(int argc, char **argv)
{
	char sizes[64] = "100000,1000000", *rest = sizes, *word;

	if (argc == 3 && !strcmp(argv[1], "--sizes"))
		snprintf(sizes, sizeof(sizes), "%s", argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	set_up();
	while ((word = strtok_r(rest, ",", &rest)) != NULL)
		run((uint32_t)strtoul(word, NULL, 10));
	(void)umount2(folder, MNT_DETACH);
	(void)rmdir(folder);
	return 0;
}
