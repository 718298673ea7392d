/* Guests that mean ill: every field of every command at its extremes, commands in the wrong order, ids that are in use,
 * floods. The device answers each with the error that is meant for it, stays as it was, and keeps its log short. */
#include "device/harness.h"
#include "device/harness_internal.h"
#include "device/hostile_commands.h"
#include "device/threed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUOTA_RESOURCES 64
#define QUOTA_CONTEXTS  16
#define QUOTA_MAPS      8

#define BATCH 32

static size_t field_count(const struct command *command) {
	size_t count = 0;
	while (count < FIELDS_MAX && command->fields[count].width != 0) {
		count++;
	}
	return count;
}

static void put(struct command *command, const struct field *field, uint64_t value) {
	memcpy(command->bytes + field->offset, &value, field->width);
}

static uint64_t get(const struct command *command, const struct field *field) {
	uint64_t value = 0;
	memcpy(&value, command->bytes + field->offset, field->width);
	return value;
}

/* ---- set-up ---- */

static struct neep_guest_buffer *memory; // one page of payload, then SIZE bytes for backing

static struct check_options hostile_options(void) {
	struct check_options options = check_3d_options(WINDOW);
	options.device.quota.resources = QUOTA_RESOURCES;
	options.device.quota.contexts = QUOTA_CONTEXTS;
	options.device.quota.maps = QUOTA_MAPS;
	options.device.quota.resource_bytes = 4 << 20;
	options.device.quota.bytes = 16 << 20;
	options.device.quota.backing_entries = 64;
	options.device.quota.total_backing_entries = 256;
	options.device.quota.submit_bytes = 64 << 10;
	return options;
}

static struct virtio_gpu_mem_entry backing_entry(void) {
	return (struct virtio_gpu_mem_entry){ .addr = memory->first.guest_addr, .length = SIZE };
}

