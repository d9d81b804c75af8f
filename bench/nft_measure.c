/* SPDX-License-Identifier: BSD-2-Clause */
/* nft_measure.c - what the nft backend costs on this kernel, in the lines that targets.py reads. Neighbours: nft.sh, which
 * runs it in the lab; tests/nft/live.h, whose router and crowd of connections it works on.
 *
 * The peer is nft(8) for adding. Slices of the control thread are given by the clock and by its CPU time: on a machine that
 * is shared the first has waits in it that are not the library's.
 */
#include "crowded.h"

#include "conntrack/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDS	   5u
#define READINGS   5u
#define REFRESHES  7u
#define POLLING_MS 5000.0
/* Conntrack entries that are no flows, in steps. */
#define STRANGERS 100000u

static void line(const char *name, unsigned int n, double figure, const char *unit)
{
	bench_figure("nft", name, n, figure, unit);
}

static unsigned int n_active(struct world *world)
{
	return crowded_in_state(world, FO_STATE_ACTIVE);
}

/* ---- Adding ---- */

static void write_elements(const struct crowd *crowd, char *path)
{
	FILE *file = fdopen(mkstemp(path), "w");

	CHECK(file);
	fprintf(file, "add element inet peer udp4 {\n");
	for (unsigned int i = 0; i < crowd->n; i++)
		fprintf(file, "0 . 10.91.1.2 . 10.91.2.2 . %u . 7000,\n",
			ntohs(crowd->flows[i].tuple[0].sport_be));
	fprintf(file, "}\n");
	CHECK(!fclose(file));
}

/* The same tuples as elements of a set of the same type, by nft -f. */
static double by_nft(const struct crowd *crowd)
{
	char path[] = "/tmp/nft-measure-XXXXXX", command[128];
	double began;

	write_elements(crowd, path);
	world_run("nft 'add table inet peer; add set inet peer udp4 "
		  "{ type mark . ipv4_addr . ipv4_addr . inet_service . inet_service; }'");
	snprintf(command, sizeof(command), "nft -f %s", path);
	began = crowded_now_ms();
	CHECK(!system(command));
	began = crowded_now_ms() - began;
	CHECK(!unlink(path));
	world_run("nft delete table inet peer");
	return began;
}

static void delete_all(struct world *world, const struct crowd *crowd, const fo_flow_id *ids)
{
	struct fo_flow_counters last;

	for (unsigned int i = 0; i < crowd->n; i++) {
		FO_INIT(&last);
		OK(fo_flow_del(world->table, ids[i], &last, &live_err));
	}
	OK(fo_table_sync(world->table, 60000, &live_err));
	world_poll(world);
}

/* In turns; the first turn of each warms up and does not count. In the end they are added. */
static void add_all(struct world *world, struct crowd *crowd, fo_flow_id *ids)
{
	double library[ADDS + 1], peer[ADDS + 1];

	for (unsigned int i = 0; i <= ADDS; i++) {
		if (i % 2)
			peer[i] = by_nft(crowd);
		library[i] = crowded_add(world, crowd, ids);
		if (i % 2 == 0)
			peer[i] = by_nft(crowd);
		if (i < ADDS)
			delete_all(world, crowd, ids);
	}
	library[0] = bench_median(library + 1, ADDS);
	peer[0] = bench_median(peer + 1, ADDS);
	printf("{\"bench\":\"nft\",\"case\":\"add\",\"n\":%u,\"who\":\"nft "
	       "-f\",\"ns\":%.0f,\"ratio\":%.2f}\n",
	       crowd->n, peer[0] * 1e6 / crowd->n, peer[0] / library[0]);
	printf("{\"bench\":\"nft\",\"case\":\"add\",\"n\":%u,\"who\":\"flowoffload\",\"ns\":%.0f,\"ratio\":1}"
	       "\n",
	       crowd->n, library[0] * 1e6 / crowd->n);
}

/* ---- Conntrack alone ---- */

static void found(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	(void)i;
	CHECK(entry && !error);
	++*(unsigned int *)arg;
}

static int seen(void *arg, const struct fo__ct_entry *entry)
{
	(void)entry;
	++*(unsigned int *)arg;
	return 0;
}

static double one_by_one(struct fo__nl *nl, const struct fo__ct_key *keys, unsigned int n)
{
	static uint8_t tx[FO__CT_TX_ROOM];
	unsigned int told = 0;
	double began = crowded_now_ms();

	CHECK_INT(fo__ct_get(nl, tx, keys, n, found, &told), 0);
	CHECK_INT(told, n);
	return crowded_now_ms() - began;
}

