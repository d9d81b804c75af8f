/* SPDX-License-Identifier: BSD-2-Clause */
/* pins.c - what a persistent table keeps in a folder of a BPF file system, for the next process. Neighbours: state.h,
 * adopt.c.
 *
 * One folder a layout: every map of the program, the arrays of user space, and the link of each device. It is locked by the
 * process that works with it. The map `config` says at last that all is there: without that word, what is there is what
 * a process left that was killed while it began, and goes. Nothing is touched that has a name which is none of these.
 */
#include "backends/bpf/state.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *const map_names[FO__BPF_MAPS] = {"flows4",	   "flows6",  "states",	 "ingress",
						    "adjacencies", "entries", "devices", "counters",
						    "events",	   "config"};
static const char *const array_names[FO__BPF_ARRAYS] = {"slots", "sides", "ingresses"};
static const char *const hook_names[] = {"", "xdp", "generic", "tcx", ""};

struct path {
	char text[FO__BPF_PATH + 32];
};

static struct path path_of(const struct fo__bpf *bpf, const char *name)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), "%s/%s", bpf->pins.path, name);
	return path;
}

static struct path link_path(const struct fo__bpf *bpf, uint32_t port, enum fo__bpf_hook hook)
{
	char name[32];

	snprintf(name, sizeof(name), "%s-%u", hook_names[hook], port);
	return path_of(bpf, name);
}

static int failed(struct fo_error *err, const char *path, const char *what)
{
	int code = errno;

	return fo__bpf_fail(err, code == EPERM || code == EACCES ? -EPERM : -EIO,
			    code == EPERM || code == EACCES ? FO_R_PERMISSION : FO_R_BACKEND, "pins", code,
			    "%.120s: %s failed", path, what);
}

/* ---- folders ---- */

static bool is_bpffs(const char *path)
{
	struct statfs stat;

	return !statfs(path, &stat) && (unsigned long)stat.f_type == BPF_FS_MAGIC;
}

/* It exists, or its parent is where it can be made. */
static int make_folder(const char *path, struct fo_error *err)
{
	char parent[FO__BPF_PATH], *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash && slash != parent)
		*slash = '\0';
	if (!is_bpffs(path) && (!slash || !access(path, F_OK) || !is_bpffs(parent)))
		return fo__bpf_fail(
			err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "pins", 0,
			"%.60s is not in a BPF file system: mount -t bpf bpf /sys/fs/bpf; 'ip netns "
			"exec' hides it, 'nsenter --net=FILE' does not",
			path);
	return mkdir(path, 0700) && errno != EEXIST ? failed(err, path, "mkdir") : 0;
}

static bool is_link_name(const char *name, uint32_t *port, enum fo__bpf_hook *hook)
{
	for (unsigned int i = 0; i < sizeof(hook_names) / sizeof(hook_names[0]); i++) {
		size_t length = strlen(hook_names[i]);
		char *end;

		if (!length || strncmp(name, hook_names[i], length) != 0 || name[length] != '-')
			continue;
		*port = (uint32_t)strtoul(name + length + 1, &end, 10);
		*hook = (enum fo__bpf_hook)i;
		return *port && !*end;
	}
	return false;
}

static bool is_ours(const char *name)
{
	enum fo__bpf_hook hook;
	uint32_t port;

	for (unsigned int i = 0; i < FO__BPF_MAPS; i++)
		if (!strcmp(name, map_names[i]))
			return true;
	for (unsigned int i = 0; i < FO__BPF_ARRAYS; i++)
		if (!strcmp(name, array_names[i]))
			return true;
	return is_link_name(name, &port, &hook);
}

static int foreign(const char *folder, const char *name, struct fo_error *err)
{
	unsigned int layout;
	char rest;

	if (sscanf(name, "v%u%c", &layout, &rest) == 1)
		return fo__bpf_fail(
			err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "pins", 0,
			"%.80s has flows of layout %u, this library's is %u: run the version that made "
			"it, or remove it",
			folder, layout, FO__BPF_LAYOUT);
	return fo__bpf_fail(
		err, -EBUSY, FO_R_IN_USE, "pins", 0,
		"%.80s has '%.40s', which is not this library's: give the table a folder of its own", folder,
		name);
}

