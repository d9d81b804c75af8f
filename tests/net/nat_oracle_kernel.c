/* SPDX-License-Identifier: BSD-2-Clause */
/* nat_oracle_kernel.c - the kernel's side of the second oracle: what goes into the router, what
 * comes out, and what its conntrack says. Interface and neighbours: nat_oracle.h. */
#include "nat_oracle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Only a kernel that lost or dropped the packet lets it pass. */
#define RECEIVE_TIMEOUT_MS 5000

/* Goes before each frame, both ways. Source: Linux, include/uapi/linux/virtio_net.h; host byte
 * order here. */
struct vnet_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t header_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};

_Static_assert(sizeof(struct vnet_header) == 10, "as virtio has it");

#define VNET_NEEDS_CSUM 1u
#define VNET_GSO_TCPV4	1u
#define VNET_GSO_TCPV6	4u

static int open_socket(const char *interface)
{
	struct sockaddr_ll address;
	int one = 1;
	int fd;

	memset(&address, 0, sizeof(address));
	address.sll_family = AF_PACKET;
	address.sll_protocol = htons(ETH_P_ALL);
	address.sll_ifindex = (int)if_nametoindex(interface);
	if (address.sll_ifindex == 0) {
		fprintf(stderr, "nat-oracle: no interface %s\n", interface);
		return -ENODEV;
	}
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int e = errno;

		fprintf(stderr, "nat-oracle: packet socket on %s: %s\n", interface, strerror(e));
		if (fd >= 0)
			close(fd);
		return -e;
	}
	return fd;
}

int oracle_router_enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);
	int ret = fd < 0 || setns(fd, CLONE_NEWNET) != 0 ? -errno : 0;

	if (ret != 0)
		fprintf(stderr, "nat-oracle: namespace %s: %s\n", netns, strerror(-ret));
	if (fd >= 0)
		close(fd);
	return ret;
}

int oracle_wire_open(struct oracle_wire *wire, const char *lan_end, const char *wan_end)
{
	wire->fd[SIDE_LAN] = open_socket(lan_end);
	if (wire->fd[SIDE_LAN] < 0)
		return wire->fd[SIDE_LAN];
	wire->fd[SIDE_WAN] = open_socket(wan_end);
	if (wire->fd[SIDE_WAN] < 0) {
		close(wire->fd[SIDE_LAN]);
		return wire->fd[SIDE_WAN];
	}
	return 0;
}

void oracle_wire_close(struct oracle_wire *wire)
{
	close(wire->fd[SIDE_LAN]);
	close(wire->fd[SIDE_WAN]);
}

int oracle_wire_send(struct oracle_wire *wire, enum oracle_side side, const uint8_t *frame, size_t length,
		     const struct oracle_meta *meta)
{
	struct vnet_header header = {0};
	struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)(uintptr_t)frame, length}};
	ssize_t sent;

	if (meta && meta->partial) {
		header.flags = VNET_NEEDS_CSUM;
		header.csum_start = meta->csum_start;
		header.csum_offset = meta->csum_offset;
	}
	if (meta && meta->gso_size) {
		header.gso_type = packet_get16(frame + 12) == ETHERTYPE_IP ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
		header.gso_size = meta->gso_size;
		header.header_len = (uint16_t)(meta->csum_start + 20);
	}
	sent = writev(wire->fd[side], parts, 2);
	if (sent == (ssize_t)(sizeof(header) + length))
		return 0;
	fprintf(stderr, "nat-oracle: send: %s\n", sent < 0 ? strerror(errno) : "cut short");
	return -EIO;
}

/* What the router sent to this host; not our own frames, not what it says to everybody (ND, MLD).
 * */
static int from_router(const struct sockaddr_ll *address, enum oracle_side side, const uint8_t *frame,
		       ssize_t length)
{
	return address->sll_pkttype != PACKET_OUTGOING && length >= ETH_HLEN &&
	       memcmp(frame, oracle_host_mac[side], 6) == 0;
}

static void take_meta(const struct vnet_header *header, struct oracle_meta *meta)
{
	memset(meta, 0, sizeof(*meta));
	meta->gso_size = header->gso_type ? header->gso_size : 0;
	if (!(header->flags & VNET_NEEDS_CSUM))
		return;
	meta->partial = 1;
	meta->csum_start = header->csum_start;
	meta->csum_offset = header->csum_offset;
}

