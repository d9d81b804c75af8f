/* SPDX-License-Identifier: BSD-2-Clause */
/* zipf.h - entries drawn by rank: rank r with a probability in proportion to 1 / r^0.99, ranks scattered over the entries.
 * Method of Gray et al., Quickly generating billion-record synthetic databases (1994). Used by scene.c.
 */
#ifndef BENCH_ZIPF_H
#define BENCH_ZIPF_H

#include "bench.h"

struct zipf;

struct zipf *zipf_open(uint32_t n);
void zipf_close(struct zipf *zipf);
uint32_t zipf_draw(const struct zipf *zipf, struct bench_draw *draw);

#endif
