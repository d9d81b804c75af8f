/* SPDX-License-Identifier: BSD-2-Clause */
/* session.c - a PPPoE session in the kernel, without discovery or LCP: both ends are told its number. See live.h. */
#include "live.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_pppox.h>
#include <linux/ppp-ioctl.h>
#include <linux/ppp_defs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* IP at once, as if both ends had agreed. */
static void pass(int unit, int protocol)
{
	struct npioctl how = {protocol, NPMODE_PASS};

	CHECK(!ioctl(unit, PPPIOCSNPMODE, &how));
}

static void connect_session(const char *device, const unsigned char peer[6], uint16_t session)
{
	struct sockaddr_pppox name;
	int fd = socket(AF_PPPOX, SOCK_STREAM, PX_PROTO_OE), channel = 0, number = -1;
	int line = open("/dev/ppp", O_RDWR | O_CLOEXEC), unit = open("/dev/ppp", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && line >= 0 && unit >= 0);
	memset(&name, 0, sizeof(name));
	name.sa_family = AF_PPPOX;
	name.sa_protocol = PX_PROTO_OE;
	name.sa_addr.pppoe.sid = htons(session);
	memcpy(name.sa_addr.pppoe.remote, peer, 6);
	snprintf(name.sa_addr.pppoe.dev, sizeof(name.sa_addr.pppoe.dev), "%s", device);
	CHECK(!connect(fd, (struct sockaddr *)&name, sizeof(name)));
	CHECK(!ioctl(fd, PPPIOCGCHAN, &channel));
	CHECK(!ioctl(line, PPPIOCATTCHAN, &channel));
	CHECK(!ioctl(unit, PPPIOCNEWUNIT, &number));
	CHECK(!ioctl(line, PPPIOCCONNECT, &number));
	pass(unit, PPP_IP);
	pass(unit, PPP_IPV6);
}

void session_address(const char *path, const char *device, unsigned char mac[6])
{
	char command[200];
	unsigned int byte[6];
	FILE *out;

	snprintf(command, sizeof(command), "nsenter --net=%s ip -br link show %s | awk '{print $3}'", path,
		 device);
	out = popen(command, "r");
	CHECK(out && fscanf(out, "%x:%x:%x:%x:%x:%x", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
			    &byte[5]) == 6);
	pclose(out);
	for (unsigned int i = 0; i < 6; i++)
		mac[i] = (unsigned char)byte[i];
}

/* The descriptors stay open: the session lives as long as the process. */
void session_open(const char *path, const char *device, const unsigned char peer[6], uint16_t session)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), away = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(home >= 0 && away >= 0 && !setns(away, CLONE_NEWNET));
	connect_session(device, peer, session);
	CHECK(!setns(home, CLONE_NEWNET));
	close(home);
	close(away);
}
