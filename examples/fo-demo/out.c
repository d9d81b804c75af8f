/* SPDX-License-Identifier: BSD-2-Clause */
/* out.c - errors and figures for people, numbers and addresses from the command line. Neighbours: out.h, json.c. */
#include "out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "demo.h"

void out_error(const char *format, ...)
{
	va_list args;

	fputs("fo-demo: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void out_fo_error(const char *call, const struct fo_error *err)
{
	const char *stage = fo_stage_name(err->stage);
	const char *text = err->text[0] != '\0' ? err->text : fo_reason_text(err->reason);

	out_error("%s: %s%s%s (reason %s%s%s)", call, err->field, err->field[0] != '\0' ? ": " : "", text,
		  fo_reason_name(err->reason), stage[0] != '\0' ? ", stage " : "", stage);
	if (err->backend_errno != 0)
		out_error("%s: the backend says: %s", call, strerror(err->backend_errno));
}

bool out_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	/* strtoull() would take a sign and leading blanks. */
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n < min || n > max) {
		out_error("%s: '%s' is not a whole number from %" PRIu64 " to %" PRIu64, option, text, min,
			  max);
		return false;
	}
	*value = n;
	return true;
}

static bool can_translate_to(uint8_t family, const uint8_t *addr)
{
	struct in6_addr six;

	if (family == FO_FAMILY_IPV4)
		return addr[0] != 0 && addr[0] != 127 && addr[0] < 224;
	memcpy(&six, addr, sizeof(six));
	return !IN6_IS_ADDR_UNSPECIFIED(&six) && !IN6_IS_ADDR_LOOPBACK(&six) &&
	       !IN6_IS_ADDR_MULTICAST(&six) && !IN6_IS_ADDR_LINKLOCAL(&six) && !IN6_IS_ADDR_V4MAPPED(&six);
}

bool out_address(const char *option, const char *text, uint8_t family, uint8_t *addr)
{
	uint8_t read[16];
	bool four = family == FO_FAMILY_IPV4;

	if (inet_pton(four ? AF_INET : AF_INET6, text, read) != 1) {
		out_error("%s: '%s' is not an IPv%d address; write it as %s", option, text, four ? 4 : 6,
			  four ? "192.0.2.1" : "2001:db8::1");
		return false;
	}
	if (!can_translate_to(family, read)) {
		out_error("%s: %s is zero, loopback, link-local or multicast; give an address the router "
			  "could have",
			  option, text);
		return false;
	}
	memcpy(addr, read, four ? 4 : 16);
	return true;
}

const char *out_count(char text[OUT_NUMBER], uint64_t n)
{
	char digits[OUT_NUMBER];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *to = text;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return text;
}

const char *out_bytes(char text[OUT_NUMBER], uint64_t n)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)n / 1000;
	size_t unit = 0;

	if (n < 1000) {
		snprintf(text, OUT_NUMBER, "%" PRIu64 " B", n);
		return text;
	}
	while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(text, OUT_NUMBER, "%.*f %s", value < 10 ? 2 : 1, value, units[unit]);
	return text;
}

const char *out_share(char text[OUT_NUMBER], uint64_t part, uint64_t whole)
{
	if (whole == 0)
		snprintf(text, OUT_NUMBER, "-");
	else
		snprintf(text, OUT_NUMBER, "%.1f %%", 100.0 * (double)part / (double)whole);
	return text;
}

const char *out_endpoint(char text[OUT_ENDPOINT], const struct fo_tuple *tuple, unsigned int which)
{
	bool four = tuple->family == FO_FAMILY_IPV4;
	const uint8_t *from = which == 0 ? tuple->src : tuple->dst;
	unsigned int port = ntohs(which == 0 ? tuple->sport_be : tuple->dport_be);
	char addr[INET6_ADDRSTRLEN];

	if (inet_ntop(four ? AF_INET : AF_INET6, from, addr, sizeof(addr)) == NULL)
		snprintf(addr, sizeof(addr), "?");
	if (tuple->proto == IPPROTO_ICMP || tuple->proto == IPPROTO_ICMPV6) {
		/* The other "port" of an echo is its type and code. */
		if (which == 0)
			snprintf(text, OUT_ENDPOINT, "%s id %u", addr, port);
		else
			snprintf(text, OUT_ENDPOINT, "%s", addr);
	} else {
		snprintf(text, OUT_ENDPOINT, four ? "%s:%u" : "[%s]:%u", addr, port);
	}
	return text;
}

const char *out_proto(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		return "ip";
	}
}

int out_finish(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		out_error("standard output cannot be written: %s", strerror(errno));
		return DEMO_FAILED;
	}
	return status;
}
