/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_netlink.h - a kernel of the test's own behind every netlink socket of the program that includes this: it takes
 * each request apart and answers what the test wants. Defined here are sendto(), recvmsg() and recvmmsg() of the whole
 * program. */
#ifndef FO_FAKE_NETLINK_H
#define FO_FAKE_NETLINK_H

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FAKE_PORTID 4711u

#define FAKE_SOCKETS 4u
#define FAKE_FIRST   1000 /* descriptors of nobody */

/* What waits to be read, of each socket. */
static struct fake_queue {
	uint8_t bytes[65536] __attribute__((aligned(4)));
	size_t used, read;
} fake_queues[FAKE_SOCKETS];
static unsigned int fake_opened;
static struct fake_queue *fake_asked; /* that of the request under way */
static uint32_t fake_requests;
/* Called for each request; answers by fake_answer(). */
static void (*fake_kernel)(const struct nlmsghdr *request);

/* A message in a datagram of its own. */
static inline void fake_answer(const struct nlmsghdr *request, const void *message, size_t size)
{
	struct nlmsghdr *copy = (void *)(fake_asked->bytes + fake_asked->used);

	if (sizeof(fake_asked->bytes) - fake_asked->used < MNL_ALIGN(size))
		return;
	memcpy(copy, message, size);
	copy->nlmsg_pid = FAKE_PORTID;
	copy->nlmsg_seq = request->nlmsg_seq;
	fake_asked->used += MNL_ALIGN(size);
}

/* What is answered next is a notice that comes by this socket. */
static inline void fake_notify(const struct fo__nl *nl)
{
	fake_asked = &fake_queues[nl->fd - FAKE_FIRST];
}

static inline void fake_ack(const struct nlmsghdr *request, int error)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr told;
	} ack = {.header = {.nlmsg_len = sizeof(ack), .nlmsg_type = NLMSG_ERROR}};

	ack.told.error = -error;
	ack.told.msg = *request;
	fake_answer(request, &ack, sizeof(ack));
}

static inline void fake_done(const struct nlmsghdr *request)
{
	struct {
		struct nlmsghdr header;
		int error;
	} done = {.header = {.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE}};

	fake_answer(request, &done, sizeof(done));
}

static inline void fake_open(struct fo__nl *nl, void *rx, size_t rx_room)
{
	unsigned int at = fake_opened++ % FAKE_SOCKETS;

	memset(nl, 0, sizeof(*nl));
	nl->fd = FAKE_FIRST + (int)at;
	nl->portid = FAKE_PORTID;
	nl->seq = 1;
	nl->rx = rx;
	nl->rx_room = rx_room;
	fake_queues[at].used = fake_queues[at].read = 0;
	fake_requests = 0;
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
	const struct nlmsghdr *request = data;
	int left = (int)size;

	(void)flags;
	(void)to;
	(void)length;
	fake_asked = &fake_queues[fd - FAKE_FIRST];
	for (; mnl_nlmsg_ok(request, left); request = mnl_nlmsg_next(request, &left)) {
		fake_requests++;
		fake_kernel(request);
	}
	return (ssize_t)size;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct fake_queue *queue = &fake_queues[fd - FAKE_FIRST];
	const struct nlmsghdr *next = (const void *)(queue->bytes + queue->read);
	struct sockaddr_nl from = {.nl_family = AF_NETLINK};

	(void)flags;
	if (queue->read >= queue->used) {
		queue->read = queue->used = 0;
		errno = EAGAIN;
		return -1;
	}
	memcpy(msg->msg_name, &from, sizeof(from));
	msg->msg_namelen = sizeof(from);
	msg->msg_flags = 0;
	memcpy(msg->msg_iov->iov_base, next, next->nlmsg_len);
	queue->read += MNL_ALIGN(next->nlmsg_len);
	return (ssize_t)next->nlmsg_len;
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags, struct timespec *timeout)
{
	unsigned int got = 0;

	(void)timeout;
	for (; got < n; got++) {
		ssize_t size = recvmsg(fd, &msgs[got].msg_hdr, flags);

		if (size < 0)
			break;
		msgs[got].msg_len = (unsigned int)size;
	}
	return got ? (int)got : -1;
}

#endif
