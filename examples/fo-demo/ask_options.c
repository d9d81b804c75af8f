/* SPDX-License-Identifier: BSD-2-Clause */
/* ask_options.c - command lines in conntrack(8)'s words to requests. Neighbours: ask.h.
 *
 * A table, one row an option: which member of the request it fills. What the members mean is checked by whoever
 * answers, since anybody may write to the socket.
 */
#include "ask.h"

#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"

enum where { TOP, ORIGINAL, REPLY };
enum what { TEXT, NUMBER, SECONDS, SIDE };

/* key: getopt's. An option may mean something else to another verb: a row each. */
static const struct row {
	const char *option;
	int key;
	enum where where;
	const char *member;
	enum what what;
	const char *verbs; /* which take it */
} rows[] = {
	{"proto", 'p', ORIGINAL, "proto", TEXT, "add del explain"},
	{"orig-src", 's', ORIGINAL, "src", TEXT, "add del explain"},
	{"src", 's', ORIGINAL, "src", TEXT, "add del explain"},
	{"orig-dst", 'd', ORIGINAL, "dst", TEXT, "add del explain"},
	{"dst", 'd', ORIGINAL, "dst", TEXT, "add del explain"},
	{"orig-port-src", 256, ORIGINAL, "sport", NUMBER, "add del explain"},
	{"sport", 256, ORIGINAL, "sport", NUMBER, "add del explain"},
	{"orig-port-dst", 257, ORIGINAL, "dport", NUMBER, "add del explain"},
	{"dport", 257, ORIGINAL, "dport", NUMBER, "add del explain"},
	{"icmp-id", 258, ORIGINAL, "id", NUMBER, "add del explain"},
	{"reply-src", 'r', REPLY, "src", TEXT, "add"},
	{"reply-dst", 'q', REPLY, "dst", TEXT, "add"},
	{"reply-port-src", 259, REPLY, "sport", NUMBER, "add"},
	{"reply-port-dst", 260, REPLY, "dport", NUMBER, "add"},
	{"proto", 'p', TOP, "proto", TEXT, "policy"},
	{"src", 's', TOP, "src", TEXT, "policy"},
	{"dst", 'd', TOP, "dst", TEXT, "policy"},
	{"sport", 256, TOP, "sport", TEXT, "policy"},
	{"dport", 257, TOP, "dport", TEXT, "policy"},
	{"family", 'f', TOP, "family", TEXT, "policy"},
	{"in", 261, TOP, "in", SIDE, "add policy"},
	{"out", 262, TOP, "out", SIDE, "add policy"},
	{"timeout", 't', TOP, "timeout_ms", SECONDS, "add policy"},
	{"mark", 'm', TOP, "mark", NUMBER, "add"},
	{"zone", 'w', TOP, "zone", NUMBER, "add del list explain policy"},
	{"tag", 263, TOP, "tag", NUMBER, "add del list policy"},
	{"dev", 264, TOP, "dev", TEXT, "del list explain"},
	{"state", 265, TOP, "state", TEXT, "list"},
	{"id", 266, TOP, "id", TEXT, "del explain policy"},
};

#define N_ROWS	   (sizeof(rows) / sizeof(rows[0]))
#define KEY_SOCKET 512
#define KEY_ALL	   513

/* How a connection is named, in every verb that takes one. */
#define TUPLE_USAGE                                                                                          \
	"  -p, --proto PROTO                    tcp, udp, icmp or icmpv6\n"                                  \
	"  -s, --src, --orig-src ADDRESS        the originator's packets as they arrive\n"                   \
	"  -d, --dst, --orig-dst ADDRESS\n"                                                                  \
	"      --sport, --orig-port-src N\n"                                                                 \
	"      --dport, --orig-port-dst N\n"                                                                 \
	"      --icmp-id N                      an echo has this for ports\n"

