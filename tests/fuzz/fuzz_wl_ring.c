/* A host that writes anything into the rings of the Wayland proxy. The input is a row of messages: two bytes of length, then what the
 * host writes to the start of the ring. Odd ones are also answers to a query. Three clients read pipes; the last has left. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "util/fd.h"
#include "util/macros.h"
#include "util/reader.h"
#include "wayland/channel.h"
#include "wayland/pump.h"

#define RING_SIZE 4096
#define PIPES     3

struct world {
	struct neep_loop *loop;
	struct neep_wl_pumps pumps;
	int clients[PIPES];
	uint8_t *ring; // on the heap, so that ASan sees every byte too many
	uint8_t *copy;
};

static int host_write(void *data, const uint8_t *command, size_t len, uint32_t lane, int *fence_fd) {
	(void)lane;
	(void)data;
	(void)command;
	(void)len;
	(void)fence_fd;
	return 0;
}

static void host_changed(void *data) {
	(void)data;
}

static const struct neep_wl_pumps_listener listener = { .write = host_write, .changed = host_changed };

static void start(struct world *world) {
	signal(SIGPIPE, SIG_IGN);
	world->loop = neep_loop_create();
	neep_assert(world->loop != NULL);
	neep_assert(neep_wl_pumps_init(&world->pumps, world->loop, &listener, NULL) == 0);
	for (size_t i = 0; i < PIPES; i++) {
		int ends[2];
		uint32_t id;
		neep_assert(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
		neep_assert(neep_wl_pumps_add_to_client(&world->pumps, ends[1], &id) == 0);
		world->clients[i] = ends[0];
	}
	neep_close_fd(&world->clients[PIPES - 1]);
	world->ring = calloc(1, RING_SIZE);
	world->copy = malloc(RING_SIZE);
}

static void finish(struct world *world) {
	neep_wl_pumps_finish(&world->pumps);
	for (size_t i = 0; i < PIPES; i++) {
		neep_close_fd(&world->clients[i]);
	}
	neep_loop_destroy(world->loop);
	free(world->ring);
	free(world->copy);
}

static void check_message(const struct world *world, const struct neep_wl_channel_message *message) {
	neep_assert(message->id_count <= NEEP_WL_CHANNEL_IDS_MAX);
	neep_assert(message->len <= RING_SIZE);
	neep_assert(message->bytes >= world->copy);
	neep_assert(message->bytes + message->len <= world->copy + RING_SIZE);
}

static void take(struct world *world) {
	struct neep_wl_channel_message message;
	uint8_t bytes[RING_SIZE];
	if (neep_wl_channel_take(world->ring, RING_SIZE, world->copy, &message) < 0) {
		return;
	}
	check_message(world, &message);
	if (message.kind == NEEP_WL_READ) {
		struct neep_wl_pump_read got = { message.pipe_id, message.bytes, message.len,
			message.hang_up };
		neep_wl_pumps_read(&world->pumps, &got);
	}
	/* The first client reads, the second does not. */
	(void)!read(world->clients[0], bytes, sizeof(bytes));
	neep_loop_step(world->loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct world world = { .loop = NULL };
	struct neep_reader in;
	start(&world);
	neep_reader_init(&in, data, size);
	while (neep_reader_left(&in) > 0 && neep_reader_ok(&in)) {
		size_t len = neep_reader_u16(&in) % (RING_SIZE + 1);
		size_t there = neep_reader_left(&in) < len ? neep_reader_left(&in) : len;
		neep_reader_copy(&in, world.ring, there);
		take(&world);
		if (len % 2 == 1) {
			struct neep_wl_channel_template template;
			int result = neep_wl_channel_answer(world.ring, &template);
			neep_assert(result < 0 || (template.size > 0 && template.blob_id > 0));
		}
	}
	finish(&world);
	return 0;
}
