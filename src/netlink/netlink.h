/* SPDX-License-Identifier: BSD-2-Clause */
/* netlink.h - netlink as the kernel backends need it: requests built within bounds, sockets in a chosen network
 * namespace, acknowledgements and extended acknowledgements turned into struct fo_error, dumps read in slices.
 *
 * Knows nothing of flows and allocates nothing: buffers are the caller's. What arrives is input and checked: it must come
 * from the kernel, answer a request of ours and be whole. Messages are built and walked with libmnl.
 * Neighbours: message.c builds, socket.c opens and closes, exchange.c talks, refusal.c words errors;
 * src/conntrack and the backends use them.
 */
#ifndef FO_NETLINK_NETLINK_H
#define FO_NETLINK_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdarg.h>

#include "flowoffload.h"

/* ---- Requests (message.c) ---- */

/* Messages one after another in the caller's buffer. What does not fit sets full, and everything after it is ignored,
 * so that one look at the end is enough. */
struct fo__tx {
	uint8_t *base;
	size_t room;
	size_t used;	      /* whole messages */
	struct nlmsghdr *nlh; /* the one under construction, or NULL */
	uint32_t first_seq;
	uint32_t next_seq;
	uint8_t full;
};

/* Begin with an empty buffer, 4-byte aligned; sequence numbers go on from seq. */
void fo__tx_begin(struct fo__tx *tx, void *buffer, size_t room, uint32_t seq);
/* Close the message before and begin another, with header_size bytes of the family's own header; returns that header,
 * zeroed, or NULL when the buffer is full. */
void *fo__tx_message(struct fo__tx *tx, uint16_t type, uint16_t flags, size_t header_size);
/* Close the last message. Returns the bytes to send, or -EMSGSIZE. */
ssize_t fo__tx_end(struct fo__tx *tx);
/* Room that is left for attributes of the message under construction. */
size_t fo__tx_left(const struct fo__tx *tx);

void fo__tx_put(struct fo__tx *tx, uint16_t type, size_t size, const void *data);
void fo__tx_put_u8(struct fo__tx *tx, uint16_t type, uint8_t value);
void fo__tx_put_u32(struct fo__tx *tx, uint16_t type, uint32_t value);
void fo__tx_put_be16(struct fo__tx *tx, uint16_t type, uint16_t value);
void fo__tx_put_be32(struct fo__tx *tx, uint16_t type, uint32_t value);
void fo__tx_put_text(struct fo__tx *tx, uint16_t type, const char *text);
/* Returns NULL when the buffer is full; fo__tx_close() accepts it. */
struct nlattr *fo__tx_open(struct fo__tx *tx, uint16_t type);
void fo__tx_close(struct fo__tx *tx, struct nlattr *nest);

/* ---- Attributes that arrived ---- */

/* Index the attributes of a message or a nest by type, 0 .. max; later ones win, unknown ones are skipped. 0, or
 * -EPROTO when one leaves its bounds. */
int fo__rx_attrs(const struct nlmsghdr *nlh, size_t header_size, const struct nlattr **attrs, uint16_t max);
int fo__rx_nested(const struct nlattr *nest, const struct nlattr **attrs, uint16_t max);
/* Value of an attribute of exactly that size; 0 or -EPROTO (NULL: -ENOENT). */
int fo__rx_u8(const struct nlattr *attr, uint8_t *out);
int fo__rx_be16(const struct nlattr *attr, uint16_t *out);
int fo__rx_u32(const struct nlattr *attr, uint32_t *out);
int fo__rx_be32(const struct nlattr *attr, uint32_t *out);
int fo__rx_be64(const struct nlattr *attr, uint64_t *out);
int fo__rx_bytes(const struct nlattr *attr, void *out, size_t size);
/* A string with its end in bounds; cut to fit, always terminated. */
int fo__rx_text(const struct nlattr *attr, char *out, size_t size);

/* ---- Sockets (socket.c) ---- */

struct fo__nl {
	int fd; /* -1: closed */
	uint32_t portid;
	uint32_t seq;	   /* of the next request */
	uint32_t dump_seq; /* of the dump under way; 0: none */
	uint8_t dump_torn; /* the kernel said that what it shows changed meanwhile */
	uint8_t *rx;	   /* the caller's receive buffer */
	size_t rx_room;
};

/* The kernel makes the datagrams of a dump as large as the buffer that it is read with, between these two: small ones make
 * short slices, large ones fewer calls. */
