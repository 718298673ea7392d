/* Waiting for syncobjs. A wait is a token as a fence is; it also may wait for a fence to be put somewhere, and ends when
 * nobody holds it any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "virtgpu/syncobj_internal.h"

/* The kernel has no limit; programs wait for a few. */
#define WAITS_MAX 4096

struct entry {
	struct neep_list link; // neep_node_syncobj.watchers, while there is no fence
	struct wait *wait;
	struct neep_node_syncobj *syncobj; // a reference
	uint64_t point;
	struct neep_node_waiter waiter;
	struct neep_node_fence *fence; // a reference; NULL: none yet
	bool is_done;
};

struct wait {
	struct neep_virtgpu_node *node;
	int near; // -1: nobody has the token yet
	struct neep_source source;
	uint32_t flags;
	uint32_t count;
	uint32_t done;
	bool is_being_made;
	struct entry entries[];
};

static void wait_destroy(struct wait *wait) {
	for (uint32_t i = 0; i < wait->count; i++) {
		struct entry *entry = &wait->entries[i];
		neep_list_remove(&entry->link);
		neep_list_remove(&entry->waiter.link);
		neep_node_fence_unref(entry->fence);
		neep_node_syncobj_unref(entry->syncobj);
	}
	neep_source_remove(&wait->source);
	neep_close_fd(&wait->near);
	free(wait);
}

static bool is_met(const struct wait *wait) {
	bool needs_all = (wait->flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL) != 0;
	return wait->done >= (needs_all ? wait->count : 1);
}

static uint32_t first_done(const struct wait *wait) {
	uint32_t i = 0;
	while (!wait->entries[i].is_done) {
		i++;
	}
	return i;
}

/* The one that is met last may be inside a walk over fences or watchers: what it frees are entries that are in no list. */
static void entry_done(struct entry *entry) {
	struct wait *wait = entry->wait;
	wait->done += entry->is_done ? 0 : 1;
	entry->is_done = true;
	if (wait->is_being_made || !is_met(wait)) {
		return;
	}
	const struct neep_virtgpu_signal signal = { .index = first_done(wait) };
	(void)!send(wait->near, &signal, sizeof(signal), MSG_NOSIGNAL | MSG_DONTWAIT);
	wait_destroy(wait);
}

static void fence_signalled(struct neep_node_waiter *waiter) {
	entry_done(neep_container_of(waiter, struct entry, waiter));
}

/* There may be a fence now. Returns whether there is. */
static bool look(struct entry *entry) {
	entry->fence = neep_node_syncobj_fence(entry->syncobj, entry->point);
	if (entry->fence == NULL) {
		return false;
	}
	neep_list_remove(&entry->link);
	if ((entry->wait->flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE) != 0) {
		entry_done(entry);
	} else {
		neep_node_fence_wait(entry->fence, &entry->waiter);
	}
	return true;
}

void neep_node_syncobj_changed(struct neep_node_syncobj *syncobj) {
	struct neep_list now;
	neep_list_init(&now);
	/* An entry that is done may take others of its wait along: one at a time. */
	while (!neep_list_is_empty(&syncobj->watchers)) {
		struct neep_list *link = syncobj->watchers.next;
		neep_list_remove(link);
		neep_list_append(&now, link);
	}
	while (!neep_list_is_empty(&now)) {
		struct entry *entry = neep_container_of(now.next, struct entry, link);
		neep_list_remove(&entry->link);
		if (!look(entry)) {
			neep_list_append(&syncobj->watchers, &entry->link);
		}
	}
}

/* ---- making one ---- */

/* What the two ioctls have in common. */
struct words {
	uint32_t count;
	uint32_t flags;
	const uint8_t *handles;
	const uint8_t *points; // NULL: all 0
};

