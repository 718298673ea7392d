/* Fences: what signals once, and what happens then. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "virtgpu/node_internal.h"

struct neep_node_fence *neep_node_fence_create(struct neep_virtgpu_node *node) {
	struct neep_node_fence *fence = calloc(1, sizeof(*fence));
	if (fence == NULL) {
		return NULL;
	}
	fence->refs = 1;
	fence->node = node;
	neep_list_init(&fence->waiters);
	neep_list_init(&fence->link);
	node->counts.fences++;
	return fence;
}

struct neep_node_fence *neep_node_fence_ref(struct neep_node_fence *fence) {
	fence->refs++;
	return fence;
}

static void leave_table(struct neep_node_fence *fence) {
	if (fence->by_id.id != 0) {
		neep_idmap_remove(&fence->node->fences, &fence->by_id);
		fence->by_id.id = 0;
	}
}

void neep_node_fence_unref(struct neep_node_fence *fence) {
	if (fence == NULL || --fence->refs > 0) {
		return;
	}
	/* Who waits holds a reference, or is told by somebody who does. */
	neep_assert(neep_list_is_empty(&fence->waiters));
	leave_table(fence);
	fence->node->counts.fences -= fence->is_signalled ? 0 : 1;
	free(fence);
}

static void tell_waiters(struct neep_node_fence *fence) {
	while (!neep_list_is_empty(&fence->waiters)) {
		struct neep_node_waiter *waiter =
			neep_container_of(fence->waiters.next, struct neep_node_waiter, link);
		neep_list_remove(&waiter->link);
		waiter->signalled(waiter);
	}
}

/* A waiter may signal the next fence, as those of the points of a timeline do, which are as many as a program likes: so all are
 * told from here, one fence after the other. */
void neep_node_fence_signal(struct neep_node_fence *fence) {
	struct neep_virtgpu_node *node = fence->node;
	if (fence->is_signalled) {
		return;
	}
	fence->is_signalled = true;
	node->counts.fences--;
	leave_table(fence);
	neep_list_append(&node->signalled, &neep_node_fence_ref(fence)->link);
	if (node->is_telling) {
		return;
	}
	node->is_telling = true;
	while (!neep_list_is_empty(&node->signalled)) {
		struct neep_node_fence *next =
			neep_container_of(node->signalled.next, struct neep_node_fence, link);
		neep_list_remove(&next->link);
		tell_waiters(next);
		neep_node_fence_unref(next);
	}
	node->is_telling = false;
}

struct neep_node_fence *neep_node_fence_create_done(struct neep_virtgpu_node *node) {
	struct neep_node_fence *fence = neep_node_fence_create(node);
	if (fence != NULL) {
		neep_node_fence_signal(fence);
	}
	return fence;
}

void neep_node_fence_wait(struct neep_node_fence *fence, struct neep_node_waiter *waiter) {
	neep_list_init(&waiter->link);
	if (fence->is_signalled) {
		waiter->signalled(waiter);
	} else {
		neep_list_append(&fence->waiters, &waiter->link);
	}
}

/* ---- merging ---- */

struct part {
	struct neep_node_waiter waiter;
	struct neep_node_fence *whole; // a reference
};

static void part_signalled(struct neep_node_waiter *waiter) {
	struct part *part = neep_container_of(waiter, struct part, waiter);
	struct neep_node_fence *whole = part->whole;
	free(part);
	if (--whole->parts == 0) {
		neep_node_fence_signal(whole);
	}
	neep_node_fence_unref(whole);
}

static int add_part(struct neep_node_fence *whole, struct neep_node_fence *fence) {
	struct part *part = calloc(1, sizeof(*part));
	if (part == NULL) {
		return -ENOMEM;
	}
	part->waiter.signalled = part_signalled;
	part->whole = neep_node_fence_ref(whole);
	whole->parts++;
	neep_node_fence_wait(fence, &part->waiter);
	return 0;
}

struct neep_node_fence *neep_node_fence_merge(
	struct neep_virtgpu_node *node, struct neep_node_fence *const *fences, size_t count) {
	struct neep_node_fence *whole = neep_node_fence_create(node);
	if (whole == NULL) {
		return NULL;
	}
	/* One part is this call: the whole must not signal before all are there. */
	whole->parts = 1;
	int result = 0;
	for (size_t i = 0; result == 0 && i < count; i++) {
		result = add_part(whole, fences[i]);
	}
	if (--whole->parts == 0) {
		neep_node_fence_signal(whole);
	}
	if (result < 0) {
		neep_node_fence_unref(whole);
		return NULL;
	}
	return whole;
}

/* ---- tokens ---- */

struct signaller {
	struct neep_node_waiter waiter;
	int near;
};

static void token_signalled(struct neep_node_waiter *waiter) {
	struct signaller *signaller = neep_container_of(waiter, struct signaller, waiter);
	const struct neep_virtgpu_signal signal = { 0 };
	/* Nobody left to hear it is fine. */
	(void)!send(signaller->near, &signal, sizeof(signal), MSG_NOSIGNAL | MSG_DONTWAIT);
	neep_close_fd(&signaller->near);
	free(signaller);
}

/* One that no fence has which has not signalled, and not 0, which tokens of other kinds have. */
static uint32_t next_token_id(struct neep_virtgpu_node *node) {
	do {
		node->next_token_id++;
	} while (node->next_token_id == 0 || neep_idmap_find(&node->fences, node->next_token_id) != NULL);
	return node->next_token_id;
}

int neep_node_fence_token(struct neep_node_fence *fence) {
	struct signaller *signaller = calloc(1, sizeof(*signaller));
	if (signaller == NULL) {
		return -ENOMEM;
	}
	if (fence->by_id.id == 0 && !fence->is_signalled) {
		neep_idmap_insert(&fence->node->fences, next_token_id(fence->node), &fence->by_id);
	}
	/* Tokens of one fence are told apart by the upper half: a name can be bound once. */
	uint64_t id = fence->is_signalled ? next_token_id(fence->node) : fence->by_id.id;
	int fd = neep_node_token_create(
		fence->node, NEEP_VIRTGPU_TOKEN_FENCE, id | (neep_node_random() << 32), &signaller->near);
	if (fd < 0) {
		free(signaller);
		return fd;
	}
	signaller->waiter.signalled = token_signalled;
	neep_node_fence_wait(fence, &signaller->waiter);
	return fd;
}

struct neep_node_fence *neep_node_fence_of_token(struct neep_virtgpu_node *node, int fd) {
	uint64_t id = neep_node_token_id(node, NEEP_VIRTGPU_TOKEN_FENCE, fd);
	if (id == 0) {
		return NULL;
	}
	struct neep_idmap_link *link = neep_idmap_find(&node->fences, (uint32_t)id);
	if (link != NULL) {
		return neep_node_fence_ref(neep_container_of(link, struct neep_node_fence, by_id));
	}
	return neep_node_fence_create_done(node);
}
