/* Buffers: layouts, and the memory made of them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "support/fd_check.h"

struct reply {
	uint32_t strides[4];
	uint32_t offsets[4];
	uint64_t modifier;
	uint64_t size;
	uint32_t blob_id;
	uint32_t map_info;
	int32_t memory_idx;
	int32_t device_idx;
};

static struct reply ask(struct rig *rig, uint32_t width, uint32_t height, const char *fourcc, int expected) {
	struct reply reply;
	memset(rig_bytes(rig, 11), 0xff, 4096);
	assert_int_equal(rig_query(rig, 1, width, height, fourcc), expected);
	memcpy(&reply, rig_bytes(rig, 11), sizeof(reply));
	assert_int_equal(rig_word(rig, 11, 64), UINT32_MAX);
	return reply;
}

static void layouts_are_linear(void **state) {
	static const struct {
		const char *fourcc;
		uint32_t width, height;
		uint32_t strides[3], offsets[3];
		uint64_t size;
	} layouts[] = {
		{ "R8  ", 65536, 1, { 65536 }, { 0 }, 65536 },
		{ "R8  ", 5000, 1, { 5000 }, { 0 }, 8192 },
		{ "RG16", 100, 10, { 200 }, { 0 }, 4096 },
		{ "BG24", 100, 10, { 300 }, { 0 }, 4096 },
		{ "XR24", 640, 480, { 2560 }, { 0 }, 1228800 },
		{ "AR24", 640, 480, { 2560 }, { 0 }, 1228800 },
		{ "XB24", 1, 1, { 4 }, { 0 }, 4096 },
		{ "AB24", 1, 1025, { 4 }, { 0 }, 8192 },
		{ "XR30", 10, 10, { 40 }, { 0 }, 4096 },
		{ "AB4H", 512, 2, { 4096 }, { 0 }, 8192 },
		{ "NV12", 10, 10, { 10, 10 }, { 0, 100 }, 4096 },
		{ "NV12", 11, 11, { 11, 12 }, { 0, 121 }, 4096 },
		{ "YV12", 64, 64, { 64, 32, 32 }, { 0, 4096, 5120 }, 8192 },
		{ "XR24", 0, 512, { 0 }, { 0 }, 4096 },
		{ "XR24", 512, 0, { 2048 }, { 0 }, 4096 },
	};
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		struct reply reply = ask(rig, layouts[i].width, layouts[i].height, layouts[i].fourcc, 0);
		assert_memory_equal(reply.strides, layouts[i].strides, 12);
		assert_memory_equal(reply.offsets, layouts[i].offsets, 12);
		assert_int_equal(reply.strides[3] | reply.offsets[3], 0);
		assert_int_equal(reply.modifier, 0);
		assert_int_equal(reply.size, layouts[i].size);
		assert_int_equal(reply.blob_id, i + 2);
		assert_int_equal(reply.map_info, RUTABAGA_MAP_CACHE_CACHED);
		assert_int_equal(reply.memory_idx, -1);
	}
	close(host);
}

static void query_that_fails_is_answered_with_nothing(void **state) {
	static const struct {
		const char *fourcc;
		uint32_t width, height;
		int rc;
	} queries[] = {
		{ "P010", 16, 16, -ENOTSUP },
		{ "\0\0\0\0", 16, 16, -ENOTSUP },
		{ "XR24", 0x40000000, 1, -EFBIG },
		{ "XR24", 0xffffffff, 0xffffffff, -EFBIG },
		{ "R8  ", (1u << 30) + 1, 1, -EFBIG },
		{ "R8  ", 65536, 65536, -EFBIG },
		{ "NV12", 0xfffffffe, 0xffffffff, -EFBIG },
	};
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct reply reply =
			ask(rig, queries[i].width, queries[i].height, queries[i].fourcc, queries[i].rc);
		static const struct reply nothing;
		assert_memory_equal(&reply, &nothing, sizeof(reply));
	}
	close(host);
}

static void same_query_gives_the_same_template(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	uint32_t first = ask(rig, 64, 64, "XR24", 0).blob_id;
	uint32_t second = ask(rig, 64, 64, "AR24", 0).blob_id;
	uint32_t third = ask(rig, 64, 64, "R8  ", 0).blob_id;
	assert_true(first != second && second != third && first != third);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(rig, 64, 64, "XR24", 0).blob_id, first);
		assert_int_equal(ask(rig, 64, 64, "AR24", 0).blob_id, second);
		assert_int_equal(ask(rig, 64, 64, "R8  ", 0).blob_id, third);
	}
	close(host);
}

static void many_sizes_are_known(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	for (uint32_t i = 1; i <= 10000; i++) {
		assert_int_equal(ask(rig, i, 1, "R8  ", 0).blob_id, i + 1);
	}
	assert_int_equal(ask(rig, 5000, 1, "R8  ", 0).blob_id, 5001);
	close(host);
}

static void templates_have_an_end(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	for (uint32_t i = 1; i <= 65536; i++) {
		assert_int_equal(rig_query(rig, 1, i, 1, "R8  "), 0);
	}
	assert_int_equal(ask(rig, 65537, 1, "R8  ", -ENOMEM).blob_id, 0);
	assert_int_equal(ask(rig, 1, 1, "R8  ", 0).blob_id, 2);
	close(host);
}

static void template_makes_any_number_of_blobs(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	struct reply reply = ask(rig, 64, 64, "XR24", 0);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(rig_blob(rig, 1, 100 + i, reply.blob_id, reply.size), 0);
	}
	assert_int_equal(rig_blob(rig, 1, 200, reply.blob_id, reply.size + 4096), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 200, reply.blob_id, reply.size - 4096), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 200, reply.blob_id + 1, reply.size), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 200, 0, reply.size), -EINVAL);
	struct rutabaga_create_blob create = {
		.blob_mem = RUTABAGA_BLOB_MEM_HOST3D_GUEST, .blob_id = reply.blob_id, .size = reply.size
	};
	assert_int_equal(rutabaga_resource_create_blob(rig->rutabaga, 1, 200, &create, NULL, NULL), -EINVAL);
	close(host);
}

/* What the guest draws is what the compositor sees, and the compositor can pull nothing away. */
static void blob_is_shared_with_the_host(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	struct reply reply = ask(rig, 8192, 1, "R8  ", 0);
	assert_int_equal(rig_blob(rig, 1, 100, reply.blob_id, reply.size), 0);
	struct rig_id ids[] = { { 100, NEEP_XD_ID_BLOB }, { 100, NEEP_XD_ID_BLOB } };
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, 1, ids, 2, "pool"), 0);
	host_expect(host, "pool", &fds);
	assert_int_equal(fds.count, 2);
	struct stat st;
	assert_int_equal(fstat(fds.fd[0], &st), 0);
	assert_int_equal(st.st_size, 8192);
	assert_int_equal(fcntl(fds.fd[0], F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	struct rutabaga_mapping mapping;
	assert_int_equal(rutabaga_resource_map(rig->rutabaga, 100, &mapping), 0);
	uint8_t *seen = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fds.fd[1], 0);
	((volatile uint8_t *)mapping.ptr)[8191] = 0xab;
	assert_int_equal(seen[8191], 0xab);
	munmap(seen, 8192);
	neep_fds_finish(&fds);
	close(host);
}