/* Every name in the folder is known. Where own is given, it is the one name. */
static int check_names(const char *folder, const char *own, struct fo_error *err)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int code = 0;

	if (!dir)
		return failed(err, folder, "opendir");
	while (!code && (entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;

		if (!strcmp(name, ".") || !strcmp(name, "..") || (own ? !strcmp(name, own) : is_ours(name)))
			continue;
		code = foreign(folder, name, err);
	}
	closedir(dir);
	return code;
}

/* All that is ours in the folder; what leaves it, when it has no other name, ends. */
static void empty(const struct fo__bpf *bpf)
{
	DIR *dir = opendir(bpf->pins.path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (is_ours(entry->d_name))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}

static int lock(struct fo__bpf *bpf, struct fo_error *err)
{
	bpf->pins.folder = open(bpf->pins.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bpf->pins.folder < 0)
		return failed(err, bpf->pins.path, "open");
	bpf->pins.leave = true;
	if (!flock(bpf->pins.folder, LOCK_EX | LOCK_NB))
		return 0;
	close(bpf->pins.folder);
	bpf->pins.folder = -1;
	return fo__bpf_fail(
		err, -EBUSY, FO_R_IN_USE, "pins", errno,
		"a living process works with %.100s: end it, or give this table a folder of its own",
		bpf->pins.path);
}

/* ---- maps ---- */

/* A pinned map of this shape, or -1. entries 0: any number. */
static int open_map(const struct fo__bpf *bpf, const char *name, uint32_t value_size, uint32_t entries)
{
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info);
	char self[32], kind[32] = "";
	int fd = bpf_obj_get(path_of(bpf, name).text);

	if (fd < 0)
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (readlink(self, kind, sizeof(kind) - 1) > 0 && !strcmp(kind, "anon_inode:bpf-map") &&
	    !bpf_obj_get_info_by_fd(fd, &info, &length) && info.value_size == value_size &&
	    (!entries || info.max_entries == entries))
		return fd;
	close(fd);
	return -1;
}

static const struct {
	uint32_t value_size;
} maps[FO__BPF_MAPS] = {
	[FO__BPF_FLOWS4] = {sizeof(struct fo__bpf_flow4)},
	[FO__BPF_FLOWS6] = {sizeof(struct fo__bpf_flow6)},
	[FO__BPF_STATES] = {sizeof(struct fo__bpf_state)},
	[FO__BPF_INGRESS] = {sizeof(uint32_t)},
	[FO__BPF_ADJACENCIES] = {sizeof(uint32_t)},
	[FO__BPF_ENTRIES] = {sizeof(struct fo__bpf_entry)},
	[FO__BPF_DEVMAP] = {sizeof(struct bpf_devmap_val)},
	[FO__BPF_COUNTERS] = {sizeof(struct fo__bpf_counters)},
	[FO__BPF_EVENTS] = {0},
	[FO__BPF_CONFIG] = {sizeof(struct fo__bpf_config)},
};

static size_t array_size(enum fo__bpf_array array)
{
	return array == FO__BPF_SLOTS	     ? sizeof(struct fo__bpf_slot)
	       : array == FO__BPF_SIDE_ARRAY ? sizeof(struct fo__bpf_side)
					     : sizeof(struct fo__bpf_ingress);
}

/* The element of a map's array takes a multiple of eight bytes. */
_Static_assert(sizeof(struct fo__bpf_slot) % 8 == 0 && sizeof(struct fo__bpf_side) % 8 == 0 &&
		       sizeof(struct fo__bpf_ingress) % 8 == 0,
	       "arrays of the process and of the kernel have one stride");

static uint32_t array_count(const struct fo__bpf *bpf, enum fo__bpf_array array)
{
	return array == FO__BPF_SLOTS	     ? bpf->n_slots
	       : array == FO__BPF_SIDE_ARRAY ? FO__BPF_SIDES
					     : FO__BPF_INGRESSES;
}

static int find_maps(struct fo__bpf *bpf, struct fo_error *err)
{
	uint32_t directions = 2 * bpf->n_slots;
	const char *bad = NULL;

	for (unsigned int i = 0; i < FO__BPF_MAPS && !bad; i++) {
		bpf->pins.map[i] =
			open_map(bpf, map_names[i], maps[i].value_size, i <= FO__BPF_STATES ? directions : 0);
		bad = bpf->pins.map[i] < 0 ? map_names[i] : NULL;
	}
	for (unsigned int i = 0; i < FO__BPF_ARRAYS && !bad; i++) {
		bpf->pins.array[i] =
			open_map(bpf, array_names[i], (uint32_t)array_size(i), array_count(bpf, i));
		bad = bpf->pins.array[i] < 0 ? array_names[i] : NULL;
	}
	return bad ? fo__bpf_fail(err, -EBUSY, FO_R_IN_USE, "pins", 0,
				  "'%s' in %.80s is not what this library made: remove the folder", bad,
				  bpf->pins.path)
		   : 0;
}

