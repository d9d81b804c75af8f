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

static uint8_t fake_queue[65536] __attribute__((aligned(4)));
static size_t fake_used, fake_read;
static uint32_t fake_requests;
/* Called for each request; answers by fake_answer(). */
static void (*fake_kernel)(const struct nlmsghdr *request);

/* A message in a datagram of its own. */
static inline void fake_answer(const struct nlmsghdr *request, const void *message, size_t size)
{
	struct nlmsghdr *copy = (void *)(fake_queue + fake_used);

	if (sizeof(fake_queue) - fake_used < MNL_ALIGN(size))
		return;
	memcpy(copy, message, size);
	copy->nlmsg_pid = FAKE_PORTID;
	copy->nlmsg_seq = request->nlmsg_seq;
	fake_used += MNL_ALIGN(size);
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
	memset(nl, 0, sizeof(*nl));
	nl->fd = 1000; /* of nobody */
	nl->portid = FAKE_PORTID;
	nl->seq = 1;
	nl->rx = rx;
	nl->rx_room = rx_room;
	fake_used = fake_read = 0;
	fake_requests = 0;
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
	const struct nlmsghdr *request = data;
	int left = (int)size;

	(void)fd;
	(void)flags;
	(void)to;
	(void)length;
	for (; mnl_nlmsg_ok(request, left); request = mnl_nlmsg_next(request, &left)) {
		fake_requests++;
		fake_kernel(request);
	}
	return (ssize_t)size;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	const struct nlmsghdr *next = (const void *)(fake_queue + fake_read);
	struct sockaddr_nl from = {.nl_family = AF_NETLINK};

	(void)fd;
	(void)flags;
	if (fake_read >= fake_used) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(msg->msg_name, &from, sizeof(from));
	msg->msg_namelen = sizeof(from);
	msg->msg_flags = 0;
	memcpy(msg->msg_iov->iov_base, next, next->nlmsg_len);
	fake_read += MNL_ALIGN(next->nlmsg_len);
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