static void only_attached_memory_with_an_fd_is_sent(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1), other = rig_connect(rig, 2);
	struct reply reply = ask(rig, 4096, 1, "R8  ", 0);
	assert_int_equal(rig_blob(rig, 1, 100, reply.blob_id, reply.size), 0);
	/* A ring is guest memory; 100 is not attached to context 2; 999 is nothing; other types are not for guests to send. */
	static const struct rig_id ids[] = { { 11, 1 }, { 999, 1 }, { 100, 0 }, { 100, 2 }, { 100, 4 },
		{ 100, 5 }, { 100, 6 }, { 100, 7 }, { 100, UINT32_MAX } };
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_true(rig_send(rig, 1, &ids[i], 1, "x") < 0);
	}
	assert_int_equal(rig_send(rig, 2, &(struct rig_id){ 100, 1 }, 1, "x"), -EINVAL);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 2, 100), 0);
	struct neep_fds fds = { .count = 0 };
	assert_int_equal(rig_send(rig, 2, &(struct rig_id){ 100, 1 }, 1, "x"), 0);
	host_expect(other, "x", &fds);
	neep_fds_finish(&fds);
	assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, 1, 100), 0);
	assert_int_equal(rig_send(rig, 1, &(struct rig_id){ 100, 1 }, 1, "x"), -EINVAL);
	close(host);
	close(other);
}

static void memory_of_a_context_has_a_limit(void **state) {
	struct rig *rig = *state;
	int host = rig_connect(rig, 1);
	struct reply reply = ask(rig, 1 << 30, 1, "R8  ", 0);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(rig_blob(rig, 1, 100 + i, reply.blob_id, reply.size), 0);
	}
	assert_int_equal(rig_blob(rig, 1, 104, reply.blob_id, reply.size), -ENOMEM);
	assert_int_equal(rutabaga_resource_unref(rig->rutabaga, 102), 0);
	assert_int_equal(rig_blob(rig, 1, 104, reply.blob_id, reply.size), 0);
	/* Blobs may outlive their context. */
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
	assert_int_equal(rutabaga_resource_unref(rig->rutabaga, 104), 0);
	close(host);
}

static void context_without_a_channel_makes_buffers(void **state) {
	struct rig *rig = *state;
	rig_context(rig, 1);
	rig_page(rig, 1, 11, 4096);
	const uint32_t init[] = { 20 << 16 | NEEP_XD_INIT, 0, 11, 0, 0 };
	assert_int_equal(rig_submit_words(rig, 1, init, 5), 0);
	struct reply reply = ask(rig, 4096, 1, "R8  ", 0);
	assert_int_equal(rig_blob(rig, 1, 100, reply.blob_id, reply.size), 0);
	assert_int_equal(rig_send(rig, 1, NULL, 0, "x"), -EPIPE);
	uint64_t fence = rig_poll(rig, 1);
	rig_idle(rig, 5);
	assert_false(rig_is_done(rig, fence));
	assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, 1, 11), 0);
	assert_int_equal(rig_query(rig, 1, 1, 1, "R8  "), -ENXIO);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		rig_test(layouts_are_linear),
		rig_test(query_that_fails_is_answered_with_nothing),
		rig_test(same_query_gives_the_same_template),
		rig_test(many_sizes_are_known),
		rig_test(templates_have_an_end),
		rig_test(template_makes_any_number_of_blobs),
		rig_test(blob_is_shared_with_the_host),
		rig_test(only_attached_memory_with_an_fd_is_sent),
		rig_test(memory_of_a_context_has_a_limit),
		rig_test(context_without_a_channel_makes_buffers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
