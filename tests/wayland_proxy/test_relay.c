/* What goes through the proxy, both ways, over real sockets: the test is the program and the compositor. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/queue.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"
#include "wayland/xdg-shell-requests.h"
#include "wayland_proxy/peer.h"

#define COMPOSITOR_ID 10 // the program's ids; the compositor's go on behind the registry's
#define COMPOSITOR_AT 3

static struct peer_message got;

/* The codes are those of wl_display. */
static void expect_error(struct peer *peer, uint32_t code) {
	peer_expect(peer, peer->program, 1, WL_DISPLAY_ERROR, &got);
	assert_int_equal(got.words[0], 1);
	assert_int_equal(got.words[1], code);
	assert_true(peer_is_closed(peer, peer->program));
	assert_true(peer_is_closed(peer, peer->compositor));
	assert_null(peer->client);
}

/* With wl_compositor as object 10 at the program and 3 at the compositor. */
static void start_with(struct peer *peer, const char *interface, uint32_t version) {
	peer_start(peer);
	peer_get_registry(peer);
	peer_announce(peer, 1, interface, version);
	peer_expect(peer, peer->program, PEER_REGISTRY, WL_REGISTRY_GLOBAL, &got);
	peer_bind(peer, 1, interface, version, COMPOSITOR_ID);
	peer_expect(peer, peer->compositor, PEER_REGISTRY, WL_REGISTRY_BIND, &got);
}

static void requests_get_ids_without_holes_when_the_programs_have_some(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_compositor", 4);
	assert_int_equal(got.words[0], 1);
	uint32_t last = got.words[(got.size - 8) / 4 - 1];
	assert_int_equal(last, COMPOSITOR_AT);
	peer_send_words(peer.program, COMPOSITOR_ID, WL_COMPOSITOR_CREATE_SURFACE, (uint32_t[]){ 500 }, 1);
	peer_expect(&peer, peer.compositor, COMPOSITOR_AT, WL_COMPOSITOR_CREATE_SURFACE, &got);
	assert_int_equal(got.words[0], 4);
	/* Objects in arguments are translated, both ways. */
	peer_send_words(peer.program, COMPOSITOR_ID, WL_COMPOSITOR_CREATE_REGION, (uint32_t[]){ 77 }, 1);
	peer_expect(&peer, peer.compositor, COMPOSITOR_AT, WL_COMPOSITOR_CREATE_REGION, &got);
	assert_int_equal(got.words[0], 5);
	peer_send_words(peer.program, 500, WL_SURFACE_SET_OPAQUE_REGION, (uint32_t[]){ 77 }, 1);
	peer_expect(&peer, peer.compositor, 4, WL_SURFACE_SET_OPAQUE_REGION, &got);
	assert_int_equal(got.words[0], 5);
	peer_send_words(peer.program, 500, WL_SURFACE_SET_OPAQUE_REGION, (uint32_t[]){ 0 }, 1);
	peer_expect(&peer, peer.compositor, 4, WL_SURFACE_SET_OPAQUE_REGION, &got);
	assert_int_equal(got.words[0], 0);
	peer_stop(&peer);
}

static void ids_are_used_again_when_the_compositor_has_deleted_them(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	for (uint32_t round = 0; round < 200; round++) {
		peer_send_words(peer.program, 1, WL_DISPLAY_SYNC, (uint32_t[]){ 40 + round }, 1);
		peer_expect(&peer, peer.compositor, 1, WL_DISPLAY_SYNC, &got);
		assert_int_equal(got.words[0], 2);
		peer_send_words(peer.compositor, 2, WL_CALLBACK_DONE, (uint32_t[]){ round }, 1);
		peer_send_words(peer.compositor, 1, WL_DISPLAY_DELETE_ID, (uint32_t[]){ 2 }, 1);
		peer_expect(&peer, peer.program, 40 + round, WL_CALLBACK_DONE, &got);
		assert_int_equal(got.words[0], round);
		peer_expect(&peer, peer.program, 1, WL_DISPLAY_DELETE_ID, &got);
		assert_int_equal(got.words[0], 40 + round);
	}
	assert_int_equal(peer.client->objects.count, 1);
	peer_stop(&peer);
}

