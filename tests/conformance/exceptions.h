/* SPDX-License-Identifier: BSD-2-Clause */
/* exceptions.h - where a kernel's short cut does not keep the contract, and no capability says so: known, named, and printed in
 * docs/CAPABILITIES.md.
 *
 * Such a case is run all the same. It is skipped with the reason only if it fails in just the way that is written here;
 * one that holds after all is a failure: the exception is to be taken off the list.
 * */
#ifndef CONFORMANCE_EXCEPTIONS_H
#define CONFORMANCE_EXCEPTIONS_H

#define EXCEPTION_KERNEL(major, minor) ((major)*1000u + (minor))

struct rig_exception {
	const char *name;	  /* "group/case", with * and ? */
	const char *seen;	  /* words of the failure */
	unsigned int first, last; /* EXCEPTION_KERNEL(): of these kernels; 0: all */
	const char *why;
};

/* Ends with one without a name. */
extern const struct rig_exception nft_exceptions[], nft_hw_exceptions[];
extern const struct rig_exception bpf_xdp_exceptions[];
extern const struct rig_exception tc_exceptions[], tc_threads_exceptions[], tc_ppe_exceptions[];

#endif /* CONFORMANCE_EXCEPTIONS_H */