static double all_at_once(struct fo__nl *nl, unsigned int n)
{
	unsigned int told = 0;
	double began = crowded_now_ms();
	int rc;

	CHECK_INT(fo__ct_dump_begin(nl, 0), 0);
	while ((rc = fo__ct_dump_step(nl, 0, seen, &told)) == 1)
		;
	CHECK((!rc || rc == -EINTR) && told >= n);
	return crowded_now_ms() - began;
}

/* What of an add is asking conntrack, an entry a flow; and what reading all entries would take instead. */
static void asking(const struct crowd *crowd)
{
	static uint8_t rx[FO__NL_RX_ROOM];
	struct fo__ct_key *keys = calloc(crowd->n, sizeof(*keys));
	double asked[ADDS], dumped[ADDS];
	struct fo__nl nl;

	CHECK(keys);
	for (unsigned int i = 0; i < crowd->n; i++)
		keys[i].tuple = &crowd->flows[i].tuple[0];
	OK(fo__nl_open(&nl, NETLINK_NETFILTER, -1, rx, sizeof(rx), &live_err));
	fo__nl_buffers(&nl, 1 << 20, 4 << 20);
	for (unsigned int i = 0; i < ADDS; i++) {
		asked[i] = one_by_one(&nl, keys, crowd->n);
		dumped[i] = all_at_once(&nl, crowd->n);
	}
	fo__nl_close(&nl);
	free(keys);
	line("asked", crowd->n, bench_median(asked, ADDS) * 1e3 / crowd->n, "us");
	line("dumped", crowd->n, bench_median(dumped, ADDS) * 1e3 / crowd->n, "us");
}

static void heard(void *arg, enum fo__ct_event event, const struct fo__ct_entry *entry)
{
	(void)event;
	(void)entry;
	++*(unsigned int *)arg;
}

/* What it would take to know conntrack's entries from its events instead: those of every connection, offloaded or not. */
static void listening(struct crowd *crowd, unsigned int n)
{
	static uint8_t rx[FO__NL_RX_ROOM];
	unsigned int events = 0;
	struct fo__nl nl;
	double began;

	OK(fo__nl_open(&nl, NETLINK_NETFILTER, -1, rx, sizeof(rx), &live_err));
	fo__nl_buffers(&nl, 1 << 20, 256 << 20);
	OK(fo__ct_listen(&nl, FO__CT_LISTEN_NEW | FO__CT_LISTEN_UPDATE | FO__CT_LISTEN_DESTROY, &live_err));
	crowd_open(crowd, n, true);
	crowd_talk(crowd);
	began = crowded_cpu_ms();
	while (fo__ct_events(&nl, heard, &events) == 1)
		;
	began = crowded_cpu_ms() - began;
	fo__nl_close(&nl);
	CHECK(events >= n);
	line("heard", n, began * 1e3 / n, "us");
	line("events", n, (double)events / n, "events");
}

/* ---- Polling ---- */

/* What polling costs an event loop that does nothing else. */
static void polling(struct world *world, const char *name, unsigned int n)
{
	static struct crowded_polling sum;
	double began = crowded_now_ms();
	char text[64];

	memset(&sum, 0, sizeof(sum));
	while (crowded_now_ms() - began < POLLING_MS)
		crowded_poll(world, &sum);
	snprintf(text, sizeof(text), "%s-cpu", name);
	line(text, n, sum.cpu_ms / (crowded_now_ms() - began) * 1e3, "ms/s");
	snprintf(text, sizeof(text), "%s-poll", name);
	line(text, n, sum.cpu_ms / sum.polls * 1e3, "us");
}

/* The longest slice of each reading, and of these the median: what else runs on the machine is in one or the other. */
static void stats(struct world *world, struct crowd *crowd)
{
	double took[READINGS], slice[READINGS], clock[READINGS], most[READINGS];
	static struct crowded_polling sum;

	for (double began = crowded_now_ms(); crowded_now_ms() - began < POLLING_MS;)
		crowded_poll(world, &sum);
	for (unsigned int i = 0; i < READINGS; i++) {
		memset(&sum, 0, sizeof(sum));
		took[i] = crowded_read(world, crowd, &sum, NULL);
		most[i] = bench_permille(sum.each_cpu_ms,
					 sum.polls < CROWDED_POLLS ? sum.polls : CROWDED_POLLS, 950);
		slice[i] = sum.longest_cpu_ms;
		clock[i] = sum.longest_ms;
	}
	line("stats", crowd->n, bench_median(took, READINGS), "ms");
	line("stats-slice", crowd->n, bench_median(slice, READINGS), "ms");
	line("stats-slice-95", crowd->n, bench_median(most, READINGS), "ms");
	line("stats-slice-longest", crowd->n, slice[READINGS - 1], "ms");
	line("stats-slice-clock", crowd->n, bench_median(clock, READINGS), "ms");
}

