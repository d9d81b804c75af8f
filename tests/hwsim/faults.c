// SPDX-License-Identifier: GPL-2.0
/* faults.c - what goes wrong because a test ordered it: adds that fail, slowness, things the hardware is without,
 * statistics that are refused or lost. A full table is the file `capacity` (debug.c).
 */
#include <linux/debugfs.h>
#include <linux/delay.h>

#include "hwsim.h"

struct sim_delays sim_delays;
static u32 mode = SIM_STATS_ON;

/* The order for adds to come: let some pass, then fail some. */
static struct {
	spinlock_t lock;
	int error;
	u32 skip, count;
	char words[80]; /* the kernel reads them after the call: the end is always 0 */
} order = {.lock = __SPIN_LOCK_UNLOCKED(order.lock)};

void sim_wait(u32 ms)
{
	if (ms)
		msleep(ms);
}

enum sim_stats_mode sim_stats_mode(void)
{
	return READ_ONCE(mode);
}

int sim_fault_add(struct netlink_ext_ack *extack)
{
	int err = 0;

	spin_lock(&order.lock);
	if (order.skip) {
		order.skip--;
	} else if (order.count) {
		order.count--;
		err = -order.error;
	}
	spin_unlock(&order.lock);
	if (err && extack)
		extack->_msg = order.words;
	return err;
}

/* "ERRNO [SKIP [COUNT [WORDS...]]]"; 0 takes the order back. */
static ssize_t fail_write(struct file *file, const char __user *from, size_t size, loff_t *offset)
{
	char text[256];
	unsigned int error, skip = 0, count = 1;
	int err = sim_text_write(text, sizeof(text), from, size), words = 0;

	if (err)
		return err;
	if (sscanf(text, "%u %u %u %n", &error, &skip, &count, &words) < 1 || error > MAX_ERRNO)
		return -EINVAL;
	spin_lock(&order.lock);
	order.error = error;
	order.skip = error ? skip : 0;
	order.count = error ? count : 0;
	strscpy(order.words, words && text[words] ? text + words : "Refused as ordered", sizeof(order.words));
	spin_unlock(&order.lock);
	return size;
}

static ssize_t fail_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	char text[160];
	int length;

	spin_lock(&order.lock);
	length = scnprintf(text, sizeof(text), "%d %u %u %s\n", order.error, order.skip, order.count,
			   order.words);
	spin_unlock(&order.lock);
	return simple_read_from_buffer(to, size, offset, text, length);
}

static const struct file_operations fail_fops = {
	.owner = THIS_MODULE,
	.read = fail_read,
	.write = fail_write,
};

/* ---- What the hardware is without ---- */

static bool has_edit(const struct sim_act *act, enum sim_layer layer, unsigned int from, unsigned int to)
{
	unsigned int i;

	for (i = 0; i < act->edits; i++)
		if (act->edit[i].layer == layer && act->edit[i].offset >= from && act->edit[i].offset <= to)
			return true;
	return false;
}

static bool is_v6(const struct sim_rule *rule)
{
	return rule->match.key.proto == htons(ETH_P_IPV6);
}

static bool needs_ipv4(const struct sim_rule *rule)
{
	return rule->match.key.proto == htons(ETH_P_IP);
}

static bool needs_tcp(const struct sim_rule *rule)
{
	return rule->match.key.l4 == IPPROTO_TCP;
}

static bool needs_udp(const struct sim_rule *rule)
{
	return rule->match.key.l4 == IPPROTO_UDP;
}

static bool needs_vlan(const struct sim_rule *rule)
{
	return rule->match.key.tags || rule->act.pops || rule->act.pushes;
}

static bool needs_qinq(const struct sim_rule *rule)
{
	return rule->match.key.tags > 1 || rule->act.pops > 1 || rule->act.pushes > 1;
}

static bool needs_pppoe(const struct sim_rule *rule)
{
	return rule->match.key.has_session || rule->act.pppoe_push;
}

static bool needs_nat(const struct sim_rule *rule)
{
	return has_edit(&rule->act, SIM_L3, is_v6(rule) ? 8 : 12, U8_MAX) ||
	       has_edit(&rule->act, SIM_L4, 0, U8_MAX);
}

static bool needs_ttl(const struct sim_rule *rule)
{
	unsigned int at = is_v6(rule) ? 4 : 8;

	return has_edit(&rule->act, SIM_L3, at, at);
}

static bool needs_dscp(const struct sim_rule *rule)
{
	return has_edit(&rule->act, SIM_L3, 0, 0);
}

static bool needs_guards(const struct sim_rule *rule)
{
	return rule->act.verdict != SIM_FORWARD || !rule->match.exact;
}

static bool needs_police(const struct sim_rule *rule)
{
	return rule->act.police_mtu;
}

