/* SPDX-License-Identifier: BSD-2-Clause */
/* message.c - netlink messages written within bounds and attributes read within theirs. See netlink.h. */
#include "netlink/netlink.h"

#include <endian.h>
#include <errno.h>

void fo__tx_begin(struct fo__tx *tx, void *buffer, size_t room, uint32_t seq)
{
	memset(tx, 0, sizeof(*tx));
	tx->base = buffer;
	tx->room = room;
	/* 0 is what unsolicited messages carry. */
	tx->first_seq = tx->next_seq = seq ? seq : 1;
}

static void finish(struct fo__tx *tx)
{
	if (tx->nlh && !tx->full)
		tx->used += MNL_ALIGN(tx->nlh->nlmsg_len);
	tx->nlh = NULL;
}

void *fo__tx_message(struct fo__tx *tx, uint16_t type, uint16_t flags, size_t header_size)
{
	size_t size = MNL_NLMSG_HDRLEN + MNL_ALIGN(header_size);
	void *header;

	finish(tx);
	if (tx->full || tx->room - tx->used < size) {
		tx->full = 1;
		return NULL;
	}
	memset(tx->base + tx->used, 0, size);
	tx->nlh = mnl_nlmsg_put_header(tx->base + tx->used);
	tx->nlh->nlmsg_type = type;
	tx->nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	tx->nlh->nlmsg_seq = tx->next_seq++;
	if (!tx->next_seq)
		tx->next_seq = 1;
	header = mnl_nlmsg_put_extra_header(tx->nlh, header_size);
	return header;
}

ssize_t fo__tx_end(struct fo__tx *tx)
{
	finish(tx);
	return tx->full ? -EMSGSIZE : (ssize_t)tx->used;
}

/* What libmnl's checked writers take as the size of the buffer: theirs begins at the message. */
static size_t message_room(const struct fo__tx *tx)
{
	return tx->room - tx->used;
}

size_t fo__tx_left(const struct fo__tx *tx)
{
	return !tx->nlh || tx->full ? 0 : message_room(tx) - tx->nlh->nlmsg_len;
}

void fo__tx_put(struct fo__tx *tx, uint16_t type, size_t size, const void *data)
{
	if (tx->full || !tx->nlh || size > UINT16_MAX - MNL_ATTR_HDRLEN ||
	    !mnl_attr_put_check(tx->nlh, message_room(tx), type, size, data))
		tx->full = 1;
}

void fo__tx_put_u8(struct fo__tx *tx, uint16_t type, uint8_t value)
{
	fo__tx_put(tx, type, sizeof(value), &value);
}

void fo__tx_put_u32(struct fo__tx *tx, uint16_t type, uint32_t value)
{
	fo__tx_put(tx, type, sizeof(value), &value);
}

void fo__tx_put_be16(struct fo__tx *tx, uint16_t type, uint16_t value)
{
	value = htobe16(value);
	fo__tx_put(tx, type, sizeof(value), &value);
}

void fo__tx_put_be32(struct fo__tx *tx, uint16_t type, uint32_t value)
{
	value = htobe32(value);
	fo__tx_put(tx, type, sizeof(value), &value);
}

void fo__tx_put_text(struct fo__tx *tx, uint16_t type, const char *text)
{
	fo__tx_put(tx, type, strlen(text) + 1, text);
}

struct nlattr *fo__tx_open(struct fo__tx *tx, uint16_t type)
{
	struct nlattr *nest = NULL;

	if (!tx->full && tx->nlh)
		nest = mnl_attr_nest_start_check(tx->nlh, message_room(tx), type);
	if (!nest)
		tx->full = 1;
	return nest;
}

void fo__tx_close(struct fo__tx *tx, struct nlattr *nest)
{
	size_t length;

	if (!nest || tx->full)
		return;
	length = (size_t)((uint8_t *)mnl_nlmsg_get_payload_tail(tx->nlh) - (uint8_t *)nest);
	/* The length of an attribute has 16 bits. */
	if (length > UINT16_MAX)
		tx->full = 1;
	else
		mnl_attr_nest_end(tx->nlh, nest);
}

/* ---- Reading ---- */

static void forget(const struct nlattr **attrs, uint16_t max)
{
	memset(attrs, 0, (max + 1u) * sizeof(*attrs));
}

/* libmnl's walk ends in silence at an attribute that leaves its bounds; here that is an error. */
static int walk(const uint8_t *at, size_t left, const struct nlattr **attrs, uint16_t max)
{
	while (left >= sizeof(struct nlattr)) {
		const struct nlattr *attr = (const struct nlattr *)(const void *)at;
		size_t step;

		if (!mnl_attr_ok(attr, left > INT32_MAX ? INT32_MAX : (int)left))
			return -EPROTO;
		if (mnl_attr_get_type(attr) <= max)
			attrs[mnl_attr_get_type(attr)] = attr;
		step = MNL_ALIGN(attr->nla_len);
		if (step >= left)
			return 0;
		at += step;
		left -= step;
	}
	return left ? -EPROTO : 0;
}

int fo__rx_attrs(const struct nlmsghdr *nlh, size_t header_size, const struct nlattr **attrs, uint16_t max)
{
	size_t skip = MNL_NLMSG_HDRLEN + MNL_ALIGN(header_size);

	forget(attrs, max);
	if (nlh->nlmsg_len < skip)
		return -EPROTO;
	return walk((const uint8_t *)nlh + skip, nlh->nlmsg_len - skip, attrs, max);
}

int fo__rx_nested(const struct nlattr *nest, const struct nlattr **attrs, uint16_t max)
{
	forget(attrs, max);
	if (!nest)
		return -ENOENT;
	return walk(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), attrs, max);
}

int fo__rx_bytes(const struct nlattr *attr, void *out, size_t size)
{
	if (!attr)
		return -ENOENT;
	if (mnl_attr_get_payload_len(attr) != size)
		return -EPROTO;
	memcpy(out, mnl_attr_get_payload(attr), size);
	return 0;
}

int fo__rx_u8(const struct nlattr *attr, uint8_t *out)
{
	return fo__rx_bytes(attr, out, sizeof(*out));
}

int fo__rx_u32(const struct nlattr *attr, uint32_t *out)
{
	return fo__rx_bytes(attr, out, sizeof(*out));
}

int fo__rx_be16(const struct nlattr *attr, uint16_t *out)
{
	uint16_t value;
	int rc = fo__rx_bytes(attr, &value, sizeof(value));

	if (!rc)
		*out = be16toh(value);
	return rc;
}

int fo__rx_be32(const struct nlattr *attr, uint32_t *out)
{
	uint32_t value;
	int rc = fo__rx_bytes(attr, &value, sizeof(value));

	if (!rc)
		*out = be32toh(value);
	return rc;
}

int fo__rx_be64(const struct nlattr *attr, uint64_t *out)
{
	uint64_t value;
	int rc = fo__rx_bytes(attr, &value, sizeof(value));

	if (!rc)
		*out = be64toh(value);
	return rc;
}

int fo__rx_text(const struct nlattr *attr, char *out, size_t size)
{
	size_t length, most;

	if (!attr)
		return -ENOENT;
	most = mnl_attr_get_payload_len(attr);
	length = strnlen(mnl_attr_get_payload(attr), most);
	if (length == most && most)
		return -EPROTO;
	if (length >= size)
		length = size - 1;
	memcpy(out, mnl_attr_get_payload(attr), length);
	out[length] = '\0';
	return 0;
}
