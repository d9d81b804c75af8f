/* SPDX-License-Identifier: BSD-2-Clause */
/* demo.h - the verbs of fo-demo and what they agree on.
 *
 * Each verb is one function in one file: main.c finds it by its name and gives it the rest of the command
 * line, the verb itself in argv[0]. What they print goes through out.h.
 */
#ifndef FO_DEMO_DEMO_H
#define FO_DEMO_DEMO_H

/* Exit codes of fo-demo. */
enum demo_exit {
	DEMO_OK = 0,
	DEMO_FAILED = 1, /* it was tried and did not work; standard error says why */
	DEMO_USAGE = 2	 /* the command line is wrong; nothing was done */
};

int cmd_replay(int argc, char **argv); /* replay.c */
int cmd_router(int argc, char **argv); /* router.c */
int cmd_probe(int argc, char **argv);  /* probe.c */
int cmd_bench(int argc, char **argv);  /* bench.c */
int cmd_serve(int argc, char **argv);  /* serve.c */
/* ask.c */
int cmd_add(int argc, char **argv);
int cmd_del(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_clean(int argc, char **argv);

#endif /* FO_DEMO_DEMO_H */
