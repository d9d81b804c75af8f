/* SPDX-License-Identifier: BSD-2-Clause */
/* exchange.c - requests sent and their answers taken; dumps and notices a datagram at a time. See netlink.h. */
#include "netlink/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define TORN_MOST 8u

/* ---- One datagram ---- */

static int send_all(const struct fo__nl *nl, const struct fo__tx *tx)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;

	do {
		sent = sendto(nl->fd, tx->base, tx->used, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == tx->used ? 0 : -EMSGSIZE;
}

/* What was received with it is a datagram of the kernel; others may send to us, too. */
static int is_from_kernel(const struct msghdr *msg, const struct sockaddr_nl *from)
{
	return msg->msg_namelen == sizeof(*from) && from->nl_family == AF_NETLINK && from->nl_pid == 0;
}

/* Bytes of a datagram of the kernel, 0 when none is there. What other processes send to us is thrown away. */
static ssize_t receive(const struct fo__nl *nl)
{
	for (;;) {
		struct sockaddr_nl from = {.nl_family = AF_UNSPEC};
		struct iovec iov = {nl->rx, nl->rx_room};
		struct msghdr msg = {
			.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
		ssize_t got = recvmsg(nl->fd, &msg, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
		if (!is_from_kernel(&msg, &from) || !got)
			continue;
		return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : got;
	}
}

/* Each message of the datagram; -EPROTO when one leaves its bounds. */
typedef int (*message_fn)(void *arg, const struct nlmsghdr *nlh);

static int each(const void *datagram, size_t size, message_fn fn, void *arg)
{
	const struct nlmsghdr *nlh = datagram;
	int left = (int)size, rc = 0;

	while (!rc && left > 0) {
		if (!mnl_nlmsg_ok(nlh, left))
			return -EPROTO;
		rc = fn(arg, nlh);
		nlh = mnl_nlmsg_next(nlh, &left);
	}
	return rc;
}

/* ---- Many datagrams ---- */

/* Answers come a datagram each: taken several in one call. One takes no more than a page, of which the kernel makes them. */
#define ANSWER_ROOM 4096u
#define AT_ONCE	    (FO__NL_RX_ROOM / ANSWER_ROOM)

struct arrivals {
	struct mmsghdr msg[AT_ONCE];
	struct sockaddr_nl from[AT_ONCE];
	struct iovec iov[AT_ONCE];
};

/* How many datagrams, 0 when none is there, or -errno. */
static int receive_some(const struct fo__nl *nl, struct arrivals *arrivals)
{
	unsigned int room = (unsigned int)(nl->rx_room / ANSWER_ROOM);
	int got;

	if (room > AT_ONCE)
		room = AT_ONCE;
	memset(arrivals, 0, sizeof(*arrivals));
	for (unsigned int i = 0; i < room; i++) {
		arrivals->iov[i].iov_base = nl->rx + i * ANSWER_ROOM;
		arrivals->iov[i].iov_len = ANSWER_ROOM;
		arrivals->msg[i].msg_hdr.msg_name = &arrivals->from[i];
		arrivals->msg[i].msg_hdr.msg_namelen = sizeof(arrivals->from[i]);
		arrivals->msg[i].msg_hdr.msg_iov = &arrivals->iov[i];
		arrivals->msg[i].msg_hdr.msg_iovlen = 1;
	}
	do {
		got = recvmmsg(nl->fd, arrivals->msg, room, MSG_DONTWAIT, NULL);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	return got;
}

/* Each message of everything that is there. */
static int each_arrived(const struct fo__nl *nl, message_fn fn, void *arg)
{
	struct arrivals arrivals;
	int got, rc = 0;

	while (!rc && (got = receive_some(nl, &arrivals)) != 0) {
		rc = got < 0 ? got : 0;
		for (int i = 0; !rc && i < got; i++) {
			const struct msghdr *msg = &arrivals.msg[i].msg_hdr;

			if (!is_from_kernel(msg, &arrivals.from[i]))
				continue;
			rc = msg->msg_flags & MSG_TRUNC
				     ? -EMSGSIZE
				     : each(msg->msg_iov->iov_base, arrivals.msg[i].msg_len, fn, arg);
		}
	}
	return rc;
}

/* ---- Acknowledgements ---- */

/* Where the attributes of an extended acknowledgement begin, behind the copy of the request; -EPROTO. */
static int read_words(const struct nlmsghdr *nlh, const struct nlmsgerr *told, struct fo__nl_answer *answer)
{
	const struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1];
	size_t skip = sizeof(*told);
	int rc;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return 0;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
		if (told->msg.nlmsg_len < sizeof(told->msg))
			return -EPROTO;
		skip += told->msg.nlmsg_len - sizeof(told->msg);
	}
	rc = fo__rx_attrs(nlh, skip, attrs, NLMSGERR_ATTR_MAX);
	if (rc)
		return rc;
	(void)fo__rx_text(attrs[NLMSGERR_ATTR_MSG], answer->words, sizeof(answer->words));
	(void)fo__rx_u32(attrs[NLMSGERR_ATTR_OFFS], &answer->offset);
	return 0;
}

/* errno of an acknowledgement, 0 when it says yes, -EPROTO when it is none. */
static int read_ack(const struct nlmsghdr *nlh, struct fo__nl_answer *answer)
{
	struct nlmsgerr told;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(told))
		return -EPROTO;
	memcpy(&told, mnl_nlmsg_get_payload(nlh), sizeof(told));
	if (told.error > 0 || told.error < -4095)
		return -EPROTO;
	if (!told.error) {
		answer->acks++;
		return 0;
	}
	/* Later refusals of one batch follow from the first. */
	if (!answer->error) {
		answer->error = -told.error;
		answer->seq = nlh->nlmsg_seq;
		return read_words(nlh, &told, answer) < 0 ? -EPROTO : -told.error;
	}
	return -told.error;
}

/* ---- Requests ---- */

struct talk {
	const struct fo__nl *nl;
	const struct fo__tx *tx;
	struct fo__nl_answer *answer;
	fo__nl_cb cb;
	void *arg;
};

static int is_ours(const struct talk *talk, const struct nlmsghdr *nlh)
{
	uint32_t sent = talk->tx->next_seq - talk->tx->first_seq;

	return nlh->nlmsg_pid == talk->nl->portid && nlh->nlmsg_seq - talk->tx->first_seq < sent;
}

static int answered(void *arg, const struct nlmsghdr *nlh)
{
	const struct talk *talk = arg;
	int error;

	/* An answer to an earlier request that was given up. */
	if (!is_ours(talk, nlh) || nlh->nlmsg_type == NLMSG_NOOP || nlh->nlmsg_type == NLMSG_DONE)
		return 0;
	if (nlh->nlmsg_type != NLMSG_ERROR)
		return talk->cb ? talk->cb(talk->arg, nlh->nlmsg_seq, nlh, 0) : 0;
	error = read_ack(nlh, talk->answer);
	if (error < 0)
		return error;
	return error && talk->cb ? talk->cb(talk->arg, nlh->nlmsg_seq, NULL, error) : 0;
}

int fo__nl_talk(struct fo__nl *nl, struct fo__tx *tx, fo__nl_cb cb, void *arg, struct fo__nl_answer *answer)
{
	struct fo__nl_answer own;
	struct talk talk = {nl, tx, answer ? answer : &own, cb, arg};
	ssize_t size = fo__tx_end(tx);
	int rc;

	memset(talk.answer, 0, sizeof(*talk.answer));
	if (size <= 0)
		return size ? (int)size : -EINVAL;
	nl->seq = tx->next_seq;
	rc = send_all(nl, tx);
	if (!rc)
		rc = each_arrived(nl, answered, &talk);
	if (rc)
		return rc;
	return -talk.answer->error;
}

/* ---- Dumps ---- */

int fo__nl_dump_begin(struct fo__nl *nl, struct fo__tx *tx)
{
	ssize_t size = fo__tx_end(tx);
	int rc;

	if (size <= 0)
		return size ? (int)size : -EINVAL;
	nl->seq = tx->next_seq;
	rc = send_all(nl, tx);
	nl->dump_seq = rc ? 0 : tx->first_seq;
	nl->dump_torn = 0;
	return rc;
}

struct dump {
	struct fo__nl *nl;
	fo__nl_cb cb;
	void *arg;
	int done;
};

/* The end of a dump may carry an errno. */
static int ending(const struct nlmsghdr *nlh)
{
	int error = 0;

	if (nlh->nlmsg_len >= MNL_NLMSG_HDRLEN + sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	return error < 0 && error >= -4095 ? error : 0;
}

static int shown(void *arg, const struct nlmsghdr *nlh)
{
	struct dump *dump = arg;
	struct fo__nl_answer answer = {.error = 0};
	int error;

	if (nlh->nlmsg_seq != dump->nl->dump_seq || nlh->nlmsg_pid != dump->nl->portid)
		return 0;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		dump->nl->dump_torn = 1;
	if (nlh->nlmsg_type == NLMSG_DONE) {
		dump->done = 1;
		return ending(nlh);
	}
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		error = read_ack(nlh, &answer);
		return error < 0 ? error : -error;
	}
	return nlh->nlmsg_type == NLMSG_NOOP ? 0 : dump->cb(dump->arg, nlh->nlmsg_seq, nlh, 0);
}

int fo__nl_dump_step(struct fo__nl *nl, fo__nl_cb cb, void *arg)
{
	struct dump dump = {nl, cb, arg, 0};
	ssize_t got;
	int rc;

	if (!nl->dump_seq)
		return -EINVAL;
	got = receive(nl);
	/* The kernel fills the queue while it takes the request, and again whenever a part was read. */
	rc = got > 0 ? each(nl->rx, (size_t)got, shown, &dump) : got ? (int)got : -EPROTO;
	if (!rc && !dump.done)
		return 1;
	nl->dump_seq = 0;
	return rc ? rc : nl->dump_torn ? -EINTR : 0;
}

int fo__nl_dump(struct fo__nl *nl, struct fo__tx *tx, fo__nl_cb cb, void *arg, void (*again)(void *arg))
{
	int rc = 0;

	for (unsigned int i = 0; i < TORN_MOST; i++) {
		if (i && again)
			again(arg);
		rc = fo__nl_dump_begin(nl, tx);
		while (!rc && (rc = fo__nl_dump_step(nl, cb, arg)) == 1)
			rc = 0;
		if (rc != -EINTR)
			return rc;
	}
	return rc;
}

/* ---- Notices ---- */

struct notices {
	fo__nl_cb cb;
	void *arg;
};

static int noticed(void *arg, const struct nlmsghdr *nlh)
{
	const struct notices *notices = arg;

	if (nlh->nlmsg_type < NLMSG_MIN_TYPE)
		return 0;
	return notices->cb(notices->arg, nlh->nlmsg_seq, nlh, 0);
}

int fo__nl_notices(struct fo__nl *nl, fo__nl_cb cb, void *arg)
{
	struct notices notices = {cb, arg};
	ssize_t got = receive(nl);
	int rc;

	if (got <= 0)
		return (int)got;
	rc = each(nl->rx, (size_t)got, noticed, &notices);
	return rc ? rc : 1;
}