static void set_up(struct check *check) {
	const struct virtio_gpu_mem_entry entry = backing_entry();
	struct virtio_gpu_resource_create_blob blob = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		.resource_id = BLOB,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.nr_entries = 1,
		.size = SIZE,
	};
	struct neep_fake_stream stream = { .count = 0 };
	assert_int_equal(check_create_2d(check, IMAGE, 1, SIDE, SIDE), CHECK_OK);
	assert_int_equal(check_attach_entries(check, IMAGE, 1, &entry, 1), CHECK_OK);
	assert_int_equal(check_create_blob_entries(check, &blob, &entry, 1), CHECK_OK);
	assert_int_equal(check_create_3d(check, TEXTURE, SIDE, SIDE), CHECK_OK);
	assert_int_equal(check_ctx_create(check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
	check_host_blob(check, CTX, HOST, PAGE, 1);
	check_host_blob(check, CTX, 5, PAGE, 1);
	assert_int_equal(check_map(check, 5, 15 * PAGE), CHECK_OK);
	neep_fake_stream_blob(&stream, BLOB_ID, PAGE, 1, 1);
	assert_int_equal(check_submit_stream(check, CTX, &stream), CHECK_OK);
}

static struct check *open_hostile_on(const char *display) {
	struct check_options options = hostile_options();
	options.display = display;
	struct check *check = check_open(&options);
	memory = check_alloc(check, SIZE);
	return check;
}

static struct check *open_hostile(void) {
	return open_hostile_on("headless");
}

/* Every command has a payload behind it: an honest memory entry, which as a stream is two words of nonsense. */
static void make_request(struct check_request *request, const struct command *command,
	const struct virtio_gpu_mem_entry *entry) {
	bool has_payload = command->type == VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING ||
			   command->type == VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB ||
			   command->type == VIRTIO_GPU_CMD_SUBMIT_3D;
	*request = (struct check_request){
		.cmd = command->bytes,
		.cmd_len = command->len,
		.payload = has_payload ? entry : NULL,
		.payload_len = has_payload ? sizeof(*entry) : 0,
		.room = 1200,
	};
}

static uint32_t send(struct check *check, struct command *command) {
	const struct virtio_gpu_mem_entry entry = backing_entry();
	struct check_request request;
	command->hdr.type = command->type;
	make_request(&request, command, &entry);
	return check_run(check, &request, NULL, 0);
}

/* Honest work goes on. */
static void assert_works(struct check *check) {
	const struct neep_rect all = { .width = SIDE, .height = SIDE };
	struct check_picture picture = check_picture(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, SIDE, SIDE, 1);
	struct neep_guest_buffer *backing = check_image(check, 1000, &picture);
	assert_int_equal(check_set_scanout(check, 1, 1000, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 1000, &all), CHECK_OK);
	check_shows(check, 1, &picture, NULL);
	assert_int_equal(check_unref(check, 1000), CHECK_OK);
	check_shows_nothing(check, 1);
	check_free(check, backing);
	check_picture_free(&picture);
}

/* ---- one wrong field ---- */

static bool is_resource(uint64_t id) {
	return id >= 1 && id <= 5;
}

/* Whether a field of this kind accepts the value. */
static bool is_right(enum kind kind, uint64_t value) {
	switch (kind) {
	case OLD_ID:
		return is_resource(value);
	case OLD_OR_NONE:
		return is_resource(value) || value == 0;
	case NEW_ID:
		return !is_resource(value) && value != 0;
	case SCANOUT:
		return value < 2;
	case OLD_CTX:
		return value == CTX;
	case NEW_CTX:
		return value != CTX && value != 0;
	default:
		return true;
	}
}

static uint32_t error_of(enum kind kind) {
	switch (kind) {
	case SCANOUT:
		return CHECK_BAD_SCANOUT;
	case OLD_CTX:
	case NEW_CTX:
		return CHECK_BAD_CONTEXT;
	default:
		return CHECK_BAD_RESOURCE;
	}
}

static void expect(
	struct check *check, const struct command *command, const struct field *field, uint32_t resp) {
	uint64_t value = get(command, field);
	bool is_expected =
		is_right(field->kind, value)
			? resp < CHECK_UNSPEC || resp == CHECK_BAD_PARAMETER || resp == CHECK_NO_MEMORY
			: resp == error_of(field->kind);
	(void)check;
	if (!is_expected) {
		fail_msg("command 0x%04x with 0x%llx at %u is answered 0x%04x", command->type,
			(unsigned long long)value, field->offset, resp);
	}
}

static void device_names_the_mistake_when_one_field_is_wrong(void **state) {
	(void)state;
	struct check *check = open_hostile();
	set_up(check);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands); i++) {
		for (size_t f = 0; f < field_count(&commands[i]); f++) {
			for (size_t v = 0; v < NEEP_ARRAY_LEN(values); v++) {
				struct command command = commands[i];
				put(&command, &command.fields[f], values[v]);
				uint32_t resp = send(check, &command);
				expect(check, &command, &command.fields[f], resp);
				if (resp < CHECK_UNSPEC) {
					check_restart(check);
					set_up(check);
				}
			}
		}
	}
	assert_works(check);
	check_close(check);
}

static void templates_succeed_when_nothing_is_wrong(void **state) {
	(void)state;
	struct check *check = open_hostile();
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands); i++) {
		struct command command = commands[i];
		set_up(check);
		if (send(check, &command) >= CHECK_UNSPEC) {
			fail_msg("command 0x%04x fails", command.type);
		}
		check_restart(check);
	}
	check_close(check);
}

static void transfer_is_refused_when_its_offset_wraps(void **state) {
	static const uint64_t offsets[] = { 0xffffffffffffff00, 0xfffffffffffffffc, UINT64_MAX,
		UINT64_C(1) << 63, UINT64_C(1) << 32, SIZE + 1, SIZE - 3 };
	(void)state;
	struct check *check = open_hostile();
	const struct neep_rect pixel = { .width = 1, .height = 1 }, all = { .width = SIDE, .height = SIDE };
	set_up(check);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(offsets); i++) {
		assert_int_equal(check_transfer(check, IMAGE, &pixel, offsets[i]), CHECK_BAD_PARAMETER);
		assert_int_equal(check_transfer(check, IMAGE, &all, offsets[i]), CHECK_BAD_PARAMETER);
	}
	assert_int_equal(check_transfer(check, IMAGE, &pixel, SIZE - 4), CHECK_OK);
	check_close(check);
}