static uint64_t netns_inode(const struct fo__bpf *bpf)
{
	struct stat stat_;

	if (bpf->netns >= 0 ? fstat(bpf->netns, &stat_) : stat("/proc/thread-self/ns/net", &stat_))
		return 0;
	return stat_.st_ino;
}

/* Whose, and how large, is what an earlier process left? */
static int check_config(struct fo__bpf *bpf, const struct fo__bpf_config *config, struct fo_error *err)
{
	if (config->layout != FO__BPF_LAYOUT)
		return fo__bpf_fail(err, -EOPNOTSUPP, FO_R_UNSUPPORTED, "pins", 0,
				    "%.80s has flows of layout %u, this library's is %u: remove it",
				    bpf->pins.path, config->layout, FO__BPF_LAYOUT);
	if (config->slots != bpf->n_slots)
		return fo__bpf_fail(
			err, -EINVAL, FO_R_ARGUMENT, "capacity", 0,
			"the flows in %.80s are of a table with %u slots, this one has %u: create it "
			"with the same capacity, or remove the folder",
			bpf->pins.path, config->slots, bpf->n_slots);
	if (config->netns != netns_inode(bpf))
		return fo__bpf_fail(
			err, -EINVAL, FO_R_ARGUMENT, "netns_fd", 0,
			"the flows in %.80s are of another network namespace: create the table there, "
			"or remove the folder",
			bpf->pins.path);
	return 0;
}

static int look(struct fo__bpf *bpf, struct fo_error *err)
{
	struct fo__bpf_config config = {.ready = 0};
	uint32_t zero = 0;
	int code, fd = open_map(bpf, map_names[FO__BPF_CONFIG], sizeof(config), 1);

	if (fd >= 0 && bpf_map_lookup_elem(fd, &zero, &config))
		config.ready = 0;
	if (fd >= 0)
		close(fd);
	if (!config.ready) {
		empty(bpf);
		bpf->pins.leave = false;
		return 0;
	}
	code = check_config(bpf, &config, err);
	if (!code)
		code = find_maps(bpf, err);
	bpf->pins.found = !code;
	return code;
}

int fo__bpf_pins_open(struct fo__bpf *bpf, const char *folder, struct fo_error *err)
{
	char own[16];
	int code;

	if (!folder)
		folder = FO_BPF_PINS;
	snprintf(own, sizeof(own), "v%u", FO__BPF_LAYOUT);
	if (snprintf(bpf->pins.path, sizeof(bpf->pins.path), "%s/%s", folder, own) >= (int)FO__BPF_PATH)
		return fo__bpf_fail(err, -EINVAL, FO_R_ARGUMENT, "pins", 0, "longer than %u characters",
				    FO__BPF_PATH - 8);
	code = make_folder(folder, err);
	if (!code)
		code = check_names(folder, own, err);
	if (!code)
		code = make_folder(bpf->pins.path, err);
	if (!code)
		code = lock(bpf, err);
	if (!code)
		code = check_names(bpf->pins.path, NULL, err);
	if (!code)
		code = look(bpf, err);
	return code;
}

static void *array_map(struct fo__bpf *bpf, enum fo__bpf_array array)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	uint32_t n = array_count(bpf, array);
	size_t size = array_size(array);
	void *memory;

	if (bpf->pins.array[array] < 0)
		bpf->pins.array[array] = bpf_map_create(BPF_MAP_TYPE_ARRAY, array_names[array],
							sizeof(uint32_t), (uint32_t)size, n, &options);
	if (bpf->pins.array[array] < 0)
		return NULL;
	memory = mmap(NULL, n * size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf->pins.array[array], 0);
	return memory == MAP_FAILED ? NULL : memory;
}

