/* SPDX-License-Identifier: BSD-2-Clause */
/* hardware.c - what the simulated hardware of tests/hwsim is told, and tells, through its files. See live.h. */
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FOLDER "/sys/kernel/debug/fo_hwsim/"

void hardware_order(const char *file, const char *text)
{
	char path[64];
	FILE *to;

	snprintf(path, sizeof(path), FOLDER "%s", file);
	to = fopen(path, "w");
	if (!to || fprintf(to, "%s\n", text) < 0 || fclose(to))
		FAIL("%s: %s", path, strerror(errno));
}

unsigned int hardware_rules(void)
{
	return (unsigned int)hardware_counter("rules");
}

unsigned long hardware_counter(const char *name)
{
	FILE *from = fopen(FOLDER "counters", "r");
	unsigned long value = 0;
	char word[64];
	bool found = false;

	CHECK(from);
	while (!found && fscanf(from, "%63s %lu", word, &value) == 2)
		found = !strcmp(word, name);
	fclose(from);
	CHECK(found);
	return value;
}