/* ---- many wrong fields ---- */

struct rng {
	uint64_t state;
};

static uint64_t next(struct rng *rng) {
	rng->state ^= rng->state << 13;
	rng->state ^= rng->state >> 7;
	rng->state ^= rng->state << 17;
	return rng->state;
}

struct batch {
	struct check_request requests[BATCH];
	struct command commands[BATCH];
	struct virtio_gpu_mem_entry entries[BATCH];
	size_t count;
	uint64_t sent;
};

static void flush_batch(struct check *check, struct batch *batch) {
	check_submit_many(check, batch->requests, batch->count);
	for (size_t i = 0; i < batch->count; i++) {
		check_wait(check, &batch->requests[i]);
		check_reply(check, &batch->requests[i]);
		check_release(check, &batch->requests[i]);
	}
	batch->sent += batch->count;
	batch->count = 0;
}

static struct command *batch_add(struct check *check, struct batch *batch, const struct command *command) {
	if (batch->count == BATCH) {
		flush_batch(check, batch);
	}
	size_t i = batch->count++;
	batch->commands[i] = *command;
	batch->commands[i].hdr.type = command->type;
	batch->entries[i] = backing_entry();
	make_request(&batch->requests[i], &batch->commands[i], &batch->entries[i]);
	return &batch->commands[i];
}

static void pairs_of(struct check *check, struct batch *batch, const struct command *command) {
	size_t count = field_count(command);
	for (size_t a = 0; a < count; a++) {
		for (size_t b = a + 1; b < count; b++) {
			for (size_t v = 0; v < NEEP_ARRAY_LEN(values) * NEEP_ARRAY_LEN(values); v++) {
				struct command *sent = batch_add(check, batch, command);
				put(sent, &command->fields[a], values[v / NEEP_ARRAY_LEN(values)]);
				put(sent, &command->fields[b], values[v % NEEP_ARRAY_LEN(values)]);
			}
		}
	}
}

static void device_lives_when_any_two_fields_are_wrong(void **state) {
	(void)state;
	struct check *check = open_hostile();
	struct batch *batch = calloc(1, sizeof(*batch));
	assert_non_null(batch);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands); i++) {
		set_up(check);
		pairs_of(check, batch, &commands[i]);
		flush_batch(check, batch);
		check_restart(check);
	}
	print_message("# %llu commands\n", (unsigned long long)batch->sent);
	free(batch);
	assert_works(check);
	check_close(check);
}

static uint64_t any_value(struct rng *rng) {
	uint64_t random = next(rng);
	/* Small numbers are what ids and sizes are. */
	return random % 3 == 0 ? next(rng) % 12 : values[random / 3 % NEEP_ARRAY_LEN(values)];
}

static void spoil_header(struct rng *rng, struct command *command) {
	uint64_t random = next(rng);
	if (random % 4 == 0) {
		command->hdr.flags = (uint32_t)(random >> 8 & 3) | (random % 64 == 0 ? 0xfffffffc : 0);
		command->hdr.fence_id = next(rng);
		command->hdr.ring_idx = (uint8_t)(random >> 16);
	}
	if (random % 32 == 1) {
		command->hdr.ctx_id = (uint32_t)any_value(rng);
	}
	if (random % 256 == 2) {
		command->hdr.type = (uint32_t)next(rng) & 0x13ff;
	}
}

static void spoil_shape(struct rng *rng, struct check_request *request) {
	uint64_t random = next(rng);
	if (random % 16 == 0) {
		request->cmd_len = 1 + random / 16 % request->cmd_len;
		/* What follows would be read as the rest. */
		request->payload_len = 0;
	}
	if (random % 16 == 1) {
		request->room = random / 16 % 64;
	}
	if (random % 16 == 2) {
		request->cmd_piece = 1 + random / 16 % 40;
		request->reply_piece = 1 + random / 1024 % 40;
	}
	if (random % 16 == 3 && request->payload_len > 0) {
		request->payload_len = 1 + random / 16 % request->payload_len;
	}
}