static int fill_entry(
	struct wait *wait, struct entry *entry, struct neep_node_file *file, const struct words *words) {
	uint32_t handle, index = (uint32_t)(entry - wait->entries);
	memcpy(&handle, words->handles + index * sizeof(handle), sizeof(handle));
	if (words->points != NULL) {
		memcpy(&entry->point, words->points + index * sizeof(entry->point), sizeof(entry->point));
	}
	neep_list_init(&entry->link);
	neep_list_init(&entry->waiter.link);
	entry->waiter.signalled = fence_signalled;
	entry->wait = wait;
	entry->syncobj = neep_node_syncobj_find(file, handle);
	if (entry->syncobj == NULL) {
		return -ENOENT;
	}
	entry->syncobj->refs++;
	wait->count++;
	if (look(entry)) {
		return 0;
	}
	neep_list_append(&entry->syncobj->watchers, &entry->link);
	bool may_come = (words->flags & (DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT |
						DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE)) != 0;
	return may_come ? 0 : -EINVAL;
}

static void token_ready(struct neep_source *source, uint32_t events) {
	struct wait *wait = neep_container_of(source, struct wait, source);
	(void)events;
	/* Nobody waits any more; or somebody wrote to a token, and gets no other answer. */
	wait_destroy(wait);
}

static int hand_out(struct wait *wait, struct neep_node_call *call) {
	int fd = neep_node_token_create(
		wait->node, NEEP_VIRTGPU_TOKEN_FENCE, neep_node_random() << 32, &wait->near);
	if (fd < 0) {
		return fd;
	}
	call->fd_out = fd;
	call->flags_out = NEEP_VIRTGPU_ANSWER_WAIT;
	wait->source = (struct neep_source){ .fd = wait->near, .ready = token_ready };
	return neep_source_add(wait->node->loop, &wait->source, EPOLLIN);
}

/* Returns 1 when it is met at once, with *first set. */
static int start(struct neep_node_call *call, const struct words *words, uint32_t *first) {
	struct wait *wait = calloc(1, sizeof(*wait) + words->count * sizeof(wait->entries[0]));
	if (wait == NULL) {
		return -ENOMEM;
	}
	wait->node = call->node;
	wait->near = -1;
	wait->flags = words->flags;
	wait->is_being_made = true;
	int result = 0;
	for (uint32_t i = 0; result == 0 && i < words->count; i++) {
		result = fill_entry(wait, &wait->entries[i], call->file, words);
	}
	wait->is_being_made = false;
	if (result == 0 && is_met(wait)) {
		*first = first_done(wait);
		result = 1;
	}
	if (result == 0) {
		result = hand_out(wait, call);
	}
	if (result != 0) {
		wait_destroy(wait);
	}
	return result;
}

static int check_words(const struct words *words) {
	const uint32_t known = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL | DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT |
			       DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE;
	if ((words->flags & ~known) != 0 || words->count == 0 || words->count > WAITS_MAX) {
		return -EINVAL;
	}
	return words->handles != NULL ? 0 : -EFAULT;
}

int neep_node_syncobj_wait(struct neep_node_call *call) {
	struct neep_drm_syncobj_wait wait;
	memcpy(&wait, call->data, sizeof(wait));
	struct words words = { .count = wait.count_handles, .flags = wait.flags };
	words.handles = neep_node_call_take(call, words.count, sizeof(uint32_t));
	int result = check_words(&words);
	result = result < 0 ? result : start(call, &words, &wait.first_signaled);
	memcpy(call->data, &wait, sizeof(wait));
	return result < 0 ? result : 0;
}

int neep_node_syncobj_timeline_wait(struct neep_node_call *call) {
	struct neep_drm_syncobj_timeline_wait wait;
	memcpy(&wait, call->data, sizeof(wait));
	struct words words = { .count = wait.count_handles, .flags = wait.flags };
	words.handles = neep_node_call_take(call, words.count, sizeof(uint32_t));
	words.points = neep_node_call_take(call, words.count, sizeof(uint64_t));
	int result = words.points == NULL ? -EFAULT : check_words(&words);
	result = result < 0 ? result : start(call, &words, &wait.first_signaled);
	memcpy(call->data, &wait, sizeof(wait));
	return result < 0 ? result : 0;
}