static const struct {
	const char *verb, *text;
} usages[] = {
	{"add",
	 "usage: fo-demo add -p PROTO -s ADDRESS -d ADDRESS [--sport N --dport N] --in SIDE --out SIDE "
	 "[OPTIONS]\n"
	 "\n"
	 "Offloads one connection, both directions. The words are conntrack(8)'s.\n"
	 "\n" TUPLE_USAGE
	 "  -r, --reply-src ADDRESS              the answers as they arrive, where NAT makes them differ\n"
	 "  -q, --reply-dst ADDRESS\n"
	 "      --reply-port-src N, --reply-port-dst N\n"
	 "      --in SIDE                        where the originator is\n"
	 "      --out SIDE                       where the answers come from. A side is\n"
	 "          DEV[,l3=DEV][,mac=OURS][,peer=THEIRS][,svlan=ID][,vlan=ID][,pppoe=ID][,mtu=N],\n"
	 "          encapsulations outermost first\n"
	 "  -t, --timeout SECONDS, -m, --mark N, -w, --zone N, --tag N\n"},
	{"del",
	 "usage: fo-demo del --id ID | -p PROTO -s ADDRESS -d ADDRESS ... | --tag N | --dev DEV | -w ZONE | "
	 "--all\n"
	 "\n"
	 "Ends the offload of one connection (either direction's tuple names it), or of all that match; the\n"
	 "connections themselves go on by the slow path.\n"
	 "\n" TUPLE_USAGE "      --id ID, --tag N, --dev DEV, -w, --zone N, --all\n"},
	{"list",
	 "usage: fo-demo list [OPTIONS]\n"
	 "\n"
	 "The flows, as conntrack -L shows connections: [ARMED] the slow path carries it, [OFFLOAD] in\n"
	 "software, [HW_OFFLOAD], [PARTIAL_OFFLOAD], [CLOSING].\n"
	 "\n"
	 "      --state STATE   armed, active, hardware, partial or closing ones\n"
	 "      --tag N, --dev DEV, -w, --zone N\n"},
	{"stats", "usage: fo-demo stats [OPTIONS]\n\nThe table's counters.\n\n"},
	{"watch", "usage: fo-demo watch [OPTIONS]\n\nEvents as they come, until it is interrupted.\n\n"},
	{"explain",
	 "usage: fo-demo explain --id ID | -p PROTO -s ADDRESS -d ADDRESS [--sport N --dport N] [OPTIONS]\n"
	 "\n"
	 "Is this connection offloaded, since when, and if not, why not.\n"
	 "\n" TUPLE_USAGE "      --id ID, --dev DEV, -w, --zone N\n"},
	{"policy",
	 "usage: fo-demo policy add --in SIDE --out SIDE [OPTIONS]\n"
	 "       fo-demo policy del --id ID\n"
	 "       fo-demo policy list\n"
	 "\n"
	 "Offloads every connection that is established and matches, without being asked for each. A side "
	 "is\n"
	 "as in 'add', --in the originators'. Addresses and ports are the originator's as its packets "
	 "arrive,\n"
	 "and the destination that they are forwarded to, after DNAT. 'del' ends the flows that it took.\n"
	 "\n"
	 "  -f, --family ipv4|ipv6, -p, --proto tcp|udp\n"
	 "  -s, --src PREFIX, -d, --dst PREFIX\n"
	 "      --sport N[-M], --dport N[-M]\n"
	 "      --in SIDE, --out SIDE, --id ID\n"
	 "  -t, --timeout SECONDS, --tag N, -w, --zone N\n"},
};

void ask_usage(const char *verb)
{
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++)
		if (strcmp(usages[i].verb, verb) == 0)
			fputs(usages[i].text, stdout);
	fputs("  -j, --json        answers as JSON, one a line\n"
	      "      --socket PATH where 'fo-demo serve' listens, default " SERVE_SOCKET "\n"
	      "  -h, --help        this text\n",
	      stdout);
}

static bool has_word(const char *words, const char *word)
{
	const char *at = words;
	size_t size = strlen(word);

	while ((at = strstr(at, word)) != NULL) {
		if ((at == words || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
			return true;
		at += size;
	}
	return false;
}

/* ---- sides ---- */

static bool side_number(struct json *doc, struct json_object *node, const char *key, const char *text)
{
	uint64_t number;

	if (!out_number(key, text, 0, 65535, &number))
		return false;
	json_u64(doc, node, key, number);
	return true;
}

static bool side_encap(struct json *doc, struct json_object *node, const char *kind, const char *text)
{
	struct json_object *list, *encap;

	if (!json_object_object_get_ex(node, "encap", &list))
		list = json_list(doc, node, "encap");
	encap = json_node(doc, list, NULL);
	json_text(doc, encap, "kind", kind);
	return side_number(doc, encap, "id", text);
}

static bool side_word(struct json *doc, struct json_object *node, char *word)
{
	static const struct {
		const char *word, *kind;
	} encaps[] = {{"vlan", "802.1q"}, {"svlan", "802.1ad"}, {"pppoe", "pppoe"}};
	static const struct {
		const char *word, *member;
	} texts[] = {{"dev", "dev"}, {"l3", "l3dev"}, {"mac", "mac"}, {"peer", "peer"}};
	char *value = strchr(word, '=');

	if (value == NULL) {
		json_text(doc, node, "dev", word);
		return true;
	}
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(encaps) / sizeof(encaps[0]); i++)
		if (strcmp(encaps[i].word, word) == 0)
			return side_encap(doc, node, encaps[i].kind, value);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].word, word) == 0) {
			json_text(doc, node, texts[i].member, value);
			return true;
		}
	if (strcmp(word, "mtu") == 0)
		return side_number(doc, node, "mtu", value);
	out_error("a side has no '%s='; it has dev, l3, mac, peer, svlan, vlan, pppoe, mtu", word);
	return false;
}

