/* Blobs sent as dma-bufs of the kernel's own: runs where /dev/udmabuf is, as root (scripts/check-vm.sh). */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "support/fake_component.h"
#include "support/fd_check.h"

#define SIZE       8192
#define SIZE_LIMIT "/sys/module/udmabuf/parameters/size_limit_mb"

/* An instance that has blobs of another component too. */
static int setup(void **state) {
	rig_setup_thread(state);
	struct rig *rig = *state;
	struct rutabaga_builder builder = rig_builder(rig);
	assert_int_equal(rutabaga_finish(&rig->rutabaga), 0);
	assert_int_equal(neep_fake_rutabaga_init(&builder, &rig->rutabaga), 0);
	return rig_take_turns(rig);
}

/* A context of a guest that knows the extensions. */
static int connect_extended(struct rig *rig, uint32_t ctx_id) {
	const uint32_t init[] = { 24 << 16 | NEEP_XD_INIT, 0, rig_query_ring(ctx_id),
		rig_channel_ring(ctx_id), RIG_WAYLAND, NEEP_XD_VERSION_EXTENSIONS };
	rig_context(rig, ctx_id);
	rig_page(rig, ctx_id, rig_query_ring(ctx_id), NEEP_XD_RING_SIZE);
	rig_page(rig, ctx_id, rig_channel_ring(ctx_id), NEEP_XD_RING_SIZE);
	assert_int_equal(rig_submit_words(rig, ctx_id, init, 6), 0);
	int fd = accept4(rig_host(rig)->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Memory of cross-domain's own. */
static void make_own(struct rig *rig, uint32_t ctx_id, uint32_t resource_id, uint32_t size) {
	assert_int_equal(rig_query(rig, ctx_id, size, 1, "R8  "), 0);
	uint32_t blob_id = rig_word(rig, rig_query_ring(ctx_id), NEEP_XD_REPLY_BLOB_ID);
	assert_int_equal(rig_blob(rig, ctx_id, resource_id, blob_id, size), 0);
}

/* Memory of the other component, as Vulkan's is, in a context that a program shares it with. */
static void make_foreign(struct rig *rig, uint32_t ctx_id, uint32_t resource_id) {
	struct neep_fake_stream stream = { .count = 0 };
	assert_int_equal(rutabaga_context_create(rig->rutabaga, 50, NEEP_FAKE_CAPSET, "other", 5), 0);
	neep_fake_stream_blob(&stream, 9, SIZE, RUTABAGA_MAP_CACHE_CACHED, 0x5a);
	assert_int_equal(rig_submit(rig, 50, stream.words, neep_fake_stream_size(&stream)), 0);
	struct rutabaga_create_blob create = {
		.blob_mem = RUTABAGA_BLOB_MEM_HOST3D,
		.blob_flags = RUTABAGA_BLOB_FLAG_USE_MAPPABLE | RUTABAGA_BLOB_FLAG_USE_SHAREABLE,
		.blob_id = 9,
		.size = SIZE,
	};
	assert_int_equal(
		rutabaga_resource_create_blob(rig->rutabaga, 50, resource_id, &create, NULL, NULL), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, ctx_id, resource_id), 0);
}

/* As the compositor sees it: the kernel's name of who has made it, and what only dma-bufs take. */
static bool is_udmabuf(int fd) {
	char path[64], text[1024] = { 0 };
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	int info = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(info >= 0);
	assert_true(read(info, text, sizeof(text) - 1) > 0);
	close(info);
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
	bool is_dmabuf = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) == 0;
	assert_int_equal(is_dmabuf, strstr(text, "exp_name:\tudmabuf") != NULL);
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ;
	assert_int_equal(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) == 0, is_dmabuf);
	return is_dmabuf;
}

/* Whether what arrives of one blob sent so is a dma-buf, which has all of it. */
static bool arrives_as_dmabuf(struct rig *rig, uint32_t ctx_id, int host, struct rig_id id) {
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, ctx_id, &id, 1, "x"), 0);
	host_expect(host, "x", &fds);
	assert_int_equal(fds.count, 1);
	bool is_dmabuf = is_udmabuf(fds.fd[0]);
	neep_fds_finish(&fds);
	return is_dmabuf;
}

static uint32_t extensions_of(const struct rig *rig) {
	uint32_t words[NEEP_XD_CAPSET_WORDS] = { 0 };
	assert_int_equal(
		rutabaga_get_capset(rig->rutabaga, 5, 0, (uint8_t *)words, (uint32_t)sizeof(words)), 0);
	assert_int_equal(words[NEEP_XD_CAPSET_DMABUF], 0);
	return words[NEEP_XD_CAPSET_EXTENSIONS];
}

static void capset_offers_dmabufs(void **state) {
	assert_true((extensions_of(*state) & NEEP_XD_EXTENSION_DMABUFS) != 0);
}