static void destroyed_object_takes_events_and_fds_until_its_id_is_deleted(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_data_device_manager", 3);
	peer_send_words(peer.program, COMPOSITOR_ID, WL_DATA_DEVICE_MANAGER_CREATE_DATA_SOURCE,
		(uint32_t[]){ 20 }, 1);
	peer_expect(&peer, peer.compositor, COMPOSITOR_AT, 0, &got);
	peer_send_words(peer.program, 20, WL_DATA_SOURCE_DESTROY, NULL, 0);
	peer_expect(&peer, peer.compositor, 4, WL_DATA_SOURCE_DESTROY, &got);
	/* On its way before the compositor knew. */
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, 4, WL_DATA_SOURCE_SEND);
	neep_wl_writer_string(&writer, "text/plain");
	peer_send(peer.compositor, &writer, &null, 1);
	close(null);
	peer_send_words(peer.compositor, 1, WL_DISPLAY_DELETE_ID, (uint32_t[]){ 4 }, 1);
	peer_expect(&peer, peer.program, 20, WL_DATA_SOURCE_SEND, &got);
	assert_int_equal(got.fd_count, 1);
	close(got.fds[0]);
	peer_expect(&peer, peer.program, 1, WL_DISPLAY_DELETE_ID, &got);
	assert_int_equal(got.words[0], 20);
	/* Now the id is free, and events for it are for nobody. */
	peer_send_words(peer.compositor, 4, WL_DATA_SOURCE_CANCELLED, NULL, 0);
	assert_false(peer_receive(&peer, peer.program, &got));
	assert_non_null(peer.client);
	peer_stop(&peer);
}

static void request_to_a_destroyed_object_ends_the_client(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_compositor", 4);
	peer_send_words(peer.program, COMPOSITOR_ID, WL_COMPOSITOR_CREATE_REGION, (uint32_t[]){ 11 }, 1);
	peer_send_words(peer.program, 11, WL_REGION_DESTROY, NULL, 0);
	peer_send_words(peer.program, 11, WL_REGION_DESTROY, NULL, 0);
	peer_expect(&peer, peer.program, 1, WL_DISPLAY_ERROR, &got);
	assert_int_equal(got.words[1], WL_DISPLAY_ERROR_INVALID_OBJECT);
	peer_stop(&peer);
}

static void fds_of_requests_arrive_in_order(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_data_device_manager", 3);
	/* A drag's offer: an id that the compositor gives out. */
	peer_send_words(peer.program, COMPOSITOR_ID, WL_DATA_DEVICE_MANAGER_CREATE_DATA_SOURCE,
		(uint32_t[]){ 20 }, 1);
	peer_expect(&peer, peer.compositor, COMPOSITOR_AT, 0, &got);
	const uint32_t id = NEEP_WL_SERVER_IDS;
	struct neep_wl_client *client = peer.client;
	struct neep_wl_object_params params = {
		.interface = &wl_data_offer_interface, .version = 3, .host_id = id, .has_client = true
	};
	assert_non_null(neep_wl_object_create(client, &params));
	int pipes[2][2];
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
		struct neep_wl_writer writer;
		neep_wl_writer_begin(&writer, id, WL_DATA_OFFER_RECEIVE);
		neep_wl_writer_string(&writer, "text/plain");
		peer_send(peer.program, &writer, &pipes[i][1], 1);
		close(pipes[i][1]);
	}
	/* One send brings both. */
	peer_settle(&peer);
	peer_expect(&peer, peer.compositor, id, WL_DATA_OFFER_RECEIVE, &got);
	assert_int_equal(got.fd_count, 2);
	for (size_t i = 0; i < 2; i++) {
		char byte = (char)('a' + i), back = 0;
		assert_int_equal(write(got.fds[i], &byte, 1), 1);
		assert_int_equal(read(pipes[i][0], &back, 1), 1);
		assert_int_equal(back, byte);
		close(got.fds[i]);
		close(pipes[i][0]);
	}
	peer_stop(&peer);
}