/* Inside our buffer, or outside guest memory: what lies between is ours too, rings and all, and the device writes where it
 * is told to. */
static void spoil_entry(struct rng *rng, struct virtio_gpu_mem_entry *entry) {
	uint64_t addr = any_value(rng);
	uint32_t offset = (uint32_t)(next(rng) % SIZE);
	if (addr >= UINT64_C(256) << 20) {
		entry->addr = addr;
		entry->length = (uint32_t)any_value(rng);
	} else {
		entry->addr += offset;
		entry->length = (uint32_t)(next(rng) % (SIZE - offset));
	}
}

static void send_any(struct check *check, struct batch *batch, struct rng *rng) {
	const struct command *template = &commands[next(rng) % NEEP_ARRAY_LEN(commands)];
	struct command *command = batch_add(check, batch, template);
	struct check_request *request = &batch->requests[batch->count - 1];
	struct virtio_gpu_mem_entry *entry = &batch->entries[batch->count - 1];
	for (size_t f = 0; f < field_count(template); f++) {
		if (next(rng) % 4 == 0) {
			put(command, &template->fields[f], any_value(rng));
		}
	}
	if (next(rng) % 8 == 0) {
		spoil_entry(rng, entry);
	}
	if (command->type == VIRTIO_GPU_CMD_SUBMIT_3D) {
		/* An unknown opcode, or NOPs; HOLD would make fences wait. */
		entry->addr = next(rng) % 2 == 0 ? 0 : UINT64_MAX;
		entry->length = 0;
	}
	spoil_header(rng, command);
	spoil_shape(rng, request);
}

static uint32_t random_commands(void) {
	return getenv("NEEP_TEST_LONG") != NULL ? 3000000 : 200000;
}

static void send_random_commands(const char *display) {
	struct check *check = open_hostile_on(display);
	struct batch *batch = calloc(1, sizeof(*batch));
	struct rng rng = { 0x9e3779b97f4a7c15 };
	assert_non_null(batch);
	uint64_t rss = 0;
	set_up(check);
	for (uint32_t i = 0, count = random_commands(); i < count; i++) {
		send_any(check, batch, &rng);
		if (i % 20000 == 19999) {
			flush_batch(check, batch);
			check_restart(check);
			set_up(check);
		}
		if (i == count / 2) {
			rss = check_rss(check);
		}
	}
	flush_batch(check, batch);
	free(batch);
	check_restart(check);
	assert_works(check);
	assert_in_range(check_rss(check), 0, rss + CHECK_RSS_SLACK + (16 << 20));
	check_close(check);
}

static void device_lives_when_everything_is_wrong_at_random(void **state) {
	(void)state;
	send_random_commands("headless");
	send_random_commands("qemu");
}

/* ---- order ---- */

static void commands_fail_when_their_objects_are_not_there_yet_or_no_more(void **state) {
	const struct neep_rect all = { .width = SIDE, .height = SIDE };
	const struct neep_fake_stream nop = { .count = 1 };
	(void)state;
	struct check *check = open_hostile();
	for (uint32_t round = 0; round < 2; round++) {
		const struct virtio_gpu_mem_entry entry = backing_entry();
		assert_int_equal(check_flush(check, IMAGE, &all), CHECK_BAD_RESOURCE);
		assert_int_equal(check_transfer(check, IMAGE, &all, 0), CHECK_BAD_RESOURCE);
		assert_int_equal(check_set_scanout(check, 0, IMAGE, &all), CHECK_BAD_RESOURCE);
		assert_int_equal(check_attach_entries(check, IMAGE, 1, &entry, 1), CHECK_BAD_RESOURCE);
		assert_int_equal(check_detach(check, IMAGE), CHECK_BAD_RESOURCE);
		assert_int_equal(check_unref(check, IMAGE), CHECK_BAD_RESOURCE);
		assert_int_equal(check_map(check, HOST, 0), CHECK_BAD_RESOURCE);
		assert_int_equal(check_unmap(check, HOST), CHECK_BAD_RESOURCE);
		assert_int_equal(check_submit_stream(check, CTX, &nop), CHECK_BAD_CONTEXT);
		assert_int_equal(check_ctx_destroy(check, CTX), CHECK_BAD_CONTEXT);
		assert_int_equal(check_ctx_attach(check, CTX, IMAGE), CHECK_BAD_CONTEXT);
		if (round == 0) {
			set_up(check);
			for (uint32_t id = 5; id >= 1; id--) {
				assert_int_equal(check_unref(check, id), CHECK_OK);
			}
			assert_int_equal(check_ctx_destroy(check, CTX), CHECK_OK);
		}
	}
	check_close(check);
}

