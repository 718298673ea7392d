#include "rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/await.h"
#include "support/fd_check.h"

struct rutabaga_builder rig_builder(struct rig *rig) {
	static struct rutabaga_channel channel = { .channel_type = RUTABAGA_CHANNEL_TYPE_WAYLAND };
	static struct rutabaga_channels channels = { .channels = &channel, .num_channels = 1 };
	channel.channel_name = rig_host(rig)->path;
	struct rutabaga_builder builder = rig_callbacks(rig, RUTABAGA_CAPSET_CROSS_DOMAIN);
	builder.channels = &channels;
	return builder;
}

static void listen_as_compositor(struct rig_host *host) {
	strcpy(host->folder, "/tmp/neep-xd-XXXXXX");
	assert_non_null(mkdtemp(host->folder));
	snprintf(host->path, sizeof(host->path), "%s/wayland-t", host->folder);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, host->path);
	host->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(host->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(host->listen_fd, 64), 0);
}

int rig_setup_thread(void **state) {
	struct rig_host *host = calloc(1, sizeof(*host));
	fd_check_setup(state);
	listen_as_compositor(host);
	struct rutabaga_builder builder = rig_builder(&host->base);
	rig_open(&host->base, &builder);
	*state = &host->base;
	return 0;
}

int rig_setup(void **state) {
	rig_setup_thread(state);
	return rig_take_turns(*state);
}

int rig_teardown(void **state) {
	struct rig_host *host = rig_host(*state);
	int rc = rig_close(&host->base);
	for (size_t i = 0; i < host->page_count; i++) {
		free(host->pages[i].bytes);
	}
	close(host->listen_fd);
	unlink(host->path);
	rmdir(host->folder);
	free(host);
	return rc != 0 ? rc : fd_check_teardown(state);
}

void rig_context(struct rig *rig, uint32_t ctx_id) {
	assert_int_equal(
		rutabaga_context_create(rig->rutabaga, ctx_id, RUTABAGA_CAPSET_CROSS_DOMAIN, "test", 4), 0);
}

void rig_page(struct rig *rig, uint32_t ctx_id, uint32_t resource_id, size_t size) {
	struct rig_host *host = rig_host(rig);
	assert_true(host->page_count < RIG_PAGES_MAX);
	uint8_t *bytes = calloc(1, size);
	host->pages[host->page_count].resource_id = resource_id;
	host->pages[host->page_count++].bytes = bytes;
	struct iovec iov = { .iov_base = bytes, .iov_len = size };
	struct rutabaga_iovecs iovecs = { .iovecs = &iov, .num_iovecs = 1 };
	struct rutabaga_create_blob create = {
		.blob_mem = RUTABAGA_BLOB_MEM_GUEST,
		.blob_flags = RUTABAGA_BLOB_FLAG_USE_MAPPABLE,
		.size = size,
	};
	assert_int_equal(
		rutabaga_resource_create_blob(rig->rutabaga, 0, resource_id, &create, &iovecs, NULL), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, ctx_id, resource_id), 0);
}

uint8_t *rig_bytes(struct rig *rig, uint32_t resource_id) {
	struct rig_host *host = rig_host(rig);
	for (size_t i = 0; i < host->page_count; i++) {
		if (host->pages[i].resource_id == resource_id) {
			return host->pages[i].bytes;
		}
	}
	fail_msg("no page %u", resource_id);
	return NULL;
}

uint32_t rig_word(struct rig *rig, uint32_t resource_id, size_t offset) {
	uint32_t word;
	memcpy(&word, rig_bytes(rig, resource_id) + offset, sizeof(word));
	return word;
}

uint8_t *rig_message(struct rig *rig, uint32_t ctx_id) {
	return rig_bytes(rig, rig_channel_ring(ctx_id));
}

int rig_submit(struct rig *rig, uint32_t ctx_id, const void *bytes, size_t size) {
	/* On a heap block of its own, so that ASan sees every byte too many. */
	uint8_t *copy = malloc(size);
	memcpy(copy, bytes, size);
	struct rutabaga_command command = { .ctx_id = ctx_id, .cmd = copy, .cmd_size = (uint32_t)size };
	int rc = rutabaga_submit_command(rig->rutabaga, &command);
	free(copy);
	return rc;
}

int rig_submit_words(struct rig *rig, uint32_t ctx_id, const uint32_t *words, size_t count) {
	return rig_submit(rig, ctx_id, words, count * sizeof(*words));
}

int rig_init(struct rig *rig, uint32_t ctx_id, uint32_t channel_type) {
	uint32_t words[] = { 20 << 16 | NEEP_XD_INIT, 0, rig_query_ring(ctx_id), rig_channel_ring(ctx_id),
		channel_type };
	return rig_submit_words(rig, ctx_id, words, 5);
}