static bool read_side(struct json *doc, const char *member, char *text)
{
	struct json_object *node = json_node(doc, doc->root, member);
	char *rest = text, *word;

	while ((word = strsep(&rest, ",")) != NULL)
		if (!side_word(doc, node, word))
			return false;
	return true;
}

/* ---- the command line ---- */

static struct json_object *place(struct json *doc, enum where where)
{
	static const char *const names[] = {[ORIGINAL] = "original", [REPLY] = "reply"};
	struct json_object *node;

	if (where == TOP)
		return doc->root;
	if (json_object_object_get_ex(doc->root, names[where], &node))
		return node;
	return json_node(doc, doc->root, names[where]);
}

static bool read_row(struct ask *ask, const struct row *row, char *text)
{
	struct json *doc = &ask->request;
	uint64_t number;

	switch (row->what) {
	case TEXT:
		json_text(doc, place(doc, row->where), row->member, text);
		return true;
	case NUMBER:
	case SECONDS:
		if (!out_number(row->option, text, 0, row->what == SECONDS ? UINT32_MAX / 1000 : UINT32_MAX,
				&number))
			return false;
		json_u64(doc, place(doc, row->where), row->member,
			 row->what == SECONDS ? number * 1000 : number);
		return true;
	case SIDE:
		return read_side(doc, row->member, text);
	}
	return false;
}

static bool read_key(struct ask *ask, int key, char *text)
{
	const char *option = NULL;

	switch (key) {
	case 'j':
		ask->as_json = true;
		return true;
	case 'h':
		ask->help = true;
		return true;
	case KEY_SOCKET:
		ask->socket = text;
		return true;
	case KEY_ALL:
		json_flag(&ask->request, ask->request.root, "all", true);
		return true;
	default:
		break;
	}
	for (size_t i = 0; i < N_ROWS; i++) {
		if (rows[i].key == key && has_word(rows[i].verbs, ask->verb))
			return read_row(ask, &rows[i], text);
		if (rows[i].key == key)
			option = rows[i].option;
	}
	if (option != NULL)
		out_error("%s takes no --%s", ask->verb, option);
	return false;
}

/* Deleting everything has to be said. */
static bool is_complete(const struct ask *ask)
{
	static const char *const enough[] = {"id", "original", "tag", "dev", "zone", "all"};
	struct json_object *root = ask->request.root;

	if (strcmp(ask->verb, "del") != 0 || ask->help)
		return true;
	for (size_t i = 0; i < sizeof(enough) / sizeof(enough[0]); i++)
		if (json_object_object_get_ex(root, enough[i], NULL))
			return true;
	out_error("del: say which: --id, a tuple, --tag, --dev, --zone, or --all");
	return false;
}

/* Of policy: the word that says what to do. */
static bool take_word(struct ask *ask, int argc, char **argv)
{
	static const char *const words[] = {"add", "del", "list"};

	if (strcmp(ask->verb, "policy") != 0 || ask->help)
		return true;
	for (size_t i = 0; optind < argc && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(argv[optind], words[i]) == 0) {
			json_text(&ask->request, ask->request.root, "what", words[i]);
			optind++;
			return true;
		}
	out_error("policy: say what to do: add, del or list");
	return false;
}

bool ask_options(struct ask *ask, int argc, char **argv)
{
	struct option longs[N_ROWS + 5];
	size_t n = 0;
	int key;

	for (; n < N_ROWS; n++)
		longs[n] = (struct option){rows[n].option, required_argument, NULL, rows[n].key};
	longs[n++] = (struct option){"json", no_argument, NULL, 'j'};
	longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
	longs[n++] = (struct option){"socket", required_argument, NULL, KEY_SOCKET};
	longs[n++] = (struct option){"all", no_argument, NULL, KEY_ALL};
	longs[n] = (struct option){NULL, 0, NULL, 0};
	ask->socket = SERVE_SOCKET;
	json_begin(&ask->request);
	json_text(&ask->request, ask->request.root, "verb", ask->verb);
	optind = 0;
	while ((key = getopt_long(argc, argv, "p:s:d:r:q:t:m:w:f:jh", longs, NULL)) != -1)
		if (!read_key(ask, key, optarg))
			return false;
	if (!take_word(ask, argc, argv))
		return false;
	if (optind != argc) {
		out_error("%s: '%s' is one word too many", ask->verb, argv[optind]);
		return false;
	}
	return is_complete(ask);
}