int fo__bpf_pins_arrays(struct fo__bpf *bpf, struct fo_error *err)
{
	bpf->slots = array_map(bpf, FO__BPF_SLOTS);
	bpf->sides = array_map(bpf, FO__BPF_SIDE_ARRAY);
	bpf->ingresses = array_map(bpf, FO__BPF_INGRESS_ARRAY);
	if (bpf->slots && bpf->sides && bpf->ingresses)
		return 0;
	return fo__bpf_fail(err, -ENOMEM, FO_R_MEMORY, "capacity", errno,
			    "the kernel gives no memory for %u flows that can outlive the process",
			    bpf->n_slots);
}

int fo__bpf_pins_maps(struct fo__bpf *bpf, struct fo_error *err)
{
	for (unsigned int i = 0; i < FO__BPF_MAPS; i++)
		if (bpf_obj_pin(bpf->map[i], path_of(bpf, map_names[i]).text))
			return failed(err, path_of(bpf, map_names[i]).text, "pinning");
	for (unsigned int i = 0; i < FO__BPF_ARRAYS; i++)
		if (bpf_obj_pin(bpf->pins.array[i], path_of(bpf, array_names[i]).text))
			return failed(err, path_of(bpf, array_names[i]).text, "pinning");
	return 0;
}

/* Links of devices that are not the table's any more. */
static void drop_strangers(const struct fo__bpf *bpf)
{
	DIR *dir = opendir(bpf->pins.path);
	enum fo__bpf_hook hook = FO__BPF_HOOK_NONE;
	struct dirent *entry;
	uint32_t port = 0;

	while (dir && (entry = readdir(dir)) != NULL) {
		bool used = false;

		if (!is_link_name(entry->d_name, &port, &hook))
			continue;
		for (unsigned int i = 0; i < FO__BPF_DEVICES; i++)
			used |= bpf->devices[i].port == port && bpf->devices[i].hook == hook;
		if (!used)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

int fo__bpf_pins_ready(struct fo__bpf *bpf, struct fo_error *err)
{
	uint32_t zero = 0;

	bpf->config.netns = netns_inode(bpf);
	bpf->config.slots = bpf->n_slots;
	bpf->config.ready = 1;
	drop_strangers(bpf);
	return bpf_map_update_elem(bpf->map[FO__BPF_CONFIG], &zero, &bpf->config, BPF_ANY)
		       ? failed(err, bpf->pins.path, "writing")
		       : 0;
}

static void unmap(void *memory, size_t n, size_t size)
{
	if (memory)
		(void)munmap(memory, n * size);
}

void fo__bpf_pins_close(struct fo__bpf *bpf)
{
	struct fo__bpf_pins *pins = &bpf->pins;
	char *slash;

	if (!pins->wanted)
		return;
	unmap(bpf->slots, bpf->n_slots, sizeof(*bpf->slots));
	unmap(bpf->sides, FO__BPF_SIDES, sizeof(*bpf->sides));
	unmap(bpf->ingresses, FO__BPF_INGRESSES, sizeof(*bpf->ingresses));
	bpf->slots = NULL;
	bpf->sides = NULL;
	bpf->ingresses = NULL;
	for (unsigned int i = 0; i < FO__BPF_ARRAYS; i++)
		if (pins->array[i] >= 0)
			close(pins->array[i]);
	for (unsigned int i = 0; i < FO__BPF_MAPS; i++)
		if (pins->map[i] >= 0)
			close(pins->map[i]);
	if (pins->folder < 0)
		return;
	if (!pins->leave) {
		empty(bpf);
		(void)rmdir(pins->path);
		slash = strrchr(pins->path, '/');
		*slash = '\0';
		(void)rmdir(pins->path); /* not when it holds anything else */
	}
	close(pins->folder);
}

/* ---- links ---- */

int fo__bpf_pin_link(const struct fo__bpf *bpf, const struct fo__bpf_device *device)
{
	if (!bpf->pins.wanted || device->link < 0)
		return 0;
	return bpf_obj_pin(device->link, link_path(bpf, device->port, device->hook).text);
}

int fo__bpf_pin_find(const struct fo__bpf *bpf, uint32_t port, enum fo__bpf_hook hook)
{
	return bpf->pins.found && hook_names[hook][0] ? bpf_obj_get(link_path(bpf, port, hook).text) : -1;
}

void fo__bpf_pin_drop(const struct fo__bpf *bpf, uint32_t port, enum fo__bpf_hook hook)
{
	if (bpf->pins.wanted && hook_names[hook][0])
		(void)unlink(link_path(bpf, port, hook).text);
}
