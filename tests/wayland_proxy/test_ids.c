/* Ids of the compositor's kind: the compositor gives out some, and the proxy others, to one client. */
#include <drm_fourcc.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/shm.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"
#include "wayland_proxy/compositor.h"

#define SIZE  65536
#define FIRST NEEP_WL_SERVER_IDS

static const struct rig_dmabufs dmabufs = { .render_device = 0xe280 };

/* A client with a data device, of which data offers come. */
struct desk {
	struct rig rig;
	uint32_t device;
	int memory;
};

static void start(struct desk *desk) {
	struct rig *rig = &desk->rig;
	rig_start_with_dmabufs(rig, &dmabufs);
	uint32_t seat = rig->next_id++, manager = rig->next_id++;
	desk->device = rig->next_id++;
	desk->memory = rig_make_memory(SIZE);
	rig_bind(rig, &(struct rig_binding){ GLOBAL_SEAT, "wl_seat", 5 }, seat);
	rig_bind(rig, &(struct rig_binding){ GLOBAL_DATA_DEVICES, "wl_data_device_manager", 3 }, manager);
	rig_send(rig, manager, WL_DATA_DEVICE_MANAGER_GET_DATA_DEVICE, desk->device, seat);
	rig_settle(rig);
	assert_false(rig->has_ended);
}

static void stop(struct desk *desk) {
	assert_false(desk->rig.has_ended);
	rig_stop(&desk->rig);
	close(desk->memory);
}

/* The word of the last event of this kind. */
static uint32_t last_word(const struct rig *rig, uint32_t id, uint32_t opcode) {
	const uint32_t *last = NULL;
	for (const uint32_t *words = rig_next_event(rig, NULL, id, opcode); words != NULL;
		words = rig_next_event(rig, words, id, opcode)) {
		last = words;
	}
	assert_non_null(last);
	return last[0];
}

/* The compositor offers data with its so many'th id. Returns the client's. */
static uint32_t offer(struct desk *desk, uint32_t number) {
	struct rig *rig = &desk->rig;
	const struct rig_making making = { &wl_data_offer_interface, number };
	rig_make(rig, rig_host_id(rig, desk->device), WL_DATA_DEVICE_DATA_OFFER, &making);
	uint32_t id = last_word(rig, desk->device, WL_DATA_DEVICE_DATA_OFFER);
	assert_int_equal(rig_host_id(rig, id), FIRST + number);
	return id;
}

/* The proxy makes a buffer. Returns the client's id. */
static uint32_t create(struct desk *desk) {
	struct rig *rig = &desk->rig;
	uint32_t params = rig_create_params(rig);
	rig_add_plane(rig, params, &(struct rig_plane){ .fd = desk->memory, .stride = RIG_STRIDE });
	rig_send(rig, params, CREATE, RIG_WIDTH, RIG_HEIGHT, DRM_FORMAT_XRGB8888, 0);
	rig_settle(rig);
	uint32_t id = last_word(rig, params, ZWP_LINUX_BUFFER_PARAMS_V1_CREATED);
	rig_destroy(rig, params, PARAMS_DESTROY);
	rig_settle(rig);
	assert_null(rig_next_event(rig, NULL, params, ZWP_LINUX_BUFFER_PARAMS_V1_FAILED));
	return id;
}

static void destroy_offer(struct desk *desk, uint32_t id) {
	rig_destroy(&desk->rig, id, WL_DATA_OFFER_DESTROY);
	rig_settle(&desk->rig);
	assert_int_equal(rig_deleted(&desk->rig, id), 0);
}

static void destroy_buffer(struct desk *desk, uint32_t id) {
	rig_destroy(&desk->rig, id, WL_BUFFER_DESTROY);
	rig_settle(&desk->rig);
	// Ids of this kind are free without a word.
	assert_int_equal(rig_deleted(&desk->rig, id), 0);
}

static void created_buffer_is_shown_as_others_are(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	struct rig *rig = &desk.rig;
	assert_int_equal(pwrite(desk.memory, "pixel", 5, 0), 5);
	uint32_t buffer = create(&desk), surface = rig_create_surface(rig);
	assert_int_equal(buffer, FIRST);
	rig_attach(rig, surface, buffer);
	rig_damage_buffer(rig, surface, 0, 0, RIG_WIDTH, RIG_HEIGHT);
	rig_commit(rig, surface);
	rig_settle(rig);
	uint32_t host_id = rig_host_id(rig, buffer);
	assert_true(host_id < FIRST);
	assert_memory_equal(rig_thing(rig, buffer)->memory->data, "pixel", 5);
	rig_release(rig, host_id);
	assert_non_null(rig_next_event(rig, NULL, buffer, WL_BUFFER_RELEASE));
	destroy_buffer(&desk, buffer);
	assert_null(rig->compositor->things[host_id].interface);
	assert_int_equal(create(&desk), FIRST);
	stop(&desk);
}