/* How long until all of them are seen as active, from the first poll that may dump. */
static void until_active(struct world *world, struct crowd *crowd, unsigned int want)
{
	for (unsigned int i = 0; i < 20 && n_active(world) < want; i++) {
		crowd_talk(crowd);
		for (double began = crowded_now_ms();
		     crowded_now_ms() - began < 1500 && n_active(world) < want;)
			world_poll(world);
	}
	CHECK_INT(n_active(world), want);
}

/* Talk until all take the short cut but the first ones, which were deleted: a flow's packet comes too early while the kernel
 * still clears up what the refresh before has let go. */
static void until_short(struct crowd *crowd, unsigned int deleted)
{
	for (unsigned int i = 0; i < 60; i++) {
		uint64_t slow = world_slow();

		crowd_talk(crowd);
		if (world_slow() - slow == 2 * (uint64_t)deleted)
			return;
	}
	FAIL("after %u deletes others stay on the slow path", deleted);
}

/* One delete, and the refresh that it takes, of all flows, which the kernel holds again; past the pause between two. That
 * there was one is seen by the others, which take the slow path once. */
static void refresh(struct world *world, struct crowd *crowd, const fo_flow_id *ids)
{
	double took[REFRESHES], cpu[REFRESHES];

	for (unsigned int i = 0; i < REFRESHES; i++) {
		uint64_t slow;
		double began;

		until_short(crowd, i);
		slow = world_slow();
		usleep(400000);
		began = crowded_now_ms();
		cpu[i] = crowded_cpu_ms();
		OK(fo_flow_del(world->table, ids[i], NULL, &live_err));
		OK(fo_table_sync(world->table, 10000, &live_err));
		took[i] = crowded_now_ms() - began;
		cpu[i] = crowded_cpu_ms() - cpu[i];
		crowd_talk(crowd);
		CHECK(world_slow() - slow >= crowd->n);
	}
	line("refresh", crowd->n, bench_median(took, REFRESHES), "ms");
	line("refresh-longest", crowd->n, took[REFRESHES - 1], "ms");
	line("refresh-cpu", crowd->n, bench_median(cpu, REFRESHES), "ms");
}

/* Entries that are no flows of ours: UDP that nobody answers. */
static void strangers(unsigned int first, unsigned int end)
{
	const uint32_t payload = 0;
	struct pair pair;

	pair_open(&pair, AF_INET, SOCK_DGRAM, 40000, 9);
	for (unsigned int i = first; i < end; i++) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(i % 60000 + 1))};

		to.sin_addr.s_addr = htonl(0x0a5b0203 + i / 60000);
		(void)sendto(pair.client, &payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to));
	}
	pair_close(&pair);
}

static unsigned int n_entries(void)
{
	return (unsigned int)world_sysctl("nf_conntrack_count");
}

/* Polling among entries that are no flows, which it has to pass by. */
static void among_strangers(struct world *world)
{
	unsigned int own = n_entries();

	polling(world, "among", 0);
	for (unsigned int more = STRANGERS / 2; more <= STRANGERS; more += STRANGERS / 2) {
		strangers(more - STRANGERS / 2, more);
		CHECK(n_entries() - own >= more / 100 * 99);
		line("entries", more, n_entries() - own, "entries");
		polling(world, "among", more);
	}
}

int main(int argc, char **argv)
{
	unsigned int n = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 10000;
	fo_flow_id *ids = calloc(n, sizeof(*ids));
	struct world world;
	struct crowd crowd;

	CHECK(ids && n >= 10 && n <= 15000);
	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(&world, 0, sizeof(world));
	world_open(&world, n, 0);
	/* Those that nobody answers are to be there all the time that is measured. */
	world_sysctl_set("nf_conntrack_udp_timeout", 600);
	listening(&crowd, n);
	asking(&crowd);
	add_all(&world, &crowd, ids);
	until_active(&world, &crowd, n);
	stats(&world, &crowd);
	refresh(&world, &crowd, ids);
	until_active(&world, &crowd, n - REFRESHES);
	among_strangers(&world);
	crowd_close(&crowd);
	free(ids);
	world_close(&world);
	return 0;
}
