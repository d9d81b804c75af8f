/* SPDX-License-Identifier: BSD-2-Clause */
/* serve_sides.c - adjacencies from requests. Neighbours: serve.h, flow_json.h.
 *
 * A side is {"dev": "eth0", "l3dev": "br-lan", "mac": ours, "peer": theirs, "encap": [{"kind": "802.1q", "id": 10}, ...],
 * "mtu": 1500}; dev alone is enough where the kernel resolves the neighbour. MTU and own MAC are the device's where the
 * request says nothing of them.
 */
#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow_json.h"
#include "serve.h"

uint32_t serve_port(const char *text)
{
	char *end;
	unsigned long number;

	if (!isdigit((unsigned char)text[0]))
		return if_nametoindex(text);
	number = strtoul(text, &end, 10);
	return *end == '\0' && number < UINT32_MAX ? (uint32_t)number : if_nametoindex(text);
}

static int read_mac(struct json_object *from, const char *key, uint8_t mac[6], struct fo_error *err)
{
	const char *text = flow_json_text(from, key);
	unsigned int byte[6];
	char rest;

	if (text == NULL)
		return 0;
	if (strlen(text) > 17 || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &byte[0], &byte[1], &byte[2],
					&byte[3], &byte[4], &byte[5], &rest) != 6)
		return flow_json_refuse(err, key,
					"'%.40s' is not a MAC address; write it as 02:00:00:00:00:01", text);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)byte[i];
	return 0;
}

static int read_encap(struct json_object *from, struct fo_encap *encap, struct fo_error *err)
{
	static const struct {
		const char *name;
		uint16_t kind;
	} kinds[] = {{"802.1q", FO_ENCAP_8021Q}, {"802.1ad", FO_ENCAP_8021AD}, {"pppoe", FO_ENCAP_PPPOE}};
	const char *kind = flow_json_text(from, "kind");
	uint64_t id, pcp;

	if (flow_json_number(from, "id", 65535, 0, &id, err) != 0 ||
	    flow_json_number(from, "pcp", 7, 0, &pcp, err) != 0)
		return -EINVAL;
	for (size_t i = 0; kind != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, kind) != 0)
			continue;
		*encap = (struct fo_encap){.kind = kinds[i].kind, .id = (uint16_t)id, .pcp = (uint8_t)pcp};
		return 0;
	}
	return flow_json_refuse(err, "encap", "give its kind: 802.1q, 802.1ad or pppoe");
}

static int read_encaps(struct json_object *from, struct fo_adj *adj, struct fo_error *err)
{
	struct json_object *list;
	size_t n;

	if (!json_object_object_get_ex(from, "encap", &list))
		return 0;
	n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : SIZE_MAX;
	if (n > FO_MAX_ENCAPS)
		return flow_json_refuse(err, "encap", "give a list of %d at most, outermost first",
					FO_MAX_ENCAPS);
	for (size_t i = 0; i < n; i++)
		if (read_encap(json_object_array_get_idx(list, i), &adj->encap[i], err) != 0)
			return -EINVAL;
	adj->n_encaps = (uint32_t)n;
	return 0;
}

/* What the device itself says, for what the request left out. */
static void ask_device(const char *dev, struct fo_adj *adj, bool wants_mac)
{
	struct ifreq ask = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(ask.ifr_name, sizeof(ask.ifr_name), "%s", dev);
	if (adj->mtu == 0 && ioctl(fd, SIOCGIFMTU, &ask) == 0)
		adj->mtu = (uint32_t)ask.ifr_mtu;
	if (wants_mac && ioctl(fd, SIOCGIFHWADDR, &ask) == 0)
		memcpy(adj->own_mac, ask.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static int read_side(struct serve *serve, struct json_object *from, struct fo_adj *adj, struct fo_error *err)
{
	const char *dev = flow_json_text(from, "dev"), *l3 = flow_json_text(from, "l3dev");
	uint64_t mtu;

	FO_INIT(adj);
	if (dev == NULL)
		return flow_json_refuse(err, "dev", "name the device (or port number) of this side");
	adj->port = serve_port(dev);
	if (adj->port == 0)
		return flow_json_refuse(err, "dev", "there is no device '%.40s' here", dev);
	if (l3 != NULL) {
		adj->l3_dev = serve_port(l3);
		if (adj->l3_dev == 0)
			return flow_json_refuse(err, "l3dev", "there is no device '%.40s' here", l3);
	}
	if (flow_json_number(from, "mtu", 65535, 0, &mtu, err) != 0 ||
	    read_mac(from, "mac", adj->own_mac, err) != 0 ||
	    read_mac(from, "peer", adj->peer_mac, err) != 0 || read_encaps(from, adj, err) != 0)
		return -EINVAL;
	adj->mtu = (uint32_t)mtu;
	ask_device(l3 != NULL ? l3 : dev, adj,
		   (serve->caps.can & FO_CAP_CALLER_NEIGH) != 0 && flow_json_text(from, "mac") == NULL);
	if (adj->mtu == 0)
		adj->mtu = 1500;
	return 0;
}

int serve_side(struct serve *serve, struct json_object *request, const char *key, fo_adj_id *out,
	       struct fo_error *err)
{
	struct json_object *from;
	struct fo_adj adj;
	int status;

	if (!json_object_object_get_ex(request, key, &from))
		return flow_json_refuse(err, key, "describe this side: its device at least");
	status = read_side(serve, from, &adj, err);
	if (status != 0)
		return status;
	for (size_t i = 0; i < serve->n_sides; i++)
		if (memcmp(&serve->sides[i].adj, &adj, sizeof(adj)) == 0) {
			*out = serve->sides[i].id;
			return 0;
		}
	if (serve->n_sides == SERVE_MAX_SIDES)
		return flow_json_refuse(err, key, "fo-demo keeps %u different sides at most",
					SERVE_MAX_SIDES);
	status = fo_adj_add(serve->table, &adj, out, err);
	if (status == 0)
		serve->sides[serve->n_sides++] = (struct serve_side){adj, *out};
	return status;
}
