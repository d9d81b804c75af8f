/* SPDX-License-Identifier: BSD-2-Clause */
/* live_many.c - thousands of flows through deletes and refreshes: nothing is lost, nobody else disturbed. See live.h. */
#include "live.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLOWS	10000u
#define ONE_WAY 1000u
/* Ends of so many do not fit into the socket's buffer. */
#define FEWER	  2000u
#define STRANGERS 30000u

static int is_active(void *arg, const struct fo_flow_info *info)
{
	unsigned int *n = arg;

	*n += info->state == FO_STATE_ACTIVE;
	return 0;
}

/* Returns how often the crowd talked until so many of its flows were seen on the short cut. */
static unsigned int until_active(struct world *world, struct crowd *crowd, unsigned int want)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 30; i++) {
		crowd_talk(crowd);
		for (unsigned int k = 0; k < 20; k++)
			world_poll(world);
		n = 0;
		OK(fo_flow_walk(world->table, NULL, is_active, &n, &live_err));
		if (n == want)
			return i + 1;
	}
	FAIL("%u flows are active, not %u", n, want);
}

static void add_all(struct world *world, struct crowd *crowd, fo_flow_id *ids)
{
	for (unsigned int i = 0; i < crowd->n; i++) {
		crowd->flows[i].adj[0] = world->adj[0];
		crowd->flows[i].adj[1] = world->adj[1];
	}
	CHECK_INT(fo_flow_add_many(world->table, crowd->flows, crowd->n, 0, ids, NULL, &live_err), crowd->n);
}

/* ---- Traffic that does not wait for control ---- */

/* Both crowds talk in a process of its own, round by round. */
struct talker {
	atomic_uint rounds;
	atomic_uint stop;
};

static struct talker *talker_start(struct crowd *crowd, struct crowd *quiet, pid_t *child)
{
	struct talker *talker =
		mmap(NULL, sizeof(*talker), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(talker != MAP_FAILED);
	*child = fork();
	CHECK(*child >= 0);
	if (*child)
		return talker;
	while (!talker->stop) {
		crowd_talk(crowd);
		crowd_talk(quiet);
		talker->rounds++;
	}
	_exit(0);
}

static void talker_check(pid_t child)
{
	int status;

	if (waitpid(child, &status, WNOHANG))
		FAIL("%s", "a packet was lost");
}

/* The flow table's owner lives on as a program would: waiting for its descriptor. */
static void talker_goes_on(struct world *world, struct talker *talker, pid_t child)
{
	unsigned int want = talker->rounds + 2; /* one that began after now */

	while (talker->rounds < want) {
		talker_check(child);
		world_rest(world);
	}
}

static unsigned int talker_stop(struct talker *talker, pid_t child)
{
	unsigned int rounds;
	int status;

	talker->stop = 1;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status));
	rounds = talker->rounds;
	CHECK(!munmap(talker, sizeof(*talker)));
	return rounds;
}

/* ---- The storm ---- */

/* Conntrack has so many entries to that port of the server, each the same one from the first packet to the last: it has
 * counted every one of them. */
static void counted_all(uint16_t port, unsigned int entries, unsigned long long there,
			unsigned long long back)
{
	unsigned long long counted[2];
	unsigned int found = 0;
	char line[1024], command[128];
	FILE *list;

	snprintf(command, sizeof(command), "conntrack -L -p udp --orig-port-dst %u 2>/dev/null", port);
	list = popen(command, "r");
	CHECK(list);
	while (fgets(line, sizeof(line), list)) {
		const char *one = strstr(line, "packets="), *other = one ? strstr(one + 1, "packets=") : NULL;

		CHECK(other && sscanf(one, "packets=%llu", &counted[0]) == 1 &&
		      sscanf(other, "packets=%llu", &counted[1]) == 1);
		if (counted[0] != there || counted[1] != back)
			FAIL("not %llu and %llu packets: %s", there, back, line);
		found++;
	}
	CHECK(!pclose(list));
	CHECK_INT(found, entries);
}

