/* What the compositor says of dma-bufs, and memory that it sends. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/wayland-protocol.h"
#include "wayland/wayland-requests.h"
#include "wayland_proxy/peer.h"

enum { GLOBAL = 3, OBJECT };
enum { GET_DEFAULT_FEEDBACK = 2 };

static void start(struct peer *peer) {
	*peer = (struct peer){ 0 };
	peer_start(peer);
	peer_get_registry(peer);
}

/* Binds the global as object 3, and asks it for object 4: so they are at the compositor, too. */
static void get_object(struct peer *peer, const char *interface, uint32_t version, uint32_t opcode) {
	struct peer_message message;
	start(peer);
	peer_announce(peer, 1, interface, version);
	peer_expect(peer, peer->program, PEER_REGISTRY, WL_REGISTRY_GLOBAL, &message);
	peer_bind(peer, 1, interface, version, GLOBAL);
	peer_expect(peer, peer->compositor, PEER_REGISTRY, WL_REGISTRY_BIND, &message);
	peer_send_words(peer->program, GLOBAL, opcode, (uint32_t[]){ OBJECT }, 1);
	peer_expect(peer, peer->compositor, GLOBAL, opcode, &message);
}

static void get_feedback(struct peer *peer) {
	get_object(peer, "zwp_linux_dmabuf_v1", 4, GET_DEFAULT_FEEDBACK);
}

static void get_keyboard(struct peer *peer) {
	get_object(peer, "wl_seat", 7, WL_SEAT_GET_KEYBOARD);
}

static void send_device(struct peer *peer, uint32_t opcode, const void *device, size_t size) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, OBJECT, opcode);
	neep_wl_writer_array(&writer, device, size);
	peer_send(peer->compositor, &writer, NULL, 0);
}

static void expect_device(struct peer *peer, uint32_t opcode, uint64_t wanted) {
	struct peer_message message;
	uint64_t device;
	peer_expect(peer, peer->program, OBJECT, opcode, &message);
	assert_int_equal(message.words[0], sizeof(device));
	memcpy(&device, &message.words[1], sizeof(device));
	assert_int_equal(device, wanted);
}

static void feedback_names_the_compositors_device_when_it_is_the_clients(void **state) {
	(void)state;
	struct peer peer;
	get_feedback(&peer);
	send_device(&peer, ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE, &(uint64_t){ 0x1234 }, 8);
	expect_device(&peer, ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE, 0x1234);
	peer_stop(&peer);
}

static void feedback_names_the_clients_device_when_there_is_one(void **state) {
	(void)state;
	struct peer peer;
	get_feedback(&peer);
	peer.client->host->render_device = 0xe281;
	send_device(&peer, ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE, &(uint64_t){ 0x1234 }, 8);
	expect_device(&peer, ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE, 0xe281);
	send_device(&peer, ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_TARGET_DEVICE, &(uint64_t){ 0x1234 }, 8);
	expect_device(&peer, ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_TARGET_DEVICE, 0xe281);
	// An array that is no device is left to the client.
	struct peer_message message;
	send_device(&peer, ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE, "abc", 3);
	peer_expect(&peer, peer.program, OBJECT, ZWP_LINUX_DMABUF_FEEDBACK_V1_MAIN_DEVICE, &message);
	assert_int_equal(message.words[0], 3);
	assert_memory_equal(&message.words[1], "abc", 3);
	peer_stop(&peer);
}

static void global_is_hidden_when_no_client_can_have_buffers(void **state) {
	(void)state;
	struct peer peer;
	struct peer_message message;
	start(&peer);
	peer.client->host->takes_dmabufs = false;
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, PEER_REGISTRY, WL_REGISTRY_GLOBAL);
	neep_wl_writer_word(&writer, 1);
	neep_wl_writer_string(&writer, "zwp_linux_dmabuf_v1");
	neep_wl_writer_word(&writer, 4);
	peer_send(peer.compositor, &writer, NULL, 0);
	assert_false(peer_receive(&peer, peer.program, &message));
	peer_stop(&peer);
}

/* ---- memory from the compositor ---- */

static int make_file(const char *text) {
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void send_memory(
	struct peer *peer, uint32_t id, uint32_t opcode, const uint32_t *words, size_t count) {
	int fd = make_file("memory of the host's");
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, id, opcode);
	for (size_t i = 0; i < count; i++) {
		neep_wl_writer_word(&writer, words[i]);
	}
	peer_send(peer->compositor, &writer, &fd, 1);
	close(fd);
}

static void assert_is_copy(const struct peer_message *message, const char *text) {
	char content[64] = { 0 };
	assert_int_equal(message->fd_count, 1);
	assert_int_equal(pread(message->fds[0], content, sizeof(content), 0), strlen(text));
	assert_string_equal(content, text);
	assert_int_equal(write(message->fds[0], "x", 1), -1);
	close(message->fds[0]);
}

static void format_table_is_copied(void **state) {
	(void)state;
	struct peer peer;
	struct peer_message message;
	get_feedback(&peer);
	send_memory(&peer, OBJECT, ZWP_LINUX_DMABUF_FEEDBACK_V1_FORMAT_TABLE, (uint32_t[]){ 6 }, 1);
	peer_expect(&peer, peer.program, OBJECT, ZWP_LINUX_DMABUF_FEEDBACK_V1_FORMAT_TABLE, &message);
	assert_int_equal(message.words[0], 6);
	assert_is_copy(&message, "memory");
	peer_stop(&peer);
}

static void keymap_is_copied(void **state) {
	(void)state;
	struct peer peer;
	struct peer_message message;
	get_keyboard(&peer);
	send_memory(&peer, OBJECT, WL_KEYBOARD_KEYMAP, (uint32_t[]){ 1, 20 }, 2);
	peer_expect(&peer, peer.program, OBJECT, WL_KEYBOARD_KEYMAP, &message);
	assert_is_copy(&message, "memory of the host's");
	peer_stop(&peer);
}

static void client_ends_when_its_keymap_is_longer_than_its_memory(void **state) {
	(void)state;
	struct peer peer;
	get_keyboard(&peer);
	send_memory(&peer, OBJECT, WL_KEYBOARD_KEYMAP, (uint32_t[]){ 1, 9000 }, 2);
	peer_settle(&peer);
	assert_null(peer.client);
	peer_stop(&peer);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(feedback_names_the_compositors_device_when_it_is_the_clients),
		fd_checked_test(feedback_names_the_clients_device_when_there_is_one),
		fd_checked_test(global_is_hidden_when_no_client_can_have_buffers),
		fd_checked_test(format_table_is_copied),
		fd_checked_test(keymap_is_copied),
		fd_checked_test(client_ends_when_its_keymap_is_longer_than_its_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
