#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asg/ring.h"
#include "renderer/renderer_internal.h"
#include "util/clock.h"

struct ring {
	struct neep_vk_transport transport;
	struct neep_renderer *renderer;
	struct neep_asg_ring *asg;
	struct neep_renderer_thread thread;
	struct neep_idmap_link link; // neep_renderer.rings, while it is served
	bool is_removed;             // not in neep_renderer.rings
	struct neep_list ended;      // neep_renderer.ended_rings
};

static struct ring *ring_from_link(struct neep_idmap_link *link) {
	return neep_container_of(link, struct ring, link);
}

static int64_t transport_read(struct neep_vk_transport *transport, void *buf, size_t len) {
	return neep_asg_ring_read(neep_container_of(transport, struct ring, transport)->asg, buf, len);
}

static int transport_write(struct neep_vk_transport *transport, const void *buf, size_t len) {
	return neep_asg_ring_write(neep_container_of(transport, struct ring, transport)->asg, buf, len);
}

static const struct neep_vk_transport_impl transport_impl = {
	.read = transport_read,
	.write = transport_write,
};

static void tell_end(struct ring *ring) {
	struct neep_renderer *renderer = ring->renderer;
	pthread_mutex_lock(&renderer->lock);
	neep_list_append(&renderer->ended_rings, &ring->ended);
	pthread_mutex_unlock(&renderer->lock);
	neep_eventfd_signal(renderer->events.fd);
}

static void *serve(void *data) {
	struct ring *ring = data;
	int result = neep_vk_serve(ring->renderer->vk, &ring->transport);
	if (result < 0 && result != -ECANCELED) {
		char reason[NEEP_WORKER_REASON_SIZE];
		snprintf(reason, sizeof(reason), "command ring %u cannot be served: %s",
			(uint32_t)ring->link.id, strerror(-result));
		neep_renderer_lose(ring->renderer, reason);
	}
	tell_end(ring);
	return NULL;
}

static void ring_free(struct ring *ring) {
	neep_asg_ring_destroy(ring->asg);
	free(ring);
}

/* NULL with `error` set. */
static struct ring *ring_create(struct neep_renderer *renderer, const struct neep_worker_ring_add *add,
	int owned_memory_fd, struct neep_error *error) {
	neep_autoclose int memory_fd = owned_memory_fd;
	struct neep_asg_options options = {
		.spin_ns = renderer->options->spin_us * NEEP_NS_PER_US,
		.had_consumer = renderer->options->is_lost,
	};
	struct ring *ring = calloc(1, sizeof(*ring));
	if (ring == NULL) {
		neep_error_set(error, ENOMEM, "cannot serve a ring");
		return NULL;
	}
	*ring = (struct ring){
		.transport = { .impl = &transport_impl },
		.renderer = renderer,
	};
	ring->asg = neep_asg_ring_create(neep_steal_fd(&memory_fd), add->size, &options, error);
	if (ring->asg == NULL) {
		ring_free(ring);
		return NULL;
	}
	return ring;
}

/* Consumes the ring when it fails. */
static int ring_start(struct ring *ring, uint32_t resource_id, struct neep_error *error) {
	struct neep_renderer *renderer = ring->renderer;
	char name[NEEP_WORKER_NAME_SIZE];
	snprintf(name, sizeof(name), "ring %u", resource_id);
	neep_idmap_insert(&renderer->rings, resource_id, &ring->link);
	int result = neep_renderer_thread_start(&ring->thread, name, serve, ring);
	if (result < 0) {
		neep_idmap_remove(&renderer->rings, &ring->link);
		ring_free(ring);
		return neep_error_set(error, -result, "cannot start a thread");
	}
	renderer->ring_count++;
	return 0;
}

void neep_renderer_ring_add(
	struct neep_renderer *renderer, const struct neep_worker_ring_add *add, int owned_memory_fd) {
	struct neep_error error = { 0 };
	if (neep_idmap_find(&renderer->rings, add->resource_id) != NULL) {
		neep_close_fd(&owned_memory_fd);
		return;
	}
	struct ring *ring = ring_create(renderer, add, owned_memory_fd, &error);
	if (ring == NULL || ring_start(ring, add->resource_id, &error) < 0) {
		/* A guest thread would wait at it for ever. */
		char reason[NEEP_WORKER_REASON_SIZE];
		snprintf(reason, sizeof(reason), "command ring %u cannot be served: %s", add->resource_id,
			error.text);
		neep_renderer_lose(renderer, reason);
	}
}

static void stop(struct ring *ring) {
	neep_idmap_remove(&ring->renderer->rings, &ring->link);
	ring->is_removed = true;
	neep_asg_ring_stop(ring->asg);
}

void neep_renderer_ring_remove(struct neep_renderer *renderer, uint32_t resource_id) {
	struct neep_idmap_link *link = neep_idmap_find(&renderer->rings, resource_id);
	if (link != NULL) {
		stop(ring_from_link(link));
	}
}

void neep_renderer_rings_stop(struct neep_renderer *renderer) {
	struct neep_idmap_link *link;
	while ((link = neep_idmap_next(&renderer->rings, NULL)) != NULL) {
		stop(ring_from_link(link));
	}
}

static struct ring *take_ended(struct neep_renderer *renderer) {
	struct ring *ring = NULL;
	pthread_mutex_lock(&renderer->lock);
	if (!neep_list_is_empty(&renderer->ended_rings)) {
		ring = neep_container_of(renderer->ended_rings.next, struct ring, ended);
		neep_list_remove(&ring->ended);
	}
	pthread_mutex_unlock(&renderer->lock);
	return ring;
}

void neep_renderer_rings_reap(struct neep_renderer *renderer) {
	struct ring *ring;
	while ((ring = take_ended(renderer)) != NULL) {
		/* It has said that it ends: this does not wait. */
		neep_renderer_thread_join(&ring->thread);
		if (!ring->is_removed) {
			neep_idmap_remove(&renderer->rings, &ring->link);
		}
		renderer->ring_count--;
		ring_free(ring);
	}
}
