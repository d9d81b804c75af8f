/* SPDX-License-Identifier: BSD-2-Clause */
/* tc_exceptions.c - where hardware under flower filters does not keep the contract. See exceptions.h. */
#include "exceptions.h"

const struct rig_exception tc_exceptions[] = {
	{0, 0, 0, 0, 0},
};

const struct rig_exception tc_ppe_exceptions[] = {
	{0, 0, 0, 0, 0},
};