int oracle_wire_receive(struct oracle_wire *wire, enum oracle_side side, uint8_t *frame, size_t size,
			int wait, struct oracle_meta *meta)
{
	struct vnet_header header;
	struct iovec parts[2] = {{&header, sizeof(header)}, {frame, size}};
	struct sockaddr_ll address;
	struct msghdr message = {.msg_name = &address, .msg_iov = parts, .msg_iovlen = 2};

	for (;;) {
		struct pollfd ready = {.fd = wire->fd[side], .events = POLLIN};
		int n = poll(&ready, 1, wait ? RECEIVE_TIMEOUT_MS : 0);
		ssize_t length;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ETIMEDOUT;
		message.msg_namelen = sizeof(address);
		length = recvmsg(wire->fd[side], &message, MSG_DONTWAIT);
		if (length < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		length -= (ssize_t)sizeof(header);
		if (!from_router(&address, side, frame, length))
			continue;
		if (message.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		take_meta(&header, meta);
		return (int)length;
	}
}

/* ---- conntrack's own words: "udp 17 29 src=A dst=B sport=1 dport=2 packets=1 bytes=60 [UNREPLIED]
 * src=B ..." ---- */

static int parse_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out <= max ? 0 : -EINVAL;
}

struct conntrack_words {
	struct fo_tuple tuple[2];
	struct oracle_conntrack *out;
	int n_src; /* how many src= so far: the first begins the original direction, the second the reply's */
};

static int take_address(const struct fo_tuple *like, const char *value, uint8_t *address)
{
	return inet_pton(like->family == FO_FAMILY_IPV4 ? AF_INET : AF_INET6, value, address) == 1 ? 0
												   : -EINVAL;
}

static int take_word(struct conntrack_words *words, const struct fo_tuple *like, const char *key,
		     const char *value)
{
	int dir = words->n_src - 1;
	struct fo_tuple *tuple = &words->tuple[dir > 0];
	uint64_t number;

	if (strcmp(key, "src") == 0) {
		words->n_src++;
		if (words->n_src > 2)
			return -EINVAL;
		return take_address(like, value, words->tuple[words->n_src - 1].src);
	}
	if (dir < 0)
		return 0;
	if (strcmp(key, "dst") == 0)
		return take_address(like, value, tuple->dst);
	if (strcmp(key, "sport") != 0 && strcmp(key, "dport") != 0 && strcmp(key, "id") != 0 &&
	    strcmp(key, "type") != 0 && strcmp(key, "packets") != 0 && strcmp(key, "bytes") != 0)
		return 0;
	if (parse_number(value, UINT64_MAX, &number) != 0)
		return -EINVAL;
	if (strcmp(key, "packets") == 0)
		words->out->packets[dir] = number;
	else if (strcmp(key, "bytes") == 0)
		words->out->bytes[dir] = number;
	else if (number > UINT16_MAX)
		return -EINVAL;
	else if (strcmp(key, "type") == 0)
		tuple->dport_be = htons((uint16_t)(number << 8));
	else if (strcmp(key, "dport") == 0)
		tuple->dport_be = htons((uint16_t)number);
	else
		tuple->sport_be = htons((uint16_t)number);
	return 0;
}

/* Is this line the connection whose original tuple is like? Then out has the rest. */
static int parse_line(char *line, const struct fo_tuple *like, struct oracle_conntrack *out)
{
	struct conntrack_words words = {.out = out};
	char *save = NULL, *word;
	int dir;

	for (dir = 0; dir < 2; dir++) {
		words.tuple[dir].family = like->family;
		words.tuple[dir].proto = like->proto;
	}
	for (word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (take_word(&words, like, word, value) != 0)
			return -EINVAL;
	}
	if (words.n_src != 2 || memcmp(&words.tuple[0], like, sizeof(*like)) != 0)
		return -ENOENT;
	out->reply = words.tuple[1];
	return 0;
}

/* By tuple: a listing walks the whole hash table of the kernel each time. */
static void conntrack_command(const struct fo_tuple *tuple, char *command, size_t size)
{
	int v4 = tuple->family == FO_FAMILY_IPV4;
	int family = v4 ? AF_INET : AF_INET6;
	char src[INET6_ADDRSTRLEN] = "", dst[INET6_ADDRSTRLEN] = "", ports[80];
	unsigned int sport = ntohs(tuple->sport_be), dport = ntohs(tuple->dport_be);
	const char *proto = tuple->proto == 6 ? "tcp" : tuple->proto == 17 ? "udp" : v4 ? "icmp" : "icmpv6";

	inet_ntop(family, tuple->src, src, sizeof(src));
	inet_ntop(family, tuple->dst, dst, sizeof(dst));
	if (tuple->proto == 6 || tuple->proto == 17)
		snprintf(ports, sizeof(ports), "--sport %u --dport %u", sport, dport);
	else
		snprintf(ports, sizeof(ports), "--%s-type %u --%s-code %u --%s-id %u", proto, dport >> 8,
			 proto, dport & 0xff, proto, sport);
	snprintf(command, size, "conntrack -G -p %s -s %s -d %s %s 2>/dev/null", proto, src, dst, ports);
}

int oracle_conntrack_read(const struct fo_tuple *original, struct oracle_conntrack *out)
{
	char command[256], line[1024];
	int found = -ENOENT;
	FILE *pipe;

	conntrack_command(original, command, sizeof(command));
	pipe = popen(command, "r");
	if (!pipe)
		return -errno;
	while (fgets(line, sizeof(line), pipe)) {
		if (found != 0)
			found = parse_line(line, original, out);
	}
	return pclose(pipe) == 0 ? found : -ENOENT;
}