int rig_send(struct rig *rig, uint32_t ctx_id, const struct rig_id *ids, size_t count, const char *text) {
	uint8_t bytes[NEEP_XD_TRANSFER_SIZE + 4096] = { 0 };
	uint32_t *words = (uint32_t *)(void *)bytes;
	size_t len = strlen(text);
	words[0] = (uint32_t)(NEEP_XD_TRANSFER_SIZE + len) << 16 | NEEP_XD_SEND;
	words[2] = (uint32_t)count;
	words[3] = (uint32_t)len;
	for (size_t i = 0; i < count && i < NEEP_XD_IDS_MAX; i++) {
		words[4 + i] = ids[i].id;
		words[32 + i] = ids[i].type;
	}
	memcpy(bytes + NEEP_XD_TRANSFER_SIZE, text, len);
	return rig_submit(rig, ctx_id, bytes, NEEP_XD_TRANSFER_SIZE + len);
}

int rig_write(struct rig *rig, uint32_t ctx_id, uint32_t id, bool hangs_up, const void *data, size_t len) {
	uint8_t *bytes = calloc(1, NEEP_XD_WRITE_SIZE + len);
	uint32_t *words = (uint32_t *)(void *)bytes;
	words[0] = (uint32_t)(NEEP_XD_WRITE_SIZE + len) << 16 | NEEP_XD_WRITE;
	words[2] = id;
	words[3] = hangs_up;
	words[4] = (uint32_t)len;
	memcpy(bytes + NEEP_XD_WRITE_SIZE, data != NULL ? data : "", len);
	int rc = rig_submit(rig, ctx_id, bytes, NEEP_XD_WRITE_SIZE + len);
	free(bytes);
	return rc;
}

int rig_query(struct rig *rig, uint32_t ctx_id, uint32_t width, uint32_t height, const char *fourcc) {
	uint32_t words[] = { 24 << 16 | NEEP_XD_GET_IMAGE_REQUIREMENTS, 0, width, height, 0, 0x11 };
	memcpy(&words[4], fourcc, 4);
	return rig_submit_words(rig, ctx_id, words, 6);
}

int rig_blob(struct rig *rig, uint32_t ctx_id, uint32_t resource_id, uint32_t blob_id, uint64_t size) {
	struct rutabaga_create_blob create = {
		.blob_mem = RUTABAGA_BLOB_MEM_HOST3D,
		.blob_flags = RUTABAGA_BLOB_FLAG_USE_MAPPABLE | RUTABAGA_BLOB_FLAG_USE_SHAREABLE,
		.blob_id = blob_id,
		.size = size,
	};
	int rc = rutabaga_resource_create_blob(rig->rutabaga, ctx_id, resource_id, &create, NULL, NULL);
	return rc < 0 ? rc : rutabaga_context_attach_resource(rig->rutabaga, ctx_id, resource_id);
}

uint64_t rig_poll(struct rig *rig, uint32_t ctx_id) {
	const uint32_t words[] = { 16 << 16 | NEEP_XD_POLL, 0, 0, 0 };
	assert_int_equal(rig_submit_words(rig, ctx_id, words, 4), 0);
	return rig_fence(rig, ctx_id, NEEP_XD_CHANNEL_RING);
}

void rig_next(struct rig *rig, uint32_t ctx_id) {
	rig_await(rig, rig_poll(rig, ctx_id));
}

int rig_connect(struct rig *rig, uint32_t ctx_id) {
	rig_context(rig, ctx_id);
	rig_page(rig, ctx_id, rig_query_ring(ctx_id), NEEP_XD_RING_SIZE);
	rig_page(rig, ctx_id, rig_channel_ring(ctx_id), NEEP_XD_RING_SIZE);
	assert_int_equal(rig_init(rig, ctx_id, RIG_WAYLAND), 0);
	int fd = accept4(rig_host(rig)->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void host_send(int fd, const void *data, size_t len, const int *fds, size_t count) {
	struct neep_send send = { .buf = data, .len = len, .fds = fds, .fd_count = count };
	assert_int_equal(neep_send_all(fd, &send), 0);
}

void host_expect(int fd, const char *text, struct neep_fds *fds) {
	char buf[8192];
	struct neep_fds unwanted = { .count = 0 };
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&polled, 1, (int)AWAIT_MS), 1);
	int64_t got = neep_recv(fd, buf, sizeof(buf), fds != NULL ? fds : &unwanted);
	assert_int_equal(got, (int64_t)strlen(text));
	assert_memory_equal(buf, text, strlen(text));
	assert_int_equal(unwanted.count, 0);
}
