/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_killed.c - a process that adds, moves and ends flows of a persistent table is killed at any moment; what the next table finds
 * is whole.
 *
 * A flow that it has, forwards, under the adjacency that it says. One that it has not, passes, and can be added: nothing of it is
 * left in the kernel's maps. Needs root.
 */
#define _GNU_SOURCE
#include "bpf_owner.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 24u
#define CROWD  300u /* more than one run of the program takes */

static struct fo_flow crowd[CROWD];
static struct fo_adj now_adj[2];
static unsigned char there[CROWD];
static unsigned int n_there, n_least = CROWD, n_most;

static void describe_crowd(void)
{
	for (unsigned int n = 0; n < CROWD; n++) {
		crowd[n] = flows[n % 2]; /* of both families */
		crowd[n].user = n;
		packet_put16((uint8_t *)&crowd[n].tuple[0].sport_be, (uint16_t)(10000 + n));
		packet_put16((uint8_t *)&crowd[n].tuple[1].dport_be, (uint16_t)(10000 + n));
	}
}

/* ---- the one that is killed ---- */

static void end_all(struct fo_table *table, const fo_flow_id *ids)
{
	for (unsigned int n = 0; n < CROWD; n++)
		(void)fo_flow_del(table, ids[n], NULL, NULL);
	(void)fo_table_sync(table, PATIENCE_MS, NULL);
	(void)fo_table_poll(table, 0, 0, NULL, NULL, NULL);
}

/* All in, all out by another tag, one by one by another side, all gone; and again. */
static void live_until_killed(int ready)
{
	static fo_flow_id ids[CROWD];
	struct fo_table *table = open_table("a table");
	struct fo_error err;
	struct fo_adj other = adj[1];
	fo_adj_id id[2], third;

	other.encap[0].id = 9;
	add_sides(table, id);
	for (unsigned int n = 0; n < CROWD; n++)
		memcpy(crowd[n].adj, id, sizeof(crowd[n].adj));
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;) {
		if (fo_flow_add_many(table, crowd, CROWD, 0, ids, NULL, &err) != (int)CROWD)
			fail("flows", err.text);
		if (fo_adj_update(table, id[1], &other, &err) || fo_adj_update(table, id[1], &adj[1], &err))
			fail("an adjacency's change", err.text);
		if (fo_adj_add(table, &other, &third, &err))
			fail("a third adjacency", err.text);
		for (unsigned int n = 0; n < 8; n++) {
			struct fo_flow change = crowd[n];

			change.adj[1] = third;
			if (fo_flow_update(table, ids[n], FO_UPDATE_ADJ, &change, &err))
				fail("a flow's change", err.text);
		}
		end_all(table, ids);
		(void)fo_adj_del(table, third, NULL);
	}
}

static void live_and_be_killed(unsigned int ms)
{
	struct timespec time = {.tv_nsec = (long)ms * 1000000};
	int ready[2];
	char byte;
	pid_t child;

	check(!pipe(ready), "a pipe can be made");
	child = fork();
	if (!child)
		live_until_killed(ready[1]);
	check(child > 0 && read(ready[0], &byte, 1) == 1, "a process makes a table");
	(void)nanosleep(&time, NULL);
	check(!kill(child, SIGKILL) && waitpid(child, NULL, 0) == child, "it can be killed");
	close(ready[0]);
	close(ready[1]);
}

/* ---- the next ---- */

static int note(void *arg, const struct fo_flow_info *info)
{
	uint64_t n = info->flow.user;

	check(n < CROWD && !there[n], "each flow is there once");
	there[n] = 1;
	n_there++;
	memcpy(crowd[n].adj, info->flow.adj, sizeof(crowd[n].adj));
	(void)arg;
	return 0;
}

static void check_found(struct fo_table *table, unsigned int n)
{
	for (unsigned int i = 0; i < 2; i++) {
		FO_INIT(&now_adj[i]);
		check(!fo_adj_get(table, crowd[n].adj[i], &now_adj[i], NULL), "its adjacencies are there");
		check(is_forwarded(&crowd[n], &now_adj[i]), "what was adopted forwards, both ways");
	}
}

/* Those that are there are some of which each carries two packets: a dozen of them will do. */
static void look_at(struct fo_table *table)
{
	struct fo_error err;
	fo_adj_id id[2];
	fo_flow_id out;

	memset(there, 0, sizeof(there));
	n_there = 0;
	(void)fo_flow_walk(table, NULL, note, NULL, NULL);
	for (unsigned int n = 0; n < CROWD; n++)
		if (there[n] && (n < 12 || n + 1 == CROWD || !there[n + 1]))
			check_found(table, n);
	for (unsigned int n = 0; n < CROWD; n += 29)
		check(there[n] || !is_forwarded(&crowd[n], &adj[0]), "what was not adopted passes");
	add_sides(table, id);
	for (unsigned int n = 0; n < CROWD; n++) {
		if (there[n])
			continue;
		memcpy(crowd[n].adj, id, sizeof(id));
		if (fo_flow_add(table, &crowd[n], &out, &err))
			fail("a flow that was not adopted", err.text);
	}
	check(is_forwarded(&crowd[CROWD - 1], &adj[0]), "what was added anew forwards");
	n_least = n_there < n_least ? n_there : n_least;
	n_most = n_there > n_most ? n_there : n_most;
}

static int end(void *arg, const struct fo_flow_info *info)
{
	check(!fo_flow_del(arg, info->id, NULL, NULL), "a flow can be deleted");
	return 0;
}

static void round_of(unsigned int ms)
{
	struct fo_table *table;

	live_and_be_killed(ms);
	table = open_table("the next table");
	look_at(table);
	(void)fo_flow_walk(table, NULL, end, table, NULL);
	check(!fo_table_sync(table, PATIENCE_MS, NULL), "ends are told");
	(void)fo_table_poll(table, 0, 0, NULL, NULL, NULL);
	fo_table_destroy(table);
	check(access(folder, F_OK) != 0, "nothing is left");
}

int main(int argc, char **argv)
{
	srand(argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : 20261128u);
	open_owners("bpf-killed");
	describe_crowd();
	options.capacity = 2 * CROWD;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		place = "killed at any moment";
		round_of((unsigned int)rand() % 200);
	}
	fprintf(stderr, "bpf-killed: %u kills, %u to %u of %u flows adopted\n", ROUNDS, n_least, n_most,
		CROWD);
	close_router();
	printf("1 passed, 0 failed, 0 skipped\n");
	return 0;
}