/* Half of the flows are deleted, a quarter of them at a time, and each time the flowtable is made anew, while packets of
 * all are under way. One-way UDP beside them, which no kernel may take up and whose entries must live on. */
static void storm(struct world *world, struct crowd *crowd, struct crowd *quiet, fo_flow_id *ids)
{
	unsigned int rounds, answered_rounds;
	struct talker *talker;
	uint64_t slow;
	pid_t child;

	answered_rounds = until_active(world, crowd, FLOWS) + 1;
	crowd_talk(quiet);
	add_all(world, quiet, ids + FLOWS);
	talker = talker_start(crowd, quiet, &child);
	for (unsigned int quarter = 0; quarter < 4; quarter++) {
		for (unsigned int i = quarter; i < FLOWS; i += 8)
			OK(fo_flow_del(world->table, ids[i], NULL, &live_err));
		OK(fo_table_sync(world->table, 60000, &live_err));
		talker_goes_on(world, talker, child);
	}
	rounds = talker_stop(talker, child);
	/* Before anything else: what nobody answers has half a minute. */
	counted_all(7001, ONE_WAY, rounds + 1, 0);
	world_until_event(world, FO_EV_DELETED, FLOWS / 2);
	answered_rounds += rounds + until_active(world, crowd, FLOWS / 2);
	slow = world_slow();
	crowd_talk(crowd);
	/* Those deleted, and no other. */
	CHECK_INT(world_slow() - slow, FLOWS);
	counted_all(7000, FLOWS, answered_rounds + 1, answered_rounds + 1);
}

static void burst(struct world *world)
{
	fo_flow_id *ids = calloc(FLOWS + ONE_WAY, sizeof(*ids));
	struct crowd crowd, quiet;

	CHECK(ids);
	/* What other cases left would be counted. */
	world_run("conntrack -F >/dev/null 2>&1");
	world_open(world, FLOWS + ONE_WAY, 0);
	crowd_open(&crowd, FLOWS, true);
	crowd_open(&quiet, ONE_WAY, false);
	crowd_talk(&crowd);
	add_all(world, &crowd, ids);
	storm(world, &crowd, &quiet, ids);
	crowd_close(&crowd);
	crowd_close(&quiet);
	free(ids);
	world_close(world);
}

/* Entries that are no flow's: UDP that nobody answers. */
static void strangers(unsigned int n)
{
	struct pair pair;

	pair_open(&pair, AF_INET, SOCK_DGRAM, 9000, 7100);
	for (unsigned int i = 0; i < n; i++) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(i + 1))};

		to.sin_addr.s_addr = htonl(0x0a5b0203); /* 10.91.2.3 */
		(void)sendto(pair.client, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	}
	pair_close(&pair);
}

/* All of conntrack is flushed while nobody polls: more ends than a socket holds. Each flow ends all the same, once. */
static void deaf(struct world *world)
{
	fo_flow_id *ids = calloc(FEWER, sizeof(*ids));
	struct crowd crowd;

	CHECK(ids);
	world_open(world, FEWER, 0);
	crowd_open(&crowd, FEWER, true);
	crowd_talk(&crowd);
	add_all(world, &crowd, ids);
	until_active(world, &crowd, FEWER);
	strangers(STRANGERS);
	world_run("conntrack -F >/dev/null 2>&1");
	world_until_event(world, FO_EV_LOST, FEWER);
	CHECK_INT(world->events[FO_EV_LOST], FEWER);
	/* And what comes then is new. */
	crowd_talk(&crowd);
	add_all(world, &crowd, ids);
	until_active(world, &crowd, FEWER);
	crowd_close(&crowd);
	free(ids);
	world_close(world);
}

const struct live_case live_many[] = {
	{"ends_that_were_not_heard_are_found_out", deaf},
	{"ten_thousand_flows_lose_no_packet_while_half_of_them_go", burst},
	{NULL, NULL},
};