static void ids_of_the_compositor_are_used_again(void **state) {
	(void)state;
	struct peer peer = { 0 };
	const uint32_t id = NEEP_WL_SERVER_IDS;
	start_with(&peer, "wl_data_device_manager", 3);
	peer_announce(&peer, 2, "wl_seat", 5);
	peer_expect(&peer, peer.program, PEER_REGISTRY, WL_REGISTRY_GLOBAL, &got);
	peer_bind(&peer, 2, "wl_seat", 5, 11);
	peer_expect(&peer, peer.compositor, PEER_REGISTRY, WL_REGISTRY_BIND, &got);
	peer_send_words(peer.program, COMPOSITOR_ID, WL_DATA_DEVICE_MANAGER_GET_DATA_DEVICE,
		(uint32_t[]){ 12, 11 }, 2);
	peer_expect(&peer, peer.compositor, COMPOSITOR_AT, WL_DATA_DEVICE_MANAGER_GET_DATA_DEVICE, &got);
	assert_int_equal(got.words[0], 5);
	assert_int_equal(got.words[1], 4);
	for (int round = 0; round < 3; round++) {
		peer_send_words(peer.compositor, 5, WL_DATA_DEVICE_DATA_OFFER, (uint32_t[]){ id }, 1);
		peer_expect(&peer, peer.program, 12, WL_DATA_DEVICE_DATA_OFFER, &got);
		assert_int_equal(got.words[0], id);
		peer_send_words(peer.compositor, 5, WL_DATA_DEVICE_SELECTION, (uint32_t[]){ id }, 1);
		peer_expect(&peer, peer.program, 12, WL_DATA_DEVICE_SELECTION, &got);
		assert_int_equal(got.words[0], id);
		peer_send_words(peer.program, id, WL_DATA_OFFER_DESTROY, NULL, 0);
		peer_expect(&peer, peer.compositor, id, WL_DATA_OFFER_DESTROY, &got);
	}
	assert_int_equal(peer.client->objects.count, 6);
	peer_stop(&peer);
}

static void child_objects_have_the_version_of_their_parent(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_compositor", 2);
	peer_send_words(peer.program, COMPOSITOR_ID, WL_COMPOSITOR_CREATE_SURFACE, (uint32_t[]){ 11 }, 1);
	peer_expect(&peer, peer.compositor, COMPOSITOR_AT, WL_COMPOSITOR_CREATE_SURFACE, &got);
	peer_send_words(peer.program, 11, WL_SURFACE_SET_BUFFER_TRANSFORM, (uint32_t[]){ 0 }, 1);
	peer_expect(&peer, peer.compositor, 4, WL_SURFACE_SET_BUFFER_TRANSFORM, &got);
	/* Since version 3. */
	peer_send_words(peer.program, 11, WL_SURFACE_SET_BUFFER_SCALE, (uint32_t[]){ 1 }, 1);
	expect_error(&peer, WL_DISPLAY_ERROR_INVALID_METHOD);
	peer_stop(&peer);
}

/* ---- globals ---- */

