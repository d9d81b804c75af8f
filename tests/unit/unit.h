/* SPDX-License-Identifier: BSD-2-Clause */
/* unit.h - what every unit test program has: one suite, and main.c to run it.
 *
 * A module's tests are test_MODULE.c with unit_suite() in it; meson.build makes one program of each.
 */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>

Suite *unit_suite(void);

#endif
