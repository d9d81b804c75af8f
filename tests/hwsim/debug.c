// SPDX-License-Identifier: GPL-2.0
/* debug.c - debugfs, folder fo_hwsim: the rules and counters as the hardware has them, and what kind it is.
 *
 * rules           one line a rule: what it matches, what it does, its own counters; untold: packets not told yet
 * counters        one line a count; whatever is written sets them to 0
 * personality     nic or ppe; changed only while there are no rules
 * capacity        rules that fit
 * guards          bits of SIM_G_: which guards hardware that routes has
 * count_l3        Y: bytes from the IP header on; N: of the frame
 * The rest orders faults: faults.c.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "hwsim.h"

static struct dentry *folder;

int sim_text_write(char *text, size_t room, const char __user *from, size_t size)
{
	if (size >= room)
		return -EMSGSIZE;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	text[size] = 0;
	if (size && text[size - 1] == '\n')
		text[size - 1] = 0;
	return 0;
}

/* ---- rules ---- */

static void *rules_start(struct seq_file *seq, loff_t *position)
{
	return seq_list_start(sim_table_walk_begin(), *position);
}

static void *rules_next(struct seq_file *seq, void *at, loff_t *position)
{
	return seq_list_next(at, seq->private, position);
}

static void rules_stop(struct seq_file *seq, void *at)
{
	sim_table_walk_end();
}

static void show_match(struct seq_file *seq, const struct sim_key *key)
{
	unsigned int i;

	for (i = 0; i < key->tags; i++)
		seq_printf(seq, " tag=%04x:%u", ntohs(key->tpid[i]), ntohs(key->tci[i]) & 0xfff);
	if (key->has_session)
		seq_printf(seq, " session=%u", ntohs(key->session));
	if (key->proto == htons(ETH_P_IPV6))
		seq_printf(seq, " proto=%u src=%pI6c dst=%pI6c", key->l4, &key->src, &key->dst);
	else if (key->proto == htons(ETH_P_IP))
		seq_printf(seq, " proto=%u src=%pI4 dst=%pI4", key->l4, &key->src, &key->dst);
	seq_printf(seq, " sport=%u dport=%u", ntohs(key->sport), ntohs(key->dport));
}

static void show_act(struct seq_file *seq, const struct sim_act *act)
{
	static const char *const verdicts[] = {
		[SIM_FORWARD] = "forward",
		[SIM_TO_HOST] = "host",
		[SIM_DROP] = "drop",
	};
	unsigned int i;

	seq_printf(seq, " do=%s", verdicts[act->verdict]);
	if (act->out)
		seq_printf(seq, " out=%s", act->out->host->name);
	seq_printf(seq, " edits=%u pops=%u", act->edits, act->pops);
	for (i = 0; i < act->pushes; i++)
		seq_printf(seq, " push=%04x:%u", ntohs(act->push[i].tpid), ntohs(act->push[i].tci) & 0xfff);
	if (act->pppoe_push)
		seq_printf(seq, " push_session=%u", act->pppoe_session);
}

static int rules_show(struct seq_file *seq, void *at)
{
	const struct sim_rule *rule = list_entry(at, struct sim_rule, list);

	seq_printf(seq, "from=%s in=%s", rule->source == SIM_FLOWER ? "flower" : "flowtable",
		   rule->in->host->name);
	show_match(seq, &rule->match.key);
	show_act(seq, &rule->act);
	seq_printf(seq, " packets=%llu bytes=%llu idle_ms=%u untold=%llu\n", rule->packets, rule->bytes,
		   jiffies_to_msecs(jiffies - rule->used), rule->packets - rule->told_packets);
	return 0;
}

static const struct seq_operations rules_ops = {
	.start = rules_start,
	.next = rules_next,
	.stop = rules_stop,
	.show = rules_show,
};

static int rules_open(struct inode *inode, struct file *file)
{
	int err = seq_open(file, &rules_ops);

	if (!err) {
		((struct seq_file *)file->private_data)->private = sim_table_walk_begin();
		sim_table_walk_end();
	}
	return err;
}