static void globals_are_hidden_and_cut_by_policy(void **state) {
	(void)state;
	struct peer peer = { .policy = { .deny = "wl_output" } };
	peer_start(&peer);
	peer_get_registry(&peer);
	peer_announce(&peer, 1, "weston_screenshooter", 1);
	peer_announce(&peer, 2, "zwlr_layer_shell_v1", 4);
	peer_announce(&peer, 3, "wl_output", 3);
	peer_announce(&peer, 4, "wl_compositor", 900);
	peer_announce(&peer, 5, "wl_seat", 5);
	peer_announce(&peer, 6, "wl_seat", 4);
	peer_expect(&peer, peer.program, PEER_REGISTRY, WL_REGISTRY_GLOBAL, &got);
	assert_int_equal(got.words[0], 4);
	assert_in_range(got.words[(got.size - 8) / 4 - 1], 4, 6);
	peer_expect(&peer, peer.program, PEER_REGISTRY, WL_REGISTRY_GLOBAL, &got);
	assert_int_equal(got.words[0], 5);
	peer_expect(&peer, peer.program, PEER_REGISTRY, WL_REGISTRY_GLOBAL, &got);
	assert_int_equal(got.words[0], 6);
	assert_false(peer_receive(&peer, peer.program, &got));
	assert_int_equal(peer.hidden.count, 3);
	peer_stop(&peer);
}

static void global_is_removed_and_can_still_be_bound(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_output", 3);
	peer_announce(&peer, 9, "weston_screenshooter", 1);
	peer_send_words(peer.compositor, PEER_REGISTRY, WL_REGISTRY_GLOBAL_REMOVE, (uint32_t[]){ 9 }, 1);
	peer_send_words(peer.compositor, PEER_REGISTRY, WL_REGISTRY_GLOBAL_REMOVE, (uint32_t[]){ 1 }, 1);
	peer_expect(&peer, peer.program, PEER_REGISTRY, WL_REGISTRY_GLOBAL_REMOVE, &got);
	assert_int_equal(got.words[0], 1);
	/* The program has not read that yet: what to say is the compositor's to know. */
	peer_bind(&peer, 1, "wl_output", 2, 30);
	peer_expect(&peer, peer.compositor, PEER_REGISTRY, WL_REGISTRY_BIND, &got);
	assert_non_null(peer.client);
	peer_stop(&peer);
}

static void refuse_bind(uint32_t name, const char *interface, uint32_t version, uint32_t id, uint32_t code) {
	struct peer peer = { 0 };
	start_with(&peer, "wl_output", 3);
	peer_announce(&peer, 2, "weston_screenshooter", 1);
	peer_settle(&peer);
	peer_bind(&peer, name, interface, version, id);
	expect_error(&peer, code);
	peer_stop(&peer);
}

static void bind_is_refused_when_name_interface_version_or_id_is_wrong(void **state) {
	(void)state;
	refuse_bind(3, "wl_output", 3, 30, WL_DISPLAY_ERROR_INVALID_OBJECT);
	refuse_bind(2, "weston_screenshooter", 1, 30, WL_DISPLAY_ERROR_INVALID_OBJECT);
	refuse_bind(1, "wl_seat", 3, 30, WL_DISPLAY_ERROR_INVALID_OBJECT);
	refuse_bind(1, "wl_output", 0, 30, WL_DISPLAY_ERROR_INVALID_OBJECT);
	refuse_bind(1, "wl_output", 4, 30, WL_DISPLAY_ERROR_INVALID_OBJECT);
}

static void flood_of_globals_is_bounded(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	peer_get_registry(&peer);
	size_t shown = 0;
	for (uint32_t name = 1; name <= 1500; name++) {
		peer_announce(&peer, name, "wl_output", 3);
		shown += peer_receive(&peer, peer.program, &got);
	}
	assert_int_equal(shown, 1024);
	peer_stop(&peer);
}

/* ---- titles ---- */

