/* SPDX-License-Identifier: BSD-2-Clause */
/* key.h - the key of one direction as a packet shows it: made from a packet, a tuple or a line, hashed, compared. */
#ifndef FO_FLOWTABLE_KEY_H
#define FO_FLOWTABLE_KEY_H

#include "flowtable/hash.h"
#include "flowtable/record.h"

struct fo__key {
	uint64_t hash;
	uint32_t ports; /* fo__line.ports */
	uint16_t scope;
	uint8_t code; /* IP protocol, FO__CODE_V6 for IPv6 */
	uint8_t unused;
	union {
		uint64_t address4;	 /* source and destination as in the packet */
		const uint8_t *address6; /* 32 bytes, both, where the packet or the tuple has them */
	};
};

static inline int fo__key_is_v6(const struct fo__key *key)
{
	return (key->code & FO__CODE_V6) != 0;
}

static inline uint64_t fo__key_rest(uint32_t ports, uint8_t code, uint16_t scope)
{
	return (uint64_t)scope << 40 | (uint64_t)code << 32 | ports;
}

static inline uint64_t fo__key_hash_v4(uint64_t address4, uint32_t ports, uint8_t code, uint16_t scope,
				       const struct fo__secret *secret)
{
	return fo__hash_v4(secret, address4, fo__key_rest(ports, code, scope));
}

static inline uint64_t fo__key_hash(const struct fo__key *key, const struct fo__secret *secret)
{
	return fo__key_is_v6(key)
		       ? fo__hash_v6(secret, key->address6, fo__key_rest(key->ports, key->code, key->scope))
		       : fo__key_hash_v4(key->address4, key->ports, key->code, key->scope, secret);
}

/* Tuple and protocol; the scope belongs to the line's side. */
static inline int fo__key_is(const struct fo__key *key, const struct fo__line *line)
{
	uint32_t differ =
		(line->ports ^ key->ports) | fo__meta_code(fo__load_relaxed(&line->meta) ^ key->code);

	if (!fo__key_is_v6(key))
		return !(differ | (fo__load64(&line->key.v4.src) ^ key->address4));
	return !(differ | (fo__load64(line->key.v6.src) ^ fo__load64(key->address6)) |
		 (fo__load64(line->key.v6.src + 8) ^ fo__load64(key->address6 + 8)) |
		 (fo__load64(line->key.v6.dst) ^ fo__load64(key->address6 + 16)) |
		 (fo__load64(line->key.v6.dst + 8) ^ fo__load64(key->address6 + 24)));
}

/* tuple must outlive the key (IPv6 addresses are read where they are). */
static inline void fo__key_of_tuple(struct fo__key *key, const struct fo_tuple *tuple, uint16_t scope)
{
	uint32_t src, dst;

	memset(key, 0, sizeof(*key));
	memcpy(&key->ports, &tuple->sport_be, 2);
	memcpy((uint8_t *)&key->ports + 2, &tuple->dport_be, 2);
	key->scope = scope;
	/* A protocol above 127 would read as IPv6. None is offloaded: 0 is a code that no line has. */
	key->code = tuple->proto < FO__CODE_V6 ? tuple->proto : 0;
	if (tuple->family == FO_FAMILY_IPV6) {
		key->code |= FO__CODE_V6;
		key->address6 = tuple->src; /* dst follows it */
		return;
	}
	src = fo__load32(tuple->src);
	dst = fo__load32(tuple->dst);
	memcpy(&key->address4, &src, 4);
	memcpy((uint8_t *)&key->address4 + 4, &dst, 4);
}
_Static_assert(offsetof(struct fo_tuple, dst) == 16 && offsetof(struct fo_tuple, src) == 0,
	       "addresses are adjacent");

/* The line must outlive the key. */
static inline void fo__key_of_line(struct fo__key *key, const struct fo__line *line, uint16_t scope)
{
	memset(key, 0, sizeof(*key));
	key->ports = line->ports;
	key->scope = scope;
	key->code = fo__meta_code(fo__load_relaxed(&line->meta));
	if (fo__key_is_v6(key))
		key->address6 = line->key.v6.src;
	else
		key->address4 = fo__load64(&line->key.v4.src);
}
_Static_assert(offsetof(struct fo__line, key.v6.dst) == offsetof(struct fo__line, key.v6.src) + 16,
	       "adjacent");

#endif
