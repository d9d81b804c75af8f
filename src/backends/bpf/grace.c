/* SPDX-License-Identifier: BSD-2-Clause */
/* grace.c - no CPU is in a run of the program that began before: waited for in a thread of its own.
 *
 * A run of the program is a read-side section of the kernel's RCU. membarrier() with the command GLOBAL returns after a
 * grace period, some ten milliseconds: too long for the control thread. Where the kernel refuses it (nohz_full), an
 * update of a map of maps waits for the same. The thread blocks all signals, and touches nothing but its own numbers.
 */
#include "backends/bpf/state.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

int fo__bpf_grace_wait(void)
{
	return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

static void *run(void *arg)
{
	struct fo__bpf_grace *grace = arg;
	uint64_t number, one = 1;

	while (read(grace->wake, &number, sizeof(number)) > 0 || errno == EINTR) {
		if (__atomic_load_n(&grace->stop, __ATOMIC_ACQUIRE))
			return NULL;
		/* All that was asked for before the period begins is covered by it. */
		number = __atomic_load_n(&grace->wanted, __ATOMIC_ACQUIRE);
		if (fo__bpf_grace_wait())
			return NULL;
		__atomic_store_n(&grace->finished, number, __ATOMIC_RELEASE);
		if (write(grace->done, &one, sizeof(one)) < 0 && errno != EAGAIN)
			return NULL;
	}
	return NULL;
}

int fo__bpf_grace_open(struct fo__bpf *bpf)
{
	struct fo__bpf_grace *grace = &bpf->grace;
	sigset_t all, old;
	int status;

	if (fo__bpf_grace_wait())
		return -errno;
	grace->wake = eventfd(0, EFD_CLOEXEC);
	grace->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (grace->wake < 0 || grace->done < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	status = pthread_create(&grace->thread, NULL, run, grace);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	grace->started = !status;
	return -status;
}

void fo__bpf_grace_close(struct fo__bpf *bpf)
{
	struct fo__bpf_grace *grace = &bpf->grace;
	uint64_t one = 1;

	if (grace->started) {
		__atomic_store_n(&grace->stop, true, __ATOMIC_RELEASE);
		(void)!write(grace->wake, &one, sizeof(one));
		pthread_join(grace->thread, NULL);
	}
	if (grace->wake >= 0)
		close(grace->wake);
	if (grace->done >= 0)
		close(grace->done);
}

uint64_t fo__bpf_grace_begin(struct fo__bpf *bpf)
{
	uint64_t number = __atomic_add_fetch(&bpf->grace.wanted, 1, __ATOMIC_ACQ_REL), one = 1;

	(void)!write(bpf->grace.wake, &one, sizeof(one));
	return number;
}

bool fo__bpf_grace_over(struct fo__bpf *bpf, uint64_t period)
{
	return __atomic_load_n(&bpf->grace.finished, __ATOMIC_ACQUIRE) >= period;
}
