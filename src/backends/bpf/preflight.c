/* SPDX-License-Identifier: BSD-2-Clause */
/* preflight.c - what loses packets, or hides them, without a word: as warnings, each with its remedy. See guard.h.
 *
 * Looked for when a device is attached. A warning is told to fo_bpf_options.warn; how many there were, fo_caps.text says.
 */
#include "backends/bpf/guard.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static __attribute__((format(printf, 4, 5))) void warn(struct fo__bpf *bpf, const struct fo__link *link,
						       uint32_t kind, const char *format, ...)
{
	struct fo_bpf_warning warning;
	va_list args;

	FO_INIT(&warning);
	warning.port = link->index;
	warning.kind = kind;
	snprintf(warning.device, sizeof(warning.device), "%s", link->name);
	va_start(args, format);
	vsnprintf(warning.text, sizeof(warning.text), format, args);
	va_end(args);
	bpf->n_warnings++;
	if (bpf->warn)
		bpf->warn(bpf->warn_ctx, &warning);
}

/* One of ethtool's values; -1 when the device does not say. In the namespace that the thread is in. */
static int ethtool_value(const char *name, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq ask = {.ifr_data = (char *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), answer = -1;

	snprintf(ask.ifr_name, sizeof(ask.ifr_name), "%s", name);
	if (fd >= 0 && !ioctl(fd, SIOCETHTOOL, &ask))
		answer = (int)value.data;
	if (fd >= 0)
		close(fd);
	return answer;
}

/* The other end of a veth, where it can be looked at. */
static bool peer_here(struct fo__bpf *bpf, const struct fo__link *link, struct fo__link *peer)
{
	return !strcmp(link->kind, "veth") && link->peer && link->peer_netns < 0 &&
	       !fo__link_get(&bpf->links->ask, link->peer, peer);
}

static void check_loss(struct fo__bpf *bpf, struct fo__bpf_device *device, const struct fo__link *link)
{
	struct fo__link peer = {.name = "its peer"};
	enum fo__bpf_proven proven = fo__bpf_prove_device(bpf, device);

	(void)peer_here(bpf, link, &peer);
	if (proven == FO__BPF_LOSES && !strcmp(link->kind, "veth"))
		warn(bpf, link, FO_BPF_WARN_LOSES,
		     "what XDP sends out of %s is lost: %s has neither GRO nor XDP; ethtool -K %s gro on, or "
		     "attach at TC; no flow is added over it until then",
		     link->name, peer.name, peer.index ? peer.name : "PEER");
	else if (proven == FO__BPF_LOSES)
		warn(bpf, link, FO_BPF_WARN_LOSES,
		     "what XDP sends out of %s is lost: its driver has no queue for such frames; attach a "
		     "program at its XDP, or attach at TC; no flow is added over it until then",
		     link->name);
	else if (proven == FO__BPF_UNPROVEN)
		warn(bpf, link, FO_BPF_WARN_UNPROVEN,
		     "whether %s takes what XDP sends to it cannot be found out: the kernel lacks live "
		     "frames "
		     "(5.18) or tracepoints, or the process CAP_PERFMON; its flows are PARTIAL",
		     link->name);
}

static void check_frames(struct fo__bpf *bpf, const struct fo__bpf_device *device,
			 const struct fo__link *link)
{
	struct fo__link peer;
	bool known = peer_here(bpf, link, &peer);

	/* The sender left the checksum to its device: TC knows, XDP sees an unfinished one. */
	if (fo__bpf_is_virtual(link->index) && !(known && !ethtool_value(peer.name, ETHTOOL_GTXCSUM)))
		warn(bpf, link, FO_BPF_WARN_CHECKSUM,
		     "%s is virtual: frames with a checksum left to the device come with it unfinished, and "
		     "XDP spoils them; ethtool -K %s tx off at whoever sends to it, or attach at TC",
		     link->name, known ? peer.name : "DEV");
	if (device->hook == FO__BPF_HOOK_XDP && ethtool_value(link->name, ETHTOOL_GFLAGS) > 0 &&
	    (ethtool_value(link->name, ETHTOOL_GFLAGS) & ETH_FLAG_RXVLAN))
		warn(bpf, link, FO_BPF_WARN_VLAN,
		     "%s takes VLAN tags out of frames before XDP sees them: flows of tagged sides find no "
		     "packets; ethtool -K %s rxvlan off (veth: txvlan off at its peer), or attach at TC",
		     link->name, link->name);
	if (device->frags)
		warn(bpf, link, FO_BPF_WARN_FRAGS,
		     "the MTU of %s (%u) takes several buffers a frame: ports that cannot send such lose "
		     "them; "
		     "lower it, or attach at TC",
		     link->name, link->mtu);
}

void fo__bpf_preflight(struct fo__bpf *bpf, struct fo__bpf_device *device)
{
	bool xdp = device->hook == FO__BPF_HOOK_XDP;
	struct fo__link link;

	if (fo__link_get(&bpf->links->ask, device->port, &link))
		return; /* gone already: the notice of it is on its way */
	if (device->owner[0])
		warn(bpf, &link, FO_BPF_WARN_OWNER,
		     "XDP of %s belongs to %s: attached by %s instead; detach it for the faster place",
		     link.name, device->owner, fo__bpf_hook_name(device->hook));
	if (xdp || device->hook == FO__BPF_HOOK_XDP_GENERIC)
		check_frames(bpf, device, &link);
	/* Whatever comes in by native XDP anywhere may leave here. */
	for (unsigned int i = 0; i < FO__BPF_DEVICES && !xdp; i++)
		xdp = bpf->devices[i].hook == FO__BPF_HOOK_XDP;
	if (xdp)
		check_loss(bpf, device, &link);
}
