/* SPDX-License-Identifier: BSD-2-Clause */
/* faults.h - the suite proves itself: one known fault after the other is seeded in a backend, and a case must notice.
 * Neighbours: faults.c has the list, rig_npu.c the backend, run.h runs cases.
 */
#ifndef CONFORMANCE_FAULTS_H
#define CONFORMANCE_FAULTS_H

struct run_options;

/* Run the list, print a line for each fault. options->glob: only faults of these names. Returns the exit status. */
int faults_run(const struct run_options *options);

/* Tables opened on rig_npu from here on have this fault (enum npu_fault of examples/npu/npu.h; 0: none). */
void rig_npu_seed(unsigned int fault);

#endif /* CONFORMANCE_FAULTS_H */
