/* SPDX-License-Identifier: BSD-2-Clause */
/* demo_slowpath_packets.c - see demo_slowpath_packets.h. */
#include "demo_slowpath_packets.h"

#include <string.h>

static void put(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void made_address(uint8_t *p, int family, const char *name)
{
	static const uint8_t v4[][5] = {"c\300\250\1\2",  "d\300\250\1\3",   "n\306\63\144\1",
					"s\306\63\144\2", "r\306\63\144\11", "l\300\250\1\1"};
	size_t i;

	if (family == 6) {
		memset(p, 0, 16);
		memcpy(p, "\x20\x01\x0d\xb8", 4);
		p[4] = *name == 'c' || *name == 'd' || *name == 'l' ? 1 : 2;
		p[15] = (uint8_t)*name;
		return;
	}
	for (i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		if (v4[i][0] == (uint8_t)*name)
			memcpy(p, v4[i] + 1, 4);
	}
}

static unsigned long sum(const uint8_t *p, size_t n, unsigned long s)
{
	size_t i;

	for (i = 0; i < n; i++)
		s += i & 1 ? p[i] : (unsigned long)p[i] << 8;
	return s;
}

static unsigned int folded(unsigned long s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (unsigned int)s;
}

static void checksum(const struct made *m, const uint8_t *ip, uint8_t *l4, size_t size, size_t at)
{
	unsigned long pseudo = 0;
	unsigned int c;

	if (m->proto != ICMP) {
		pseudo = m->family == 4 ? sum(ip + 12, 8, 0) : sum(ip + 8, 32, 0);
		pseudo += (unsigned long)m->proto + size;
	}
	put(l4 + at, 0);
	c = m->partial ? folded(pseudo) : ~folded(sum(l4, size, pseudo)) & 0xffff;
	if (m->proto == UDP && !m->partial && !c)
		c = 0xffff;
	put(l4 + at, m->no_csum ? 0 : c);
}

static size_t l4_make(const struct made *m, const uint8_t *ip, uint8_t *l4)
{
	size_t header = m->proto == TCP ? 20 : 8, i;

	memset(l4, 0, header);
	for (i = 0; i < m->payload; i++)
		l4[header + i] = (uint8_t)(i * 7 + 1);
	if (m->proto == ICMP || m->proto == ICMP6) {
		l4[0] = (uint8_t)m->sport;
		put(l4 + 4, m->dport);
		checksum(m, ip, l4, header + m->payload, 2);
		return header + m->payload;
	}
	put(l4, m->sport);
	put(l4 + 2, m->dport);
	if (m->proto == TCP) {
		l4[12] = 0x50;
		l4[13] = (uint8_t)m->flags;
		checksum(m, ip, l4, header + m->payload, 16);
	} else {
		put(l4 + 4, (unsigned int)(header + m->payload));
		checksum(m, ip, l4, header + m->payload, 6);
	}
	return header + m->payload;
}

size_t made_packet(const struct made *m, uint8_t *ip)
{
	size_t at = m->family == 4 ? 20 : m->frag ? 48 : 40, n;

	memset(ip, 0, at);
	if (m->family == 6) {
		ip[0] = 0x60;
		ip[6] = m->frag ? 44 : (uint8_t)m->proto;
		ip[7] = (uint8_t)m->ttl;
		made_address(ip + 8, 6, m->src);
		made_address(ip + 24, 6, m->dst);
		if (m->frag) {
			ip[40] = (uint8_t)m->proto;
			put(ip + 42, m->frag);
			put(ip + 46, m->ident);
		}
		n = l4_make(m, ip, ip + at);
		put(ip + 4, (unsigned int)(at - 40 + n));
		return at + n;
	}
	ip[0] = 0x45;
	put(ip + 4, m->ident);
	put(ip + 6, m->frag);
	ip[8] = (uint8_t)m->ttl;
	ip[9] = (uint8_t)m->proto;
	made_address(ip + 12, 4, m->src);
	made_address(ip + 16, 4, m->dst);
	n = l4_make(m, ip, ip + at);
	put(ip + 2, (unsigned int)(at + n));
	put(ip + 10, ~folded(sum(ip, 20, 0)) & 0xffff);
	return at + n;
}

size_t made_error(uint8_t *ip, int family, const char *src, const char *dst, unsigned int ttl,
		  const uint8_t *quote, size_t n)
{
	struct made m = {.family = family,
			 .proto = family == 4 ? ICMP : ICMP6,
			 .src = src,
			 .dst = dst,
			 .sport = family == 4 ? 3 : 1,
			 .ttl = ttl,
			 .payload = (unsigned int)n};
	size_t length = made_packet(&m, ip), at = family == 4 ? 20 : 40;

	memcpy(ip + at + 8, quote, n);
	checksum(&m, ip, ip + at, 8 + n, 2);
	return length;
}

struct made made_there(int family, int proto, unsigned int flags)
{
	struct made m = {.family = family,
			 .proto = proto,
			 .src = "c",
			 .dst = "s",
			 .sport = 4000,
			 .dport = 80,
			 .flags = flags,
			 .ttl = 64,
			 .payload = 33};

	return m;
}

struct made made_left(struct made m)
{
	m.src = "n";
	m.ttl--;
	return m;
}

struct made made_back(struct made m)
{
	unsigned int port = m.sport;

	m.src = "s";
	m.dst = "n";
	m.sport = m.dport;
	m.dport = port;
	return m;
}

struct made made_arrived(struct made m)
{
	m.dst = "c";
	m.ttl--;
	return m;
}
