/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/socket_index.h"

#include "base/hash.h"
#include "base/macros.h"

void socket_index_init(struct socket_index *index)
{
	*index = (struct socket_index){.seed = hash_seed_new()};
	hash_map_init(&index->entries);
	slab_init(&index->entry_slab, sizeof(struct inode_entry));
	slab_init(&index->holder_slab, sizeof(struct socket_holder));
	list_init(&index->used);
}

void socket_index_fini(struct socket_index *index)
{
	hash_map_fini(&index->entries);
	slab_fini(&index->entry_slab);
	slab_fini(&index->holder_slab);
}

static bool is_inode(const void *value, const void *key)
{
	return ((const struct inode_entry *)value)->inode == *(const uint64_t *)key;
}

static struct inode_entry *find_entry(const struct socket_index *index, uint64_t inode)
{
	return hash_map_find(&index->entries, hash_u64(index->seed, inode), is_inode, &inode);
}

void socket_index_remove_holder(struct socket_index *index, struct socket_holder *holder)
{
	holder->entry->holder_count--;
	list_remove(&holder->in_entry);
	list_remove(&holder->in_process);
	slab_give(&index->holder_slab, holder);
}

void socket_index_remove(struct socket_index *index, struct inode_entry *entry)
{
	uint64_t inode = entry->inode;

	hash_map_remove(&index->entries, hash_u64(index->seed, inode), is_inode, &inode);
	list_for_each_safe (node, &entry->holders) {
		struct socket_holder *holder = container_of(node, struct socket_holder, in_entry);

		/* That it was not seen in the last reading is no longer known. */
		holder->process->scan_generation = 0;
		socket_index_remove_holder(index, holder);
	}
	list_remove(&entry->used);
	slab_give(&index->entry_slab, entry);
}

static void remove_if_empty(struct socket_index *index, struct inode_entry *entry)
{
	if (entry->holder_count == 0 && !entry->has_more && entry != index->wanted)
		socket_index_remove(index, entry);
}

static void evict(struct socket_index *index)
{
	list_for_each (node, &index->used) {
		struct inode_entry *entry = container_of(node, struct inode_entry, used);

		if (entry != index->wanted) {
			socket_index_remove(index, entry);
			return;
		}
	}
}

struct inode_entry *socket_index_acquire(struct socket_index *index, uint64_t inode)
{
	struct inode_entry *entry = find_entry(index, inode);

	if (entry) {
		list_move_tail(&index->used, &entry->used);
		return entry;
	}
	if (index->entries.used >= SOCKET_INDEX_MOST_ENTRIES)
		evict(index);
	entry = slab_take(&index->entry_slab);
	if (!entry)
		return NULL;
	*entry = (struct inode_entry){.inode = inode};
	list_init(&entry->holders);
	list_init(&entry->used);
	if (hash_map_add(&index->entries, hash_u64(index->seed, inode), entry) < 0) {
		slab_give(&index->entry_slab, entry);
		return NULL;
	}
	list_add_tail(&index->used, &entry->used);
	return entry;
}

static bool is_older(const struct listed_process *a, const struct listed_process *b)
{
	if (a->id.start_ticks != b->id.start_ticks)
		return a->id.start_ticks < b->id.start_ticks;
	/* Within one tick (10 ms) a parent is older than its child whatever the numbers are. */
	if (b->parent == a->id.pid || a->parent == b->id.pid)
		return b->parent == a->id.pid;
	return a->id.pid < b->id.pid;
}

static void insert_by_age(struct inode_entry *entry, struct socket_holder *holder)
{
	struct list_node *before = &entry->holders;

	list_for_each (node, &entry->holders) {
		struct socket_holder *other = container_of(node, struct socket_holder, in_entry);

		if (is_older(holder->process, other->process)) {
			before = node;
			break;
		}
	}
	list_add_tail(before, &holder->in_entry);
	entry->holder_count++;
}

static void drop_youngest(struct socket_index *index, struct inode_entry *entry)
{
	struct list_node *last = entry->holders.previous;

	socket_index_remove_holder(index, container_of(last, struct socket_holder, in_entry));
	entry->has_more = true;
}

static struct socket_holder *find_holder(const struct inode_entry *entry,
					 const struct listed_process *process)
{
	list_for_each (node, &entry->holders) {
		struct socket_holder *holder = container_of(node, struct socket_holder, in_entry);

		if (holder->process == process)
			return holder;
	}
	return NULL;
}

void socket_index_add_holder(struct socket_index *index, uint64_t inode,
			     struct listed_process *process, int fd, uint64_t round,
			     uint64_t checked)
{
	struct inode_entry *entry = socket_index_acquire(index, inode);
	struct socket_holder *holder = entry ? find_holder(entry, process) : NULL;

	if (holder) {
		holder->fd = fd;
		holder->thread = 0;
		holder->round = round;
		return;
	}
	holder = entry ? slab_take(&index->holder_slab) : NULL;
	if (!holder)
		return;
	*holder = (struct socket_holder){
		.entry = entry, .process = process, .fd = fd, .round = round};
	list_init(&holder->in_entry);
	list_init(&holder->in_process);
	list_add_tail(&process->holders, &holder->in_process);
	insert_by_age(entry, holder);
	if (!entry->was_held)
		entry->checked = checked;
	entry->was_held = true;
	entry->nobody_ns = 0;
	entry->nobody_until_ns = 0;
	if (entry->holder_count > SOCKET_INDEX_MOST_HOLDERS)
		drop_youngest(index, entry);
}

void socket_index_drop_process(struct socket_index *index, struct listed_process *process,
			       uint64_t round)
{
	list_for_each_safe (node, &process->holders) {
		struct socket_holder *holder = container_of(node, struct socket_holder, in_process);
		struct inode_entry *entry = holder->entry;

		if (holder->round == round)
			continue;
		socket_index_remove_holder(index, holder);
		remove_if_empty(index, entry);
	}
}

struct socket_holder *socket_index_first_holder(const struct inode_entry *entry)
{
	struct list_node *node = list_first(&entry->holders);

	return node ? container_of(node, struct socket_holder, in_entry) : NULL;
}