static void titles_get_the_prefix(void **state) {
	(void)state;
	struct peer peer = { .policy = { .title_prefix = "[vm] ", .app_id_prefix = "vm." } };
	start_with(&peer, "xdg_wm_base", 3);
	peer_announce(&peer, 2, "wl_compositor", 4);
	peer_expect(&peer, peer.program, PEER_REGISTRY, WL_REGISTRY_GLOBAL, &got);
	peer_bind(&peer, 2, "wl_compositor", 4, 11);
	peer_send_words(peer.program, 11, WL_COMPOSITOR_CREATE_SURFACE, (uint32_t[]){ 12 }, 1);
	peer_send_words(peer.program, COMPOSITOR_ID, XDG_WM_BASE_GET_XDG_SURFACE, (uint32_t[]){ 13, 12 }, 2);
	peer_send_words(peer.program, 13, XDG_SURFACE_GET_TOPLEVEL, (uint32_t[]){ 14 }, 1);
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, 14, XDG_TOPLEVEL_SET_TITLE);
	neep_wl_writer_string(&writer, "editor");
	peer_send(peer.program, &writer, NULL, 0);
	neep_wl_writer_begin(&writer, 14, XDG_TOPLEVEL_SET_APP_ID);
	static char text[4081];
	memset(text, 'x', sizeof(text) - 1);
	neep_wl_writer_string(&writer, text);
	peer_send(peer.program, &writer, NULL, 0);
	for (int i = 0; i < 4; i++) {
		assert_true(peer_receive(&peer, peer.compositor, &got));
	}
	peer_expect(&peer, peer.compositor, 7, XDG_TOPLEVEL_SET_TITLE, &got);
	assert_string_equal((const char *)&got.words[1], "[vm] editor");
	peer_expect(&peer, peer.compositor, 7, XDG_TOPLEVEL_SET_APP_ID, &got);
	assert_memory_equal(&got.words[1], "vm.xxx", 6);
	assert_in_range(got.words[0], 4000, 4081);
	peer_stop(&peer);
}

/* ---- mistakes of the program ---- */

static void refuse_words(const uint32_t *words, size_t count, uint32_t code) {
	struct peer peer = { 0 };
	start_with(&peer, "wl_compositor", 4);
	assert_int_equal(send(peer.program, words, count * sizeof(*words), 0), count * sizeof(*words));
	expect_error(&peer, code);
	peer_stop(&peer);
}

#define HEADER(size, opcode) ((uint32_t)(size) << 16 | (opcode))

static void bad_requests_end_the_client_with_the_error_of_the_protocol(void **state) {
	(void)state;
	const uint32_t method = WL_DISPLAY_ERROR_INVALID_METHOD, object = WL_DISPLAY_ERROR_INVALID_OBJECT;
	refuse_words((uint32_t[]){ 99, HEADER(8, 0) }, 2, object);
	refuse_words((uint32_t[]){ 0, HEADER(8, 0) }, 2, object);
	refuse_words((uint32_t[]){ 1, HEADER(8, 2) }, 2, method);
	refuse_words((uint32_t[]){ 1, HEADER(4, 0) }, 2, method);
	refuse_words((uint32_t[]){ 1, HEADER(13, 0) }, 2, method);
	refuse_words((uint32_t[]){ 1, HEADER(8, 0) }, 2, method);
	refuse_words((uint32_t[]){ 1, HEADER(16, 0), 50, 50 }, 4, method);
	/* New ids: null, in use, the compositor's. */
	refuse_words((uint32_t[]){ 1, HEADER(12, 0), 0 }, 3, method);
	refuse_words((uint32_t[]){ 1, HEADER(12, 0), COMPOSITOR_ID }, 3, method);
	refuse_words((uint32_t[]){ 1, HEADER(12, 0), NEEP_WL_SERVER_IDS }, 3, method);
	refuse_words((uint32_t[]){ 1, HEADER(12, 0), 0xffffffff }, 3, method);
	/* Objects: unknown, of another type. */
	const uint32_t create[] = { COMPOSITOR_ID, HEADER(12, 0), 11 };
	refuse_words((uint32_t[]){ create[0], create[1], create[2], 11, HEADER(12, 4), 12 }, 6, object);
	refuse_words((uint32_t[]){ create[0], create[1], create[2], 11, HEADER(12, 4), 11 }, 6, object);
}

