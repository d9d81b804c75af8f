/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.c - the sysctls that this backend depends on, read and, with permission only, set. See state.h.
 *
 * They belong to a network namespace: the calling thread must be in the table's. */
#include "backends/nft/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDER "/proc/sys/net/netfilter/"

static int read_setting(const char *name, unsigned long *out)
{
	char path[96], text[32], *end;
	ssize_t got;
	int fd;

	(void)snprintf(path, sizeof(path), FOLDER "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, text, sizeof(text) - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	if (got <= 0)
		return got ? (int)got : -EPROTO;
	text[got] = '\0';
	errno = 0;
	*out = strtoul(text, &end, 10);
	return errno || end == text ? -EPROTO : 0;
}

static int write_setting(const char *name, unsigned long value)
{
	char path[96], text[32];
	int fd, length = snprintf(text, sizeof(text), "%lu\n", value), rc = 0;

	(void)snprintf(path, sizeof(path), FOLDER "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)length) != length)
		rc = errno ? -errno : -EIO;
	close(fd);
	return rc;
}

struct wish {
	const char *name;
	unsigned long value;
	const char *why;
};

static int grant(const struct wish *wish, int may_change, int probing, char *changed, size_t size,
		 struct fo_error *err)
{
	size_t used = strlen(changed);
	int rc;

	if (!may_change)
		return fo__nl_refuse(err, -EPERM, FO_R_PERMISSION, FO_STAGE_RESOLVE, 0, "flags",
				     "net.netfilter.%s must be %lu (%s): set it, or allow it with "
				     "FO_TABLE_ALLOW_SYSCTL",
				     wish->name, wish->value, wish->why);
	rc = probing ? 0 : write_setting(wish->name, wish->value);
	if (rc)
		return fo__nl_refuse(err, rc == -EACCES || rc == -EROFS ? -EPERM : rc, FO_R_PERMISSION,
				     FO_STAGE_RESOLVE, -rc, "flags",
				     "net.netfilter.%s cannot be set to %lu: %s", wish->name, wish->value,
				     strerror(-rc));
	if (used < size)
		(void)snprintf(changed + used, size - used, "%s%s=%lu", used ? ", " : "", wish->name,
			       wish->value);
	return 0;
}

/* Set name to value where its value is 0. */
static int want_on(const struct wish *wish, int may_change, int probing, char *changed, size_t size,
		   struct fo_error *err)
{
	unsigned long now;
	int rc = read_setting(wish->name, &now);

	if (rc)
		return fo__nl_refuse(
			err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, -rc, NULL,
			"net.netfilter.%s cannot be read: %s; is nf_conntrack loaded, /proc mounted?",
			wish->name, strerror(-rc));
	return now ? 0 : grant(wish, may_change, probing, changed, size, err);
}

/* A flow that leaves the flowtable gets what is left of conntrack's timeout: nothing, when the flowtable's own is as
 * long, and its connection tracking state is lost at once. */
static int want_shorter(const char *offload, const char *conntrack, int may_change, int probing,
			char *changed, size_t size, struct fo_error *err)
{
	struct wish wish = {.name = offload, .why = "shorter than conntrack's own"};
	unsigned long own = 0, theirs = 0;

	/* Kernels before 5.13 have no such sysctl, and 30 s. */
	if (read_setting(offload, &own) || read_setting(conntrack, &theirs) || own < theirs)
		return 0;
	wish.value = theirs / 2;
	if (!wish.value)
		return fo__nl_refuse(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, FO_STAGE_RESOLVE, 0, NULL,
				     "net.netfilter.%s is %lu s: too short for flows to be offloaded",
				     conntrack, theirs);
	return grant(&wish, may_change, probing, changed, size, err);
}

uint32_t fo__nft_reset_timeout(void)
{
	unsigned long reset = 0, living = 0, offload = 0;

	if (read_setting("nf_conntrack_tcp_timeout_close", &reset) ||
	    read_setting("nf_conntrack_tcp_timeout_established", &living) ||
	    read_setting("nf_flowtable_tcp_timeout", &offload))
		return 0;
	return living > offload && living - offload > 2 * reset && reset < UINT32_MAX ? (uint32_t)reset : 0;
}

uint32_t fo__nft_report_ms(void)
{
	static const char *const timeouts[] = {"nf_flowtable_tcp_timeout", "nf_flowtable_udp_timeout"};
	unsigned long longest = 0, value = 0;

	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		if (read_setting(timeouts[i], &value))
			value = 30;
		longest = value > longest ? value : longest;
	}
	if (longest > FO_TIMEOUT_MAX_MS / 1000)
		longest = FO_TIMEOUT_MAX_MS / 1000;
	/* ... and until the collector comes by, once to ask and once more where it was early. */
	return (uint32_t)longest * 100 + 2000;
}

int fo__nft_settings(int may_change, int probing, char *changed, size_t size, struct fo_error *err)
{
	static const struct wish on[] = {
		{"nf_conntrack_acct", 1, "conntrack counts packets"},
		{"nf_conntrack_events", 1, "conntrack tells of connections that end"},
	};
	static const char *const shorter[][2] = {
		{"nf_flowtable_tcp_timeout", "nf_conntrack_tcp_timeout_established"},
		{"nf_flowtable_udp_timeout", "nf_conntrack_udp_timeout_stream"},
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(on) / sizeof(on[0]); i++)
		rc = want_on(&on[i], may_change, probing, changed, size, err);
	for (size_t i = 0; !rc && i < sizeof(shorter) / sizeof(shorter[0]); i++)
		rc = want_shorter(shorter[i][0], shorter[i][1], may_change, probing, changed, size, err);
	return rc;
}