static void objects_of_both_makers_have_ids_without_holes(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	struct rig *rig = &desk.rig;
	assert_int_equal(offer(&desk, 0), FIRST);
	assert_int_equal(create(&desk), FIRST + 1);
	assert_int_equal(offer(&desk, 1), FIRST + 2);
	assert_int_equal(create(&desk), FIRST + 3);
	// What is said of the compositor's reaches them, both ways.
	uint32_t selection = FIRST + 1, kind = WL_DATA_DEVICE_MANAGER_DND_ACTION_COPY;
	rig_event(rig, rig_host_id(rig, desk.device), WL_DATA_DEVICE_SELECTION, -1, 1, &selection);
	assert_int_equal(last_word(rig, desk.device, WL_DATA_DEVICE_SELECTION), FIRST + 2);
	rig_event(rig, FIRST + 1, WL_DATA_OFFER_ACTION, -1, 1, &kind);
	assert_int_equal(last_word(rig, FIRST + 2, WL_DATA_OFFER_ACTION), kind);
	destroy_offer(&desk, FIRST + 2);
	assert_null(rig->compositor->servers_things[1].interface);
	assert_non_null(rig->compositor->servers_things[0].interface);
	stop(&desk);
}

static void ids_are_used_again_when_their_objects_have_gone(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	assert_int_equal(create(&desk), FIRST);
	assert_int_equal(offer(&desk, 0), FIRST + 1);
	assert_int_equal(create(&desk), FIRST + 2);
	// The proxy's own is free at once, be it for the compositor's next.
	destroy_buffer(&desk, FIRST);
	assert_int_equal(offer(&desk, 1), FIRST);
	// The compositor's is when the compositor says so.
	destroy_offer(&desk, FIRST + 1);
	assert_int_equal(create(&desk), FIRST + 3);
	assert_int_equal(offer(&desk, 0), FIRST + 1);
	for (int round = 0; round < 3; round++) {
		destroy_offer(&desk, FIRST);
		destroy_buffer(&desk, FIRST + 3);
		assert_int_equal(create(&desk), FIRST + 3);
		assert_int_equal(offer(&desk, 1), FIRST);
	}
	stop(&desk);
}

/* While the compositor still has it, its id is not given to another. */
static void id_of_a_shown_buffer_is_free_when_the_compositor_has_deleted_its_half(void **state) {
	(void)state;
	struct desk desk;
	start(&desk);
	struct rig *rig = &desk.rig;
	uint32_t buffer = create(&desk), surface = rig_create_surface(rig);
	rig_attach(rig, surface, buffer);
	rig_commit(rig, surface);
	rig_settle(rig);
	rig_destroy(rig, buffer, WL_BUFFER_DESTROY);
	rig_settle(rig);
	assert_null(neep_wl_objects_by_client(&rig->client->objects, buffer));
	assert_int_equal(rig_deleted(rig, buffer), 0);
	assert_int_equal(offer(&desk, 0), buffer);
	stop(&desk);
}

static void client_ends_when_it_names_what_the_proxy_has_not_made(void **state) {
	(void)state;
	struct desk desk;
	uint32_t id;
	start(&desk);
	struct rig *rig = &desk.rig;
	assert_int_equal(create(&desk), FIRST);
	// A new object of the client's cannot have an id of this kind.
	rig_send(rig, COMPOSITOR, WL_COMPOSITOR_CREATE_SURFACE, FIRST + 1);
	rig_settle(rig);
	assert_int_equal(rig_error(rig, &id), WL_DISPLAY_ERROR_INVALID_METHOD);
	rig_stop(rig);
	close(desk.memory);
	start(&desk);
	rig_send(rig, FIRST, WL_BUFFER_DESTROY);
	rig_settle(rig);
	assert_int_equal(rig_error(rig, &id), WL_DISPLAY_ERROR_INVALID_OBJECT);
	rig_stop(rig);
	close(desk.memory);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(created_buffer_is_shown_as_others_are),
		fd_checked_test(objects_of_both_makers_have_ids_without_holes),
		fd_checked_test(ids_are_used_again_when_their_objects_have_gone),
		fd_checked_test(id_of_a_shown_buffer_is_free_when_the_compositor_has_deleted_its_half),
		fd_checked_test(client_ends_when_it_names_what_the_proxy_has_not_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