static const struct {
	const char *name;
	bool (*needs)(const struct sim_rule *rule);
	const char *words;
} abilities[] = {
	{"ipv4", needs_ipv4, "fo_hwsim: Told to be without IPv4"},
	{"ipv6", is_v6, "fo_hwsim: Told to be without IPv6"},
	{"tcp", needs_tcp, "fo_hwsim: Told to be without TCP"},
	{"udp", needs_udp, "fo_hwsim: Told to be without UDP"},
	{"vlan", needs_vlan, "fo_hwsim: Told to be without VLAN tags"},
	{"qinq", needs_qinq, "fo_hwsim: Told to be without a second VLAN tag"},
	{"pppoe", needs_pppoe, "fo_hwsim: Told to be without PPPoE"},
	{"nat", needs_nat, "fo_hwsim: Told to be without NAT"},
	{"ttl", needs_ttl, "fo_hwsim: Told to be without TTL edits"},
	{"dscp", needs_dscp, "fo_hwsim: Told to be without DSCP edits"},
	{"guards", needs_guards, "fo_hwsim: Told to be without guards"},
	{"police", needs_police, "fo_hwsim: Told to be without policers"},
};

static unsigned long without;	    /* bits of abilities[] */
static unsigned long without_ports; /* ports that take no rule for what enters there */

int sim_fault_refuses(const struct sim_rule *rule, struct netlink_ext_ack *extack)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(abilities); i++) {
		if (!(READ_ONCE(without) & BIT(i)) || !abilities[i].needs(rule))
			continue;
		if (extack)
			extack->_msg = abilities[i].words;
		return -EOPNOTSUPP;
	}
	if (READ_ONCE(without_ports) & BIT(rule->in->index)) {
		NL_SET_ERR_MSG_MOD(extack, "Told to take no rule for this port");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* One word of `refuse`: an ability, or inN for a port. */
static int read_ability(const char *word, unsigned long *bits, unsigned long *ports)
{
	unsigned int i, port;
	int end = 0;

	if (sscanf(word, "in%u%n", &port, &end) == 1 && !word[end] && port < sim.ports) {
		*ports |= BIT(port);
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(abilities); i++) {
		if (!strcmp(abilities[i].name, word)) {
			*bits |= BIT(i);
			return 0;
		}
	}
	return -EINVAL;
}

static ssize_t refuse_write(struct file *file, const char __user *from, size_t size, loff_t *offset)
{
	unsigned long bits = 0, port_bits = 0;
	char text[256], *rest = text, *word;
	int err = sim_text_write(text, sizeof(text), from, size);

	while (!err && (word = strsep(&rest, " ")))
		if (*word)
			err = read_ability(word, &bits, &port_bits);
	if (err)
		return err;
	WRITE_ONCE(without, bits);
	WRITE_ONCE(without_ports, port_bits);
	return size;
}

static ssize_t refuse_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	char text[256];
	int length = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(abilities); i++)
		if (READ_ONCE(without) & BIT(i))
			length += scnprintf(text + length, sizeof(text) - length, "%s ", abilities[i].name);
	for (i = 0; i < sim.ports; i++)
		if (READ_ONCE(without_ports) & BIT(i))
			length += scnprintf(text + length, sizeof(text) - length, "in%u ", i);
	length += scnprintf(text + length, sizeof(text) - length, "\n");
	return simple_read_from_buffer(to, size, offset, text, length);
}

static const struct file_operations refuse_fops = {
	.owner = THIS_MODULE,
	.read = refuse_read,
	.write = refuse_write,
};

/* ---- Statistics ---- */

static const char *const modes[] = {
	[SIM_STATS_ON] = "on",
	[SIM_STATS_REFUSED] = "refused",
	[SIM_STATS_LOST] = "lost",
};

static ssize_t stats_write(struct file *file, const char __user *from, size_t size, loff_t *offset)
{
	char text[16];
	int err = sim_text_write(text, sizeof(text), from, size), found;

	if (err)
		return err;
	found = match_string(modes, ARRAY_SIZE(modes), text);
	if (found < 0)
		return found;
	WRITE_ONCE(mode, found);
	return size;
}

static ssize_t stats_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	char text[16];
	int length = scnprintf(text, sizeof(text), "%s\n", modes[READ_ONCE(mode)]);

	return simple_read_from_buffer(to, size, offset, text, length);
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.read = stats_read,
	.write = stats_write,
};

void sim_faults_files(struct dentry *folder)
{
	debugfs_create_file("fail", 0600, folder, NULL, &fail_fops);
	debugfs_create_file("refuse", 0600, folder, NULL, &refuse_fops);
	debugfs_create_file("stats", 0600, folder, NULL, &stats_fops);
	debugfs_create_u32("delay_add_ms", 0600, folder, &sim_delays.add_ms);
	debugfs_create_u32("delay_delete_ms", 0600, folder, &sim_delays.delete_ms);
	debugfs_create_u32("delay_stats_ms", 0600, folder, &sim_delays.stats_ms);
}
