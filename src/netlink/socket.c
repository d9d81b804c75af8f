/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.c - netlink sockets, in the network namespace that the caller names. See netlink.h. */
#include "netlink/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

int fo__netns_enter(int netns_fd, int *back, struct fo_error *err)
{
	int home;

	*back = -1;
	if (netns_fd < 0)
		return 0;
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return fo__nl_refuse(
			err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, errno, "netns_fd",
			"this thread's own network namespace cannot be opened: is /proc mounted?");
	if (setns(netns_fd, CLONE_NEWNET) < 0) {
		int code = errno;

		close(home);
		return fo__nl_refuse(
			err, code == EPERM ? -EPERM : -EINVAL,
			code == EPERM ? FO_R_PERMISSION : FO_R_ARGUMENT, FO_STAGE_RESOLVE, code, "netns_fd",
			"netns_fd cannot be entered: it must be a network namespace, and the process "
			"needs CAP_SYS_ADMIN there");
	}
	*back = home;
	return 0;
}

int fo__netns_leave(int back)
{
	int rc = 0;

	if (back < 0)
		return 0;
	if (setns(back, CLONE_NEWNET) < 0)
		rc = -EIO;
	close(back);
	return rc;
}

static int configure(struct fo__nl *nl)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK};
	socklen_t length = sizeof(name);
	int one = 1;

	if (bind(nl->fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    getsockname(nl->fd, (struct sockaddr *)&name, &length) < 0)
		return -errno;
	if (length != sizeof(name) || name.nl_family != AF_NETLINK)
		return -EPROTO;
	nl->portid = name.nl_pid;
	/* Words are welcome, not needed: kernels without them answer with the errno alone. The copy of a refused
	 * request is not wanted: it may be as long as the request. */
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return 0;
}

int fo__nl_open(struct fo__nl *nl, int family, int netns_fd, void *rx, size_t rx_room, struct fo_error *err)
{
	int back, rc;

	memset(nl, 0, sizeof(*nl));
	nl->fd = -1;
	nl->seq = 1;
	nl->rx = rx;
	nl->rx_room = rx_room;
	rc = fo__netns_enter(netns_fd, &back, err);
	if (rc)
		return rc;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
	rc = nl->fd < 0 ? -errno : configure(nl);
	if (fo__netns_leave(back)) {
		fo__nl_close(nl);
		return fo__nl_refuse(err, -EIO, FO_R_BACKEND, FO_STAGE_RESOLVE, EIO, "netns_fd",
				     "the thread could not return to its own network namespace");
	}
	if (!rc)
		return 0;
	fo__nl_close(nl);
	return fo__nl_refuse(err, rc, rc == -EPERM ? FO_R_PERMISSION : FO_R_BACKEND, FO_STAGE_RESOLVE, -rc,
			     NULL, "a netlink socket of family %d cannot be opened: %s", family,
			     strerror(-rc));
}

void fo__nl_close(struct fo__nl *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

static void size_buffer(int fd, int force, int plain, int bytes)
{
	if (bytes > 0 && setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

void fo__nl_buffers(const struct fo__nl *nl, int send_bytes, int receive_bytes)
{
	size_buffer(nl->fd, SO_SNDBUFFORCE, SO_SNDBUF, send_bytes);
	size_buffer(nl->fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_bytes);
}

int fo__nl_join(const struct fo__nl *nl, int group, struct fo_error *err)
{
	if (!setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return 0;
	return fo__nl_refuse(err, -errno, errno == EPERM ? FO_R_PERMISSION : FO_R_BACKEND, FO_STAGE_RESOLVE,
			     errno, NULL, "netlink group %d cannot be joined: %s", group, strerror(errno));
}