#define FO__NL_RX_LEAST 8192u
#define FO__NL_RX_ROOM	32768u

/* fo__nl_open - open a socket of a netlink family.
 * @netns_fd: the network namespace it is to be in; -1: the caller's. The thread visits that namespace for the moment
 *            of opening and comes back; -EIO when it could not come back.
 * @rx:       receive buffer of rx_room bytes, FO__NL_RX_LEAST at least; the caller's, used until fo__nl_close(). */
int fo__nl_open(struct fo__nl *nl, int family, int netns_fd, void *rx, size_t rx_room, struct fo_error *err);
/* Accepts one that is closed or all zero but for fd -1. */
void fo__nl_close(struct fo__nl *nl);
/* Ask for buffers of so many bytes, beyond the system's limits where the caller may; what was granted is not told. */
void fo__nl_buffers(const struct fo__nl *nl, int send_bytes, int receive_bytes);
int fo__nl_join(const struct fo__nl *nl, int group, struct fo_error *err);

/* fo__netns_enter - move the calling thread into a namespace; -1: nowhere. @back receives what fo__netns_leave() wants. */
int fo__netns_enter(int netns_fd, int *back, struct fo_error *err);
int fo__netns_leave(int back);

/* ---- Talking (exchange.c) ---- */

/* The first refusal among the answers to a request. */
struct fo__nl_answer {
	int error;	 /* errno, or 0 */
	uint32_t seq;	 /* of the message refused */
	uint32_t offset; /* of the attribute that the kernel points at; 0: none */
	uint32_t acks;
	char words[96]; /* the kernel's own; often empty */
};

/* A message that answers the request with this sequence number. nlh NULL: that request was refused with error. Return
 * 0, or -errno to end the exchange with it. */
typedef int (*fo__nl_cb)(void *arg, uint32_t seq, const struct nlmsghdr *nlh, int error);

/* fo__nl_talk - send requests and take every answer. The kernel answers while it takes the request, so that nothing is
 * waited for.
 * @cb:     may be NULL.
 * @answer: receives the first refusal; may be NULL.
 * Returns 0 when the exchange went well and nothing was refused, -errno of the first refusal, -ENOBUFS when answers were
 * lost, -EPROTO for an answer that is none, or what sending returned. */
int fo__nl_talk(struct fo__nl *nl, struct fo__tx *tx, fo__nl_cb cb, void *arg, struct fo__nl_answer *answer);

/* A dump, a datagram at a time: begin, then step until it does not return 1. Only one a socket. */
int fo__nl_dump_begin(struct fo__nl *nl, struct fo__tx *tx);
/* 1: there is more; 0: that was all; -EINTR: all was shown, but it changed meanwhile: begin anew; -errno. After anything
 * but 1 the dump is over. */
int fo__nl_dump_step(struct fo__nl *nl, fo__nl_cb cb, void *arg);
/* The whole dump, begun anew up to eight times when torn; @again (may be NULL) is called before each new beginning. */
int fo__nl_dump(struct fo__nl *nl, struct fo__tx *tx, fo__nl_cb cb, void *arg, void (*again)(void *arg));

/* One datagram of a multicast group. 1: something was read; 0: nothing there; -ENOBUFS: notices were lost; -errno. */
int fo__nl_notices(struct fo__nl *nl, fo__nl_cb cb, void *arg);

/* ---- Errors (refusal.c) ---- */

#if defined(__GNUC__)
#define FO__NL_PRINTF(first_arg) __attribute__((format(printf, 7, first_arg)))
#else
#define FO__NL_PRINTF(first_arg)
#endif

/* Fill in err, which may be NULL, and hand code back. backend_errno: > 0, or 0. */
int fo__nl_refuse(struct fo_error *err, int code, enum fo_reason reason, enum fo_stage stage,
		  int backend_errno, const char *field, const char *fmt, ...) FO__NL_PRINTF(8);
int fo__nl_vrefuse(struct fo_error *err, int code, enum fo_reason reason, enum fo_stage stage,
		   int backend_errno, const char *field, const char *fmt, va_list args) FO__NL_PRINTF(0);
/* What the kernel refused, as an error: the reason by errno, the kernel's words after what. Returns code. */
int fo__nl_refused(struct fo_error *err, int code, enum fo_stage stage, const struct fo__nl_answer *answer,
		   const char *what);

#endif