static void dmabuf_and_file_have_the_memory_of_the_blob(void **state) {
	struct rig *rig = *state;
	int host = connect_extended(rig, 1);
	make_own(rig, 1, 100, SIZE);
	const struct rig_id ids[] = { { 100, NEEP_XD_ID_DMABUF }, { 100, NEEP_XD_ID_BLOB } };
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, 1, ids, 2, "both"), 0);
	host_expect(host, "both", &fds);
	assert_int_equal(fds.count, 2);
	assert_true(is_udmabuf(fds.fd[0]));
	assert_false(is_udmabuf(fds.fd[1]));
	assert_int_equal(lseek(fds.fd[0], 0, SEEK_END), SIZE);
	struct rutabaga_mapping mapping;
	assert_int_equal(rutabaga_resource_map(rig->rutabaga, 100, &mapping), 0);
	uint8_t *dmabuf = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds.fd[0], 0);
	uint8_t *file = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fds.fd[1], 0);
	assert_true(dmabuf != MAP_FAILED && file != MAP_FAILED);
	for (size_t i = 0; i < SIZE; i++) {
		((volatile uint8_t *)mapping.ptr)[i] = (uint8_t)(i * 7 + i / 256);
	}
	assert_memory_equal(dmabuf, (const void *)(uintptr_t)mapping.ptr, SIZE);
	dmabuf[SIZE - 1] = 0xcd;
	assert_int_equal(file[SIZE - 1], 0xcd);
	munmap(dmabuf, SIZE);
	munmap(file, SIZE);
	neep_fds_finish(&fds);
	close(host);
}

static void dmabuf_outlives_its_blob(void **state) {
	struct rig *rig = *state;
	int host = connect_extended(rig, 1);
	make_own(rig, 1, 100, SIZE);
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, 1, &(struct rig_id){ 100, NEEP_XD_ID_DMABUF }, 1, "x"), 0);
	assert_int_equal(rutabaga_resource_unref(rig->rutabaga, 100), 0);
	host_expect(host, "x", &fds);
	assert_true(is_udmabuf(fds.fd[0]));
	neep_fds_finish(&fds);
	close(host);
}

static void guest_with_extensions_gets_what_it_names(void **state) {
	struct rig *rig = *state;
	int host = connect_extended(rig, 1);
	make_own(rig, 1, 100, SIZE);
	make_foreign(rig, 1, 200);
	for (uint32_t id = 100; id <= 200; id += 100) {
		assert_false(arrives_as_dmabuf(rig, 1, host, (struct rig_id){ id, NEEP_XD_ID_BLOB }));
		assert_true(arrives_as_dmabuf(rig, 1, host, (struct rig_id){ id, NEEP_XD_ID_DMABUF }));
	}
	close(host);
}

/* Its own memory is for wl_shm, what it passes on for linux-dmabuf. */
static void guest_without_extensions_gets_what_it_can_use(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	make_own(rig, 1, 100, SIZE);
	make_foreign(rig, 1, 200);
	assert_false(arrives_as_dmabuf(rig, 1, host, (struct rig_id){ 100, NEEP_XD_ID_BLOB }));
	assert_true(arrives_as_dmabuf(rig, 1, host, (struct rig_id){ 200, NEEP_XD_ID_BLOB }));
	close(host);
}

static void limit_write(const char *text) {
	int fd = open(SIZE_LIMIT, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void blob_beyond_the_limit_is_sent_as_a_file(void **state) {
	struct rig *rig = *state;
	char limit[32] = { 0 };
	int fd = open(SIZE_LIMIT, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, limit, sizeof(limit) - 1) > 0);
	close(fd);
	int host = connect_extended(rig, 1);
	make_own(rig, 1, 100, 2 << 20);
	limit_write("1");
	bool was_dmabuf = arrives_as_dmabuf(rig, 1, host, (struct rig_id){ 100, NEEP_XD_ID_DMABUF });
	limit_write(limit);
	assert_false(was_dmabuf);
	assert_true(rig_has_message(rig, "no dma-buf can be made of 2097152 bytes"));
	assert_true(arrives_as_dmabuf(rig, 1, host, (struct rig_id){ 100, NEEP_XD_ID_DMABUF }));
	close(host);
}

int main(void) {
#define dmabuf_test(fn) cmocka_unit_test_setup_teardown(fn, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		dmabuf_test(capset_offers_dmabufs),
		dmabuf_test(dmabuf_and_file_have_the_memory_of_the_blob),
		dmabuf_test(dmabuf_outlives_its_blob),
		dmabuf_test(guest_with_extensions_gets_what_it_names),
		dmabuf_test(guest_without_extensions_gets_what_it_can_use),
		dmabuf_test(blob_beyond_the_limit_is_sent_as_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
