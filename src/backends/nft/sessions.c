/* SPDX-License-Identifier: BSD-2-Clause */
/* sessions.c - which Ethernet devices carry PPPoE sessions. See state.h.
 *
 * A ppp device does not tell over netlink what it stands on; /proc/net/pppoe lists the sessions with their devices, a line
 * each: "Id Address Device". Which session is which ppp device it does not say: all of them count as beneath.
 */
#include "backends/nft/state.h"

#include <stdio.h>

static void mark(struct fo__nft *nft, const char *name)
{
	for (size_t i = 0; i < nft->links.n; i++)
		if (!strcmp(nft->links.at[i].name, name))
			nft->links.at[i].sessions = 1;
}

static void read_sessions(struct fo__nft *nft)
{
	FILE *file = fopen("/proc/thread-self/net/pppoe", "re");
	char line[128], name[FO__NFT_NAME_SIZE];

	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*8s %*17s %15s", name) == 1)
			mark(nft, name);
	(void)fclose(file);
}

/* Not knowing them is no failure: a ppp device is then refused as a port, with the remedy. */
void fo__nft_sessions_read(struct fo__nft *nft)
{
	size_t i = 0;
	int back;

	while (i < nft->links.n && nft->links.at[i].kind != FO__NFT_PPP)
		i++;
	if (i == nft->links.n || fo__netns_enter(nft->netns, &back, NULL))
		return;
	read_sessions(nft);
	(void)fo__netns_leave(back);
}
