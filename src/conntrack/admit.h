/* SPDX-License-Identifier: BSD-2-Clause */
/* admit.h - for backends whose short cut conntrack does not see: which connections may leave the slow path, and that
 * conntrack does not forget them meanwhile.
 *
 * Before a flow is on the short cut its entry is read and compared, TCP's window check is lifted (conntrack sees only a few of the
 * packets from now on, and would call those invalid), and the entry's time is made longer than the flow's own, so that it
 * is the flow that idles first. What an IPsec policy meets is refused. What has traffic is asked for now and then, and its
 * time renewed. Neighbours: conntrack.h, ipsec.h; admit.c before, renew.c afterwards.
 */
#ifndef FO_CONNTRACK_ADMIT_H
#define FO_CONNTRACK_ADMIT_H

#include "flowoffload-backend.h"

#include "conntrack/conntrack.h"
#include "conntrack/ipsec.h"

/* What one exchange with conntrack takes. */
#define FO__CT_ADMIT_MOST FO__CT_GET_MOST

enum fo__ct_known {
	FO__CT_NOT,    /* nothing to look after */
	FO__CT_UNREAD, /* adopted: its entry is to be found */
	FO__CT_KNOWN
};

/* What is remembered of a flow's entry. */
struct fo__ct_kept {
	uint32_t id;
	uint32_t due_s;	    /* monotonic; when to look at it again */
	uint32_t packets;   /* of both directions, when it was looked at last */
	uint32_t timeout_s; /* the flow's own; UINT32_MAX: never */
	uint16_t zone;
	uint8_t known;	  /* enum fo__ct_known */
	uint8_t loosened; /* the window check was lifted for this flow */
};

struct fo__ct_care {
	struct fo__nl ask;
	struct fo__ipsec ipsec;
	const char *otherwise; /* for texts: how to create a table that does not ask, "with OPTION" */
	uint8_t recheck;       /* policies of IPsec changed: look at all flows */
	/* A pass over all flows, a slice at a time: under way, and because of policies; slots below `at` were looked at. */
	uint8_t passing, rechecking;
	uint32_t at;
	uint64_t next_pass_ms;
	uint8_t tx[FO__CT_TX_ROOM] __attribute__((aligned(4)));
	uint8_t rx[FO__NL_RX_ROOM] __attribute__((aligned(4)));
};

/* fo__ct_care_open - 0; -EOPNOTSUPP this kernel cannot be asked about connections; -EPERM; -errno. Closed then. */
int fo__ct_care_open(struct fo__ct_care *care, int netns_fd, const char *otherwise, struct fo_error *err);
void fo__ct_care_close(struct fo__ct_care *care);

/* fo__ct_admit - may these flows (FO__CT_ADMIT_MOST at most) leave the slow path?
 * @results: 0, or -errno and errs[i]; those that are not 0 already are passed over.
 * @kept:    filled in for those that may: conntrack is liberal with them and waits long enough from then on; the others' are
 *           FO__CT_NOT. */
void fo__ct_admit(struct fo__ct_care *care, const struct fo_backend_flow *flows, struct fo__ct_kept *kept,
		  size_t n, int *results, struct fo_error *errs);
/* A flow is not on the short cut after all, admitted or not. */
void fo__ct_dismiss(struct fo__ct_care *care, const struct fo_tuple *tuple, struct fo__ct_kept *kept);

/* ---- renew.c ---- */

/* A flow's timeout is another from now on. */
void fo__ct_retime(struct fo__ct_kept *kept, uint32_t timeout_ms);
/* A flow of an earlier process is taken under care. */
void fo__ct_adopt(struct fo__ct_care *care, struct fo__ct_kept *kept, uint32_t timeout_ms);

/* What a look at a flow found. */
struct fo__ct_look {
	struct fo__ct_kept *kept;
	uint8_t end;	 /* enum fo_reason: it must leave the short cut; FO_R_NONE */
	uint8_t closing; /* FO_R_TCP_FIN, _RST, or FO_R_NONE */
};

/* The flows of a table, by their slots. */
struct fo__ct_flows {
	void *table;	    /* first argument of the others */
	uint32_t slots_end; /* slots that were ever used are below it */
	/* What is kept of a flow that lives there; NULL: of none. For each slot in each pass. */
	struct fo__ct_kept *(*living)(void *table, uint32_t slot);
	/* Its protocol, and the packets of both directions so far. When it is time. */
	void (*traffic)(void *table, uint32_t slot, uint8_t *proto, uint32_t *packets);
	/* The tuples of both directions. */
	void (*tuples)(void *table, uint32_t slot, struct fo_tuple tuple[2]);
	/* It was looked at; on a pass because of policies, for them alone. */
	void (*conclude)(void *table, uint32_t slot, const struct fo__ct_look *look);
};

/* Is there a slice to do now? now_ms: of any clock. */
int fo__ct_care_due(struct fo__ct_care *care, uint64_t now_ms);
/* One slice: entries of flows with traffic are asked for, and their time is renewed. Returns whether the pass goes on. */
int fo__ct_care_slice(struct fo__ct_care *care, const struct fo__ct_flows *flows);

/* Between both. */
uint32_t fo__ct_now_s(void);
uint32_t fo__ct_idle_s(uint32_t timeout_ms);
uint32_t fo__ct_enough_s(const struct fo__ct_kept *kept);
uint32_t fo__ct_look_s(uint8_t proto);

#endif