static void old_resource_stays_when_its_id_is_used_again_while_it_is_shown(void **state) {
	const struct neep_rect all = { .width = SIDE, .height = SIDE };
	(void)state;
	struct check *check = open_hostile();
	struct check_picture picture = check_picture(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, SIDE, SIDE, 5);
	check_image(check, 20, &picture);
	assert_int_equal(check_set_scanout(check, 0, 20, &all), CHECK_OK);
	assert_int_equal(check_flush(check, 20, &all), CHECK_OK);
	struct virtio_gpu_resource_create_blob blob = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		.resource_id = 20,
		.blob_mem = 1,
		.size = PAGE };
	assert_int_equal(check_create_2d(check, 20, 1, 8, 8), CHECK_BAD_RESOURCE);
	assert_int_equal(check_create_3d(check, 20, 8, 8), CHECK_BAD_RESOURCE);
	assert_int_equal(check_send(check, &blob), CHECK_BAD_RESOURCE);
	assert_int_equal(check_flush(check, 20, &all), CHECK_OK);
	check_shows(check, 0, &picture, NULL);
	/* Gone and back as something else: the output does not show it by itself. */
	assert_int_equal(check_unref(check, 20), CHECK_OK);
	assert_int_equal(check_send(check, &blob), CHECK_OK);
	assert_int_equal(check_flush(check, 20, &all), CHECK_OK);
	check_shows_nothing(check, 0);
	check_picture_free(&picture);
	check_close(check);
}

/* ---- floods ---- */

static void flood_of_resources_ends_at_the_quota_and_leaves_the_rest_working(void **state) {
	(void)state;
	struct check *check = open_hostile();
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t id = 1; id <= QUOTA_RESOURCES; id++) {
			assert_int_equal(check_create_2d(check, id, 1, 8, 8), CHECK_OK);
		}
		for (uint32_t i = 0; i < 1000; i++) {
			assert_int_equal(check_create_2d(check, 5000 + i, 1, 8, 8), CHECK_NO_MEMORY);
			assert_int_equal(check_create_3d(check, 5000 + i, 8, 8), CHECK_NO_MEMORY);
		}
		assert_int_equal(check_unref(check, 7), CHECK_OK);
		assert_works(check);
		for (uint32_t id = 1; id <= QUOTA_RESOURCES; id++) {
			assert_int_equal(check_unref(check, id), id == 7 ? CHECK_BAD_RESOURCE : CHECK_OK);
		}
	}
	check_close(check);
}

static void flood_of_bytes_ends_at_the_quota(void **state) {
	(void)state;
	struct check *check = open_hostile();
	assert_int_equal(check_create_2d(check, 1, 1, 16384, 16384), CHECK_NO_MEMORY);
	for (uint32_t id = 1; id <= 4; id++) {
		assert_int_equal(check_create_2d(check, id, 1, 1024, 1024), CHECK_OK);
	}
	assert_int_equal(check_create_2d(check, 5, 1, 1, 1), CHECK_NO_MEMORY);
	assert_int_equal(check_unref(check, 2), CHECK_OK);
	assert_works(check);
	assert_int_equal(check_create_2d(check, 5, 1, 1024, 1024), CHECK_OK);
	check_close(check);
}

