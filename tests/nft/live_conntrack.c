/* SPDX-License-Identifier: BSD-2-Clause */
/* live_conntrack.c - src/conntrack on living entries: read, made liberal, refreshed, deleted. See live.h. */
#include "live.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "conntrack/conntrack.h"

#define MANY 300u

static uint8_t rx[FO__NL_RX_ROOM], tx[FO__CT_TX_ROOM] __attribute__((aligned(4)));

struct answers {
	struct fo__ct_entry entry; /* the last */
	size_t told, found;
	int error; /* the last */
};

static void take(void *arg, size_t i, const struct fo__ct_entry *entry, int error)
{
	struct answers *answers = arg;

	/* Each key once, in their order. */
	CHECK_INT(i, answers->told);
	answers->told++;
	answers->error = error;
	if (!entry)
		return;
	answers->found++;
	answers->entry = *entry;
}

static struct answers ask(struct fo__nl *nl, const struct fo_tuple *tuple)
{
	struct fo__ct_key key = {tuple, 0};
	struct answers answers = {.told = 0};

	CHECK_INT(fo__ct_get(nl, tx, &key, 1, take, &answers), 0);
	CHECK_INT(answers.told, 1);
	return answers;
}

static void touched(struct world *world)
{
	struct fo__ct_key key = {.zone = 0};
	struct fo__nl_answer answer;
	struct fo__ct_wish wish[2];
	struct answers answers;
	struct fo_tuple nobody;
	struct pair pair;
	int errors[2];
	struct fo__nl nl;

	(void)world;
	pair_open(&pair, AF_INET, SOCK_STREAM, 5401, 7000);
	pair_talk(&pair, 2);
	key.tuple = &pair.flow.tuple[0];
	nobody = pair.flow.tuple[0];
	nobody.sport_be = nobody.dport_be;
	OK(fo__nl_open(&nl, NETLINK_NETFILTER, -1, rx, sizeof(rx), &live_err));
	answers = ask(&nl, &pair.flow.tuple[0]);
	CHECK_INT(answers.found, 1);
	CHECK(fo__ct_established(&answers.entry) && answers.entry.tcp_state == TCP_CONNTRACK_ESTABLISHED);
	CHECK(!memcmp(&answers.entry.tuple[1], &pair.flow.tuple[1], sizeof(pair.flow.tuple[1])));
	CHECK_INT(answers.entry.liberal, 0);
	CHECK(answers.entry.timeout_s > 100);
	/* The other direction names the same entry. */
	CHECK_INT(ask(&nl, &pair.flow.tuple[1]).entry.id, answers.entry.id);

	wish[0] = (struct fo__ct_wish){key, FO__CT_BE_LIBERAL | FO__CT_SET_TIMEOUT, 100};
	wish[1] = (struct fo__ct_wish){{&nobody, 0}, FO__CT_SET_TIMEOUT, 100};
	CHECK_INT(fo__ct_change(&nl, tx, wish, 2, errors), 0);
	CHECK(errors[0] == 0 && errors[1] == ENOENT);
	answers = ask(&nl, &pair.flow.tuple[0]);
	CHECK(answers.entry.liberal && answers.entry.timeout_s <= 100 && answers.entry.timeout_s > 0);
	CHECK_INT(answers.entry.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	pair_talk(&pair, 2);

	CHECK_INT(fo__ct_delete(&nl, tx, &key, answers.entry.id + 1, &answer), -ENOENT);
	CHECK_INT(ask(&nl, &pair.flow.tuple[0]).found, 1);
	CHECK_INT(fo__ct_delete(&nl, tx, &key, answers.entry.id, &answer), 0);
	CHECK_INT(ask(&nl, &pair.flow.tuple[0]).error, ENOENT);
	CHECK_INT(fo__ct_change(&nl, tx, wish, 1, errors), 0);
	CHECK_INT(errors[0], ENOENT);
	fo__nl_close(&nl);
	pair_close(&pair);
}

/* More keys than one exchange takes, every third of them known. */
static void asked_for_many(struct world *world)
{
	struct answers answers = {.told = 0};
	struct fo_tuple tuples[MANY];
	struct fo__ct_key keys[MANY];
	struct crowd crowd;
	struct fo__nl nl;

	(void)world;
	crowd_open(&crowd, MANY / 3, true);
	crowd_talk(&crowd);
	for (unsigned int i = 0; i < MANY; i++) {
		tuples[i] = crowd.flows[i / 3].tuple[0];
		if (i % 3)
			tuples[i].dport_be = (uint16_t)i;
		keys[i].tuple = &tuples[i];
		keys[i].zone = 0;
	}
	OK(fo__nl_open(&nl, NETLINK_NETFILTER, -1, rx, sizeof(rx), &live_err));
	fo__nl_buffers(&nl, 1 << 20, 1 << 20);
	CHECK_INT(fo__ct_get(&nl, tx, keys, MANY, take, &answers), 0);
	CHECK_INT(answers.told, MANY);
	CHECK_INT(answers.found, MANY / 3);
	fo__nl_close(&nl);
	crowd_close(&crowd);
}

const struct live_case live_conntrack[] = {
	{"conntrack_entries_are_made_liberal_refreshed_and_deleted", touched},
	{"conntrack_answers_for_each_of_many_in_order", asked_for_many},
	{NULL, NULL},
};
