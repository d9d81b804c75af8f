/* SPDX-License-Identifier: BSD-2-Clause */
/* suite.c - runs one case: in a child of its own, so that a crash or a hang is one failure and
 * not the end of the run. Also how a case ends early (suite.h). The loop over all cases and the
 * printing are in run.c. */
#define _GNU_SOURCE
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "env.h"
#include "run.h"

#define WHY_SIZE 1024u

static jmp_buf leave;
static enum run_outcome outcome;
static char reason[WHY_SIZE];
static char context[256];
static struct env the_env;
static int in_child;

void suite_in_child(void)
{
	in_child = 1;
}

static void leave_case(enum run_outcome how) __attribute__((noreturn));
static void leave_case(enum run_outcome how)
{
	if (in_child) {
		fprintf(stderr, "%s\n", reason);
		_exit(how == RUN_FAIL ? SUITE_CHILD_FAILED : SUITE_CHILD_SKIPPED);
	}
	outcome = how;
	longjmp(leave, 1);
}

void suite_context(const char *format, ...)
{
	va_list ap;

	context[0] = '\0';
	if (!format)
		return;
	va_start(ap, format);
	vsnprintf(context, sizeof(context), format, ap);
	va_end(ap);
}

void suite_fail(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	char text[WHY_SIZE - 384];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(reason, sizeof(reason), "%.60s:%d: %s%s%s", base ? base + 1 : file, line, context,
		 context[0] ? ": " : "", text);
	leave_case(RUN_FAIL);
}

void suite_skip(int must_have, const char *format, ...)
{
	char text[WHY_SIZE - 384];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(reason, sizeof(reason), "%s%s",
		 must_have ? "would be skipped, but this rig must have it: " : "", text);
	leave_case(must_have ? RUN_FAIL : RUN_SKIP);
}

const char *suite_hex(const uint8_t *bytes, uint32_t len)
{
	static char text[2][3 * 64 + 4];
	static unsigned int turn;
	char *out = text[turn++ & 1];
	uint32_t i;

	out[0] = '\0';
	for (i = 0; i < len && i < 64; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
	return out;
}

static void missing_features(const struct rig *rig, const struct suite_case *c)
{
	static const char *const names[] = {"reasons",
					    "packet metadata",
					    "scopes",
					    "headroom",
					    "bursts",
					    "a clock to set",
					    "flow ids",
					    "an allocator hook",
					    "priorities in tags",
					    "frames longer than a port's MTU",
					    "partial checksums",
					    "GSO frames",
					    "hardware that fails on order"};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((c->features & ~rig->features) & (1u << i))
			suite_skip(0, "the rig cannot show %s", names[i]);
}

static void body(const struct run_options *options, const struct suite_case *c)
{
	outcome = RUN_OK;
	reason[0] = '\0';
	context[0] = '\0';
	env_init(&the_env, options->rig);
	if (!setjmp(leave)) {
		missing_features(options->rig, c);
		the_env.needs = c->needs;
		if (c->prepare)
			c->prepare(&the_env);
		if (!c->no_table)
			env_open(&the_env);
		c->run(&the_env);
	}
	env_close(&the_env);
}

static void child(const struct run_options *options, const struct suite_case *c, int fd)
{
	char code;
	size_t len;

	body(options, c);
	code = (char)outcome;
	len = strlen(reason);
	if (write(fd, &code, 1) != 1 || write(fd, reason, len) != (ssize_t)len)
		_exit(3);
	/* exit, not _exit: leak checkers speak at exit */
	exit(0);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Read the child's words until it closes the pipe. Returns the length, -1 at the deadline. */
static ssize_t listen_to(int fd, char *text, size_t size)
{
	long long deadline = now_ms() + RUN_TIMEOUT_S * 1000ll;
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		long long left = deadline - now_ms();
		ssize_t got;

		if (left <= 0)
			return -1;
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return -1;
		if (!(p.revents & (POLLIN | POLLHUP)))
			continue;
		got = read(fd, text + len, size - 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	text[len] = '\0';
	return (ssize_t)len;
}

static enum run_outcome judge(pid_t pid, ssize_t len, const char *text, char *why, size_t why_size)
{
	int status = 0;

	if (len < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (len < 0) {
		snprintf(why, why_size, "no end after %u s", RUN_TIMEOUT_S);
		return RUN_FAIL;
	}
	if (WIFSIGNALED(status)) {
		snprintf(why, why_size, "killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
		return RUN_FAIL;
	}
	if (len < 1 || WEXITSTATUS(status)) {
		snprintf(why, why_size, "the case ended with exit status %d: %s", WEXITSTATUS(status),
			 len > 1 ? text + 1 : "");
		return RUN_FAIL;
	}
	snprintf(why, why_size, "%s", text + 1);
	return (enum run_outcome)text[0];
}

enum run_outcome run_case(const struct run_options *options, const struct suite_case *c, char *why,
			  size_t why_size)
{
	char text[WHY_SIZE + 1] = "";
	ssize_t len;
	int fds[2];
	pid_t pid;

	if (options->in_process) {
		body(options, c);
		snprintf(why, why_size, "%s", reason);
		return outcome;
	}
	fflush(NULL);
	if (pipe(fds)) {
		snprintf(why, why_size, "pipe: %s", strerror(errno));
		return RUN_FAIL;
	}
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(options, c, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		snprintf(why, why_size, "fork: %s", strerror(errno));
		return RUN_FAIL;
	}
	len = listen_to(fds[0], text, sizeof(text));
	close(fds[0]);
	return judge(pid, len, text, why, why_size);
}