static void request_without_its_fd_ends_the_client(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_data_device_manager", 3);
	struct neep_wl_object_params params = { .interface = &wl_data_offer_interface,
		.version = 3,
		.host_id = NEEP_WL_SERVER_IDS,
		.has_client = true };
	assert_non_null(neep_wl_object_create(peer.client, &params));
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, NEEP_WL_SERVER_IDS, WL_DATA_OFFER_RECEIVE);
	neep_wl_writer_string(&writer, "text/plain");
	peer_send(peer.program, &writer, NULL, 0);
	expect_error(&peer, WL_DISPLAY_ERROR_INVALID_METHOD);
	peer_stop(&peer);
}

static void too_many_objects_end_the_client(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_compositor", 4);
	char sink[65536];
	bool is_over = false;
	for (uint32_t id = 11; id < NEEP_WL_OBJECTS_MAX + 100 && !is_over; id++) {
		uint32_t words[3] = { COMPOSITOR_ID, HEADER(12, WL_COMPOSITOR_CREATE_REGION), id };
		while (!is_over && send(peer.program, words, sizeof(words), MSG_NOSIGNAL) < 0) {
			is_over = errno != EAGAIN;
			peer_settle(&peer);
			while (recv(peer.compositor, sink, sizeof(sink), 0) > 0) {
			}
		}
	}
	for (int i = 0; i < 100 && peer.client != NULL; i++) {
		peer_settle(&peer);
		while (recv(peer.compositor, sink, sizeof(sink), 0) > 0) {
		}
	}
	expect_error(&peer, WL_DISPLAY_ERROR_INVALID_METHOD);
	peer_stop(&peer);
}

static void fds_without_messages_are_bounded(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[28];
	for (size_t i = 0; i < 28; i++) {
		fds[i] = null;
	}
	/* A message that never ends, with fds to every few of its bytes. */
	uint32_t header[2] = { 1, HEADER(65532, 0) };
	assert_int_equal(send(peer.program, header, sizeof(header), 0), sizeof(header));
	for (int i = 0; i < 100 && peer.client != NULL; i++) {
		neep_wl_send_some(peer.program, (const uint8_t *)"....", 4, fds, 28);
		peer_settle(&peer);
	}
	assert_null(peer.client);
	close(null);
	peer_stop(&peer);
}

/* ---- mistakes of the compositor ---- */

static void refuse_event(const uint32_t *words, size_t count) {
	struct peer peer = { 0 };
	start_with(&peer, "wl_data_device_manager", 3);
	struct neep_wl_object_params params = {
		.interface = &wl_data_device_interface, .version = 3, .client_id = 12, .has_host = true
	};
	assert_non_null(neep_wl_object_create(peer.client, &params));
	assert_int_equal(send(peer.compositor, words, count * sizeof(*words), 0), count * sizeof(*words));
	expect_error(&peer, WL_DISPLAY_ERROR_IMPLEMENTATION);
	peer_stop(&peer);
}

static void bad_events_end_the_client(void **state) {
	(void)state;
	refuse_event((uint32_t[]){ 1, HEADER(8, 9) }, 2);
	refuse_event((uint32_t[]){ 1, HEADER(4, 0) }, 2);
	refuse_event((uint32_t[]){ 1, HEADER(8, 1) }, 2);
	refuse_event((uint32_t[]){ 1, HEADER(16, 1), 1, 1 }, 4);
	/* New ids that are not the compositor's; objects that nobody knows, or of another type. */
	refuse_event((uint32_t[]){ 4, HEADER(12, 0), 77 }, 3);
	refuse_event((uint32_t[]){ 4, HEADER(12, 0), 0 }, 3);
	refuse_event((uint32_t[]){ 4, HEADER(12, 5), 99 }, 3);
	refuse_event((uint32_t[]){ 4, HEADER(12, 5), PEER_REGISTRY }, 3);
}

