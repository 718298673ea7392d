/* Blobs where no dma-bufs can be made of them: they are sent as files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "util/udmabuf.h"

/* In place of the kernel's: it can be opened, or not, and makes nothing. */
int __wrap_neep_udmabuf_open(void);
int __wrap_neep_udmabuf_create(int device, int memfd, uint64_t size);
static bool has_device;
static int create_count;

int __wrap_neep_udmabuf_open(void) {
	return has_device ? open("/dev/null", O_RDWR | O_CLOEXEC) : -ENOENT;
}

int __wrap_neep_udmabuf_create(int device, int memfd, uint64_t size) {
	assert_int_equal(size, 4096);
	(void)memfd;
	assert_true(device >= 0);
	create_count++;
	return -ENOMEM;
}

static int setup_with_device(void **state) {
	has_device = true;
	create_count = 0;
	return rig_setup(state);
}

static int setup_without_device(void **state) {
	has_device = false;
	create_count = 0;
	return rig_setup(state);
}

static bool offers_dmabufs(struct rutabaga *rutabaga) {
	uint32_t words[NEEP_XD_CAPSET_WORDS] = { 0 };
	assert_int_equal(rutabaga_get_capset(rutabaga, 5, 0, (uint8_t *)words, (uint32_t)sizeof(words)), 0);
	return (words[NEEP_XD_CAPSET_EXTENSIONS] & NEEP_XD_EXTENSION_DMABUFS) != 0;
}

/* A blob, sent as a dma-buf, arrives as the file that it is. */
static void expect_file(struct rig *rig, int host) {
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, 1, &(struct rig_id){ 100, NEEP_XD_ID_DMABUF }, 1, "x"), 0);
	host_expect(host, "x", &fds);
	assert_int_equal(fds.count, 1);
	assert_true((fcntl(fds.fd[0], F_GET_SEALS) & F_SEAL_SHRINK) != 0);
	neep_fds_finish(&fds);
}

static int connect_with_blob(struct rig *rig, uint32_t size) {
	int host = rig_connect(rig, 1);
	assert_int_equal(rig_query(rig, 1, size, 1, "R8  "), 0);
	assert_int_equal(rig_blob(rig, 1, 100, rig_word(rig, 11, NEEP_XD_REPLY_BLOB_ID), size), 0);
	return host;
}

static void kernel_that_refuses_is_told_of_once(void **state) {
	struct rig *rig = *state;
	assert_true(offers_dmabufs(rig->rutabaga));
	int host = connect_with_blob(rig, 4096);
	expect_file(rig, host);
	assert_true(rig_has_message(rig, "no dma-buf can be made of 4096 bytes"));
	rig->messages[0] = '\0';
	expect_file(rig, host);
	assert_int_equal(create_count, 2);
	assert_false(rig_has_message(rig, "no dma-buf can be made"));
	close(host);
}

static void blob_that_is_too_large_is_sent_as_a_file(void **state) {
	struct rig *rig = *state;
	int host = connect_with_blob(rig, (256 << 20) + 4096);
	expect_file(rig, host);
	assert_int_equal(create_count, 0);
	assert_true(rig_has_message(rig, "no dma-buf can be made of 268439552 bytes"));
	close(host);
}

static void host_without_udmabuf_sends_files(void **state) {
	struct rig *rig = *state;
	assert_false(offers_dmabufs(rig->rutabaga));
	int host = connect_with_blob(rig, 4096);
	expect_file(rig, host);
	assert_int_equal(create_count, 0);
	assert_false(rig_has_message(rig, "dma-buf"));
	close(host);
}

/* Whether an instance that is told these words offers dma-bufs. */
static bool offers_with(struct rig *rig, const char *features) {
	struct rutabaga *rutabaga;
	struct rutabaga_builder builder = rig_builder(rig);
	builder.wsi |= NEEP_RUTABAGA_WSI_FEATURES;
	builder.renderer_features = features;
	assert_int_equal(rutabaga_init(&builder, &rutabaga), 0);
	bool is_offered = offers_dmabufs(rutabaga);
	assert_int_equal(rutabaga_finish(&rutabaga), 0);
	return is_offered;
}

static void dmabufs_can_be_turned_off(void **state) {
	struct rig *rig = *state;
	assert_true(offers_with(rig, NULL));
	assert_true(offers_with(rig, ""));
	assert_true(offers_with(rig, "renderer-x=y,no-udmabufs,xno-udmabuf,no-udmabuf=1"));
	assert_false(offers_with(rig, "no-udmabuf"));
	assert_false(offers_with(rig, "renderer-x=y,no-udmabuf"));
	assert_false(offers_with(rig, ",no-udmabuf,renderer-x=y"));
	setenv("NEEP_NO_UDMABUF", "1", 1);
	assert_false(offers_with(rig, NULL));
	unsetenv("NEEP_NO_UDMABUF");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			kernel_that_refuses_is_told_of_once, setup_with_device, rig_teardown),
		cmocka_unit_test_setup_teardown(
			blob_that_is_too_large_is_sent_as_a_file, setup_with_device, rig_teardown),
		cmocka_unit_test_setup_teardown(
			host_without_udmabuf_sends_files, setup_without_device, rig_teardown),
		cmocka_unit_test_setup_teardown(dmabufs_can_be_turned_off, setup_with_device, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
