#include <stdlib.h>

#include "display/sinks.h"
#include "util/fd.h"
#include "util/macros.h"

struct none_sink {
	struct neep_sink base;
	int socket; // held, not used: QEMU spins when we close our end first; -1: none
};

static struct none_sink *none_from_base(struct neep_sink *sink) {
	return neep_container_of(sink, struct none_sink, base);
}

static void none_destroy(struct neep_sink *base) {
	struct none_sink *sink = none_from_base(base);
	neep_close_fd(&sink->socket);
	free(sink);
}

static void none_set_scanout(
	struct neep_sink *base, uint32_t scanout_id, struct neep_image *image, const struct neep_rect *rect) {
	(void)base;
	(void)scanout_id;
	(void)image;
	(void)rect;
}

static void none_damage(struct neep_sink *base, uint32_t scanout_id, const struct neep_rect *damage) {
	(void)base;
	(void)scanout_id;
	(void)damage;
}

static void none_settle(struct neep_sink *base, struct neep_image *image) {
	(void)base;
	(void)image;
}

static void none_set_socket(struct neep_sink *base, int owned_fd) {
	struct none_sink *sink = none_from_base(base);
	neep_close_fd(&sink->socket);
	sink->socket = owned_fd;
}

static const struct neep_sink_impl none_impl = {
	.name = "none",
	.destroy = none_destroy,
	.set_scanout = none_set_scanout,
	.damage = none_damage,
	.settle = none_settle,
	.set_socket = none_set_socket,
};

struct neep_sink *neep_none_sink_create(struct neep_loop *loop) {
	(void)loop;
	struct none_sink *sink = malloc(sizeof(*sink));
	if (sink == NULL) {
		return NULL;
	}
	*sink = (struct none_sink){ .base.impl = &none_impl, .socket = -1 };
	return &sink->base;
}
