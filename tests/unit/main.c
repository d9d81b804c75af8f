/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - runs one suite. Each test has a process of its own, so what it leaves behind reaches no other. */
#include <stdlib.h>

#include "unit.h"

int main(void)
{
	SRunner *runner;
	int failed;

	/* No verdict by the speed of the machine; who runs the program bounds it as a whole. */
	if (setenv("CK_DEFAULT_TIMEOUT", "0", 0))
		return EXIT_FAILURE;
	runner = srunner_create(unit_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