static void flood_of_contexts_ends_at_the_quota(void **state) {
	(void)state;
	struct check *check = open_hostile();
	for (uint32_t i = 0; i < QUOTA_CONTEXTS; i++) {
		assert_int_equal(check_ctx_create(check, 100 + i, NEEP_FAKE_CAPSET), CHECK_OK);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(check_ctx_create(check, 200 + i, NEEP_FAKE_CAPSET), CHECK_NO_MEMORY);
	}
	assert_int_equal(check_ctx_destroy(check, 103), CHECK_OK);
	assert_int_equal(check_ctx_create(check, 1, NEEP_FAKE_CAPSET), CHECK_OK);
	check_close(check);
}

static void flood_of_entries_ends_at_the_quota(void **state) {
	(void)state;
	struct check *check = open_hostile();
	struct neep_guest_buffer *pages = check_alloc_scattered(check, 65 * PAGE);
	size_t count;
	struct virtio_gpu_mem_entry *entries = check_entries(pages, &count);
	for (uint32_t id = 1; id <= 5; id++) {
		assert_int_equal(check_create_2d(check, id, 1, 8, 8), CHECK_OK);
	}
	assert_int_equal(check_attach_entries(check, 1, 65, entries, 65), CHECK_NO_MEMORY);
	for (uint32_t id = 1; id <= 4; id++) {
		assert_int_equal(check_attach_entries(check, id, 64, entries, 64), CHECK_OK);
	}
	assert_int_equal(check_attach_entries(check, 5, 1, entries, 1), CHECK_NO_MEMORY);
	assert_int_equal(check_unref(check, 3), CHECK_OK);
	assert_int_equal(check_attach_entries(check, 5, 64, entries, 64), CHECK_OK);
	free(entries);
	check_close(check);
}

/* ---- the log ---- */

static uint32_t log_lines(struct check *check) {
	static char text[1 << 20];
	ssize_t got = pread(check->log_fd, text, sizeof(text), 0);
	assert_in_range(got, 0, sizeof(text) - 1);
	uint32_t lines = 0;
	for (ssize_t i = 0; i < got; i++) {
		lines += text[i] == '\n';
	}
	return lines;
}

/* Mistakes are told by the device, by the library and by the ring: each may say NEEP_LOG_GUEST_BURST lines a second and
 * one of what it left out. */
static void log_stays_short_when_a_guest_makes_a_hundred_thousand_mistakes(void **state) {
	(void)state;
	struct check *check = open_hostile();
	if (check->log_fd < 0) {
		check_close(check);
		return;
	}
	struct batch *batch = calloc(1, sizeof(*batch));
	assert_non_null(batch);
	int64_t start = neep_clock_ns();
	for (uint32_t i = 0; i < 100000; i++) {
		/* A TRANSFER without a resource, and a texture that the renderer refuses. */
		struct command *sent = batch_add(check, batch, &commands[i % 2 == 0 ? 5 : 19]);
		sent->create_3d.depth = i % 2 == 0 ? 0 : 99;
	}
	flush_batch(check, batch);
	free(batch);
	uint64_t seconds = (uint64_t)(neep_clock_ns() - start) / NEEP_NS_PER_S + 2;
	assert_in_range(log_lines(check), 1, 3 * (NEEP_LOG_GUEST_BURST + 1) * seconds);
	check_close(check);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		device_check(templates_succeed_when_nothing_is_wrong),
		device_check(device_names_the_mistake_when_one_field_is_wrong),
		device_check(transfer_is_refused_when_its_offset_wraps),
		device_check(device_lives_when_any_two_fields_are_wrong),
		device_check(device_lives_when_everything_is_wrong_at_random),
		device_check(commands_fail_when_their_objects_are_not_there_yet_or_no_more),
		device_check(old_resource_stays_when_its_id_is_used_again_while_it_is_shown),
		device_check(flood_of_resources_ends_at_the_quota_and_leaves_the_rest_working),
		device_check(flood_of_bytes_ends_at_the_quota),
		device_check(flood_of_contexts_ends_at_the_quota),
		device_check(flood_of_entries_ends_at_the_quota),
		device_check(log_stays_short_when_a_guest_makes_a_hundred_thousand_mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