static void event_without_its_fd_ends_the_client(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_data_device_manager", 3);
	peer_send_words(peer.program, COMPOSITOR_ID, 0, (uint32_t[]){ 20 }, 1);
	peer_expect(&peer, peer.compositor, COMPOSITOR_AT, 0, &got);
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, 4, WL_DATA_SOURCE_SEND);
	neep_wl_writer_string(&writer, "text/plain");
	peer_send(peer.compositor, &writer, NULL, 0);
	expect_error(&peer, WL_DISPLAY_ERROR_IMPLEMENTATION);
	peer_stop(&peer);
}

static void events_of_unknown_objects_are_dropped(void **state) {
	(void)state;
	struct peer peer = { 0 };
	peer_start(&peer);
	peer_send_words(peer.compositor, 55, 3, (uint32_t[]){ 1, 2, 3 }, 3);
	peer_send_words(peer.compositor, 1, WL_DISPLAY_DELETE_ID, (uint32_t[]){ 55 }, 1);
	peer_send_words(peer.compositor, 1, WL_DISPLAY_DELETE_ID, (uint32_t[]){ 1 }, 1);
	assert_false(peer_receive(&peer, peer.program, &got));
	peer_send_words(peer.program, 1, WL_DISPLAY_SYNC, (uint32_t[]){ 2 }, 1);
	peer_expect(&peer, peer.compositor, 1, WL_DISPLAY_SYNC, &got);
	peer_stop(&peer);
}

static void error_of_the_compositor_names_the_programs_object(void **state) {
	(void)state;
	struct peer peer = { 0 };
	start_with(&peer, "wl_compositor", 4);
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, 1, WL_DISPLAY_ERROR);
	neep_wl_writer_word(&writer, COMPOSITOR_AT);
	neep_wl_writer_word(&writer, 7);
	neep_wl_writer_string(&writer, "no");
	peer_send(peer.compositor, &writer, NULL, 0);
	close(peer.compositor);
	peer.compositor = -1;
	peer_expect(&peer, peer.program, 1, WL_DISPLAY_ERROR, &got);
	assert_int_equal(got.words[0], COMPOSITOR_ID);
	assert_int_equal(got.words[1], 7);
	assert_true(peer_is_closed(&peer, peer.program));
	peer_stop(&peer);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(requests_get_ids_without_holes_when_the_programs_have_some),
		fd_checked_test(ids_are_used_again_when_the_compositor_has_deleted_them),
		fd_checked_test(destroyed_object_takes_events_and_fds_until_its_id_is_deleted),
		fd_checked_test(request_to_a_destroyed_object_ends_the_client),
		fd_checked_test(fds_of_requests_arrive_in_order),
		fd_checked_test(ids_of_the_compositor_are_used_again),
		fd_checked_test(child_objects_have_the_version_of_their_parent),
		fd_checked_test(globals_are_hidden_and_cut_by_policy),
		fd_checked_test(global_is_removed_and_can_still_be_bound),
		fd_checked_test(bind_is_refused_when_name_interface_version_or_id_is_wrong),
		fd_checked_test(flood_of_globals_is_bounded),
		fd_checked_test(titles_get_the_prefix),
		fd_checked_test(bad_requests_end_the_client_with_the_error_of_the_protocol),
		fd_checked_test(request_without_its_fd_ends_the_client),
		fd_checked_test(too_many_objects_end_the_client),
		fd_checked_test(fds_without_messages_are_bounded),
		fd_checked_test(bad_events_end_the_client),
		fd_checked_test(event_without_its_fd_ends_the_client),
		fd_checked_test(events_of_unknown_objects_are_dropped),
		fd_checked_test(error_of_the_compositor_names_the_programs_object),
	};
	return cmocka_run_group_tests_name("wayland_relay", tests, NULL, NULL);
}