static const struct file_operations rules_fops = {
	.owner = THIS_MODULE,
	.open = rules_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release,
};

/* ---- counters ---- */

static const char *const counters[SIM_N_COUNT] = {
	[SIM_N_FORWARDED] = "forwarded", [SIM_N_DROPPED] = "dropped",	  [SIM_N_LINK_DOWN] = "link_down",
	[SIM_N_MISSED] = "missed",	 [SIM_N_TRAPPED] = "trapped",	  [SIM_N_TTL] = "ttl",
	[SIM_N_FRAGMENT] = "fragment",	 [SIM_N_TCP_FLAGS] = "tcp_flags", [SIM_N_MTU] = "mtu",
	[SIM_N_TAGS] = "tags",		 [SIM_N_MULTICAST] = "multicast", [SIM_N_OPAQUE] = "opaque",
	[SIM_N_ADDED] = "added",	 [SIM_N_REFUSED] = "refused",	  [SIM_N_DELETED] = "deleted",
	[SIM_N_FLUSHED] = "flushed",	 [SIM_N_STATS] = "stats",
};

static int counters_show(struct seq_file *seq, void *unused)
{
	u64 count[SIM_N_COUNT];
	unsigned int i, rules;

	spin_lock_bh(&sim.lock);
	memcpy(count, sim.count, sizeof(count));
	rules = sim.rules;
	spin_unlock_bh(&sim.lock);
	seq_printf(seq, "rules %u\n", rules);
	for (i = 0; i < SIM_N_COUNT; i++)
		seq_printf(seq, "%s %llu\n", counters[i], count[i]);
	return 0;
}

static int counters_open(struct inode *inode, struct file *file)
{
	return single_open(file, counters_show, NULL);
}

static ssize_t counters_write(struct file *file, const char __user *from, size_t size, loff_t *offset)
{
	spin_lock_bh(&sim.lock);
	memset(sim.count, 0, sizeof(sim.count));
	spin_unlock_bh(&sim.lock);
	return size;
}

static const struct file_operations counters_fops = {
	.owner = THIS_MODULE,
	.open = counters_open,
	.read = seq_read,
	.write = counters_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* ---- personality ---- */

static const char *const kinds[] = {
	[SIM_NIC] = "nic",
	[SIM_PPE] = "ppe",
};

static ssize_t personality_write(struct file *file, const char __user *from, size_t size, loff_t *offset)
{
	char text[16];
	int err = sim_text_write(text, sizeof(text), from, size), found;

	if (err)
		return err;
	found = match_string(kinds, ARRAY_SIZE(kinds), text);
	if (found < 0)
		return found;
	spin_lock_bh(&sim.lock);
	if (sim.rules)
		err = -EBUSY;
	else
		WRITE_ONCE(sim.kind, found);
	spin_unlock_bh(&sim.lock);
	return err ? err : size;
}

static ssize_t personality_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	char text[16];
	int length = scnprintf(text, sizeof(text), "%s\n", kinds[READ_ONCE(sim.kind)]);

	return simple_read_from_buffer(to, size, offset, text, length);
}

static const struct file_operations personality_fops = {
	.owner = THIS_MODULE,
	.read = personality_read,
	.write = personality_write,
};

void sim_debug_open(void)
{
	/* Where debugfs is missing these are errors, which all of the calls below accept. */
	folder = debugfs_create_dir("fo_hwsim", NULL);
	debugfs_create_file("rules", 0400, folder, NULL, &rules_fops);
	debugfs_create_file("counters", 0600, folder, NULL, &counters_fops);
	debugfs_create_file("personality", 0600, folder, NULL, &personality_fops);
	debugfs_create_u32("capacity", 0600, folder, &sim.capacity);
	debugfs_create_x32("guards", 0600, folder, &sim.guards);
	debugfs_create_bool("count_l3", 0600, folder, &sim.count_l3);
	sim_faults_files(folder);
}

void sim_debug_close(void)
{
	debugfs_remove_recursive(folder);
}
