/* The decoder against an encoder that was written from the notation of the wire alone: every command, and every struct. */
#include "support/cmocka.h"

#include <stdlib.h>

#include "vulkan_room/samples.h"

#define MAX_REPORTS 20

static struct neep_stub_world world;
static const char *subject;
static unsigned wrong;

void neep_sample_wrong(const char *what) {
	if (wrong++ < MAX_REPORTS) {
		print_message("# %s: %s is not as encoded\n", subject, what);
	}
}

const void *neep_sample_find(const void *chain, uint32_t s_type) {
	static const uint64_t nothing[512];
	for (const VkBaseInStructure *link = chain; link != NULL; link = link->pNext) {
		if (link->sType == (VkStructureType)s_type) {
			return link;
		}
	}
	neep_sample_wrong("a struct that is missing in its chain");
	return nothing;
}

/* The sample with the ids of this run, behind `head` bytes. Freed by the caller. */
static uint8_t *patched(const struct neep_sample_bytes *bytes, size_t head) {
	uint8_t *copy = malloc(head + bytes->len + 1);
	assert_non_null(copy);
	memset(copy, 0, head);
	memcpy(copy + head, bytes->data, bytes->len);
	for (size_t i = 0; i < bytes->patch_count; i++) {
		memcpy(copy + head + bytes->patches[i].offset, &world.ids[bytes->patches[i].type],
			sizeof(uint64_t));
	}
	return copy;
}

static void begin(const char *name) {
	subject = name;
	assert_true(neep_stub_world_init(&world));
}

static void end(void) {
	neep_stub_world_finish(&world);
}

static int decode(const struct neep_sample *sample, const uint8_t *packet, size_t len) {
	if (!sample->is_recorded) {
		return neep_vk_decode_packet(&world.decoder, packet, len);
	}
	return neep_stub_record(&world, packet, len);
}

static size_t head_of(const struct neep_sample *sample) {
	return sample->is_recorded ? NEEP_VK_COMMAND_HEADER : NEEP_VK_PACKET_HEADER;
}

static void set_header(uint8_t *packet, uint32_t opcode, size_t len) {
	uint32_t words[] = { opcode, (uint32_t)len };
	memcpy(packet, words, sizeof(words));
}

/* The reply, with the places that depend on the run taken over. */
static void check_reply(const struct neep_sample_bytes *expected) {
	const struct neep_vk_reply *reply = &world.decoder.reply;
	if (reply->len != expected->len) {
		print_message("# a reply of %zu bytes, not %zu\n", reply->len, expected->len);
		neep_sample_wrong("the length of the reply");
		return;
	}
	uint8_t *copy = malloc(expected->len + 1);
	memcpy(copy, expected->data, expected->len);
	for (size_t i = 0; i < expected->patch_count; i++) {
		size_t at = expected->patches[i].offset;
		memcpy(copy + at, reply->buf + at, expected->patches[i].type < 0 ? 4 : 8);
	}
	for (size_t i = 0; i < expected->len; i++) {
		if (copy[i] != reply->buf[i]) {
			print_message("# byte %zu of the reply is %u, not %u\n", i, reply->buf[i], copy[i]);
			neep_sample_wrong("the reply");
			break;
		}
	}
	free(copy);
}

static void run_sample(const struct neep_sample *sample) {
	begin(sample->name);
	size_t head = head_of(sample);
	uint8_t *packet = patched(&sample->request, head);
	set_header(packet, sample->opcode, head + sample->request.len);
	int rc = decode(sample, packet, head + sample->request.len);
	if (rc != 0) {
		print_message("# %s\n", world.decoder.reason);
		neep_sample_wrong("that it can be decoded");
	} else if (!sample->is_recorded && neep_reader_left(&world.decoder.in) != 0) {
		neep_sample_wrong("where it ends");
	} else if (!sample->is_recorded && world.decoder.refusal == 0) {
		check_reply(&sample->reply);
	}
	free(packet);
	end();
}

static void decoder_agrees_with_the_notation_for_every_command(void **state) {
	(void)state;
	wrong = 0;
	unsigned executed = 0;
	for (size_t i = 0; i < neep_sample_count; i++) {
		run_sample(&neep_samples[i]);
		executed += neep_stub_log.calls != 0;
	}
	print_message("# %u of %zu were executed\n", executed, neep_sample_count);
	assert_int_equal(wrong, 0);
}

static void decoder_agrees_with_the_notation_for_every_struct(void **state) {
	(void)state;
	wrong = 0;
	for (size_t i = 0; i < neep_struct_sample_count; i++) {
		const struct neep_sample_struct *sample = neep_struct_samples[i];
		begin(sample->name);
		uint8_t *bytes = patched(&sample->bytes, 0);
		world.decoder.call.device = world.device;
		neep_reader_init(&world.decoder.in, bytes, sample->bytes.len);
		sample->check(&world.decoder, bytes);
		if (!neep_reader_ok(&world.decoder.in) || neep_reader_left(&world.decoder.in) != 0) {
			print_message("# %s\n", world.decoder.reason);
			neep_sample_wrong("where it ends");
		}
		free(bytes);
		end();
	}
	assert_int_equal(wrong, 0);
}

/* Each on a heap block of its own, so that ASan sees every byte too many. */
static void cut_sample(const struct neep_sample *sample, size_t len) {
	size_t head = head_of(sample);
	uint8_t *whole = patched(&sample->request, head);
	uint8_t *packet = malloc(len);
	assert_non_null(packet);
	memcpy(packet, whole, len);
	set_header(packet, sample->opcode, len);
	world.decoder.call.is_failed = false;
	if (decode(sample, packet, len) == 0) {
		print_message("# at %zu of %zu\n", len, head + sample->request.len);
		neep_sample_wrong("that it fails when it is cut");
	}
	world.decoder.call.is_failed = false;
	free(packet);
	free(whole);
}

static void decoder_fails_when_a_packet_is_cut_at_any_byte(void **state) {
	(void)state;
	wrong = 0;
	for (size_t i = 0; i < neep_sample_count; i++) {
		const struct neep_sample *sample = &neep_samples[i];
		size_t head = head_of(sample);
		/* Long ones at every seventh byte: there are many. */
		size_t step = sample->request.len > 2000 ? 7 : 1;
		begin(sample->name);
		for (size_t len = head; len < head + sample->request.len; len += step) {
			cut_sample(sample, len);
		}
		end();
	}
	assert_int_equal(wrong, 0);
}

int main(void) {
	neep_log_set_level(NEEP_LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoder_agrees_with_the_notation_for_every_command),
		cmocka_unit_test(decoder_agrees_with_the_notation_for_every_struct),
		cmocka_unit_test(decoder_fails_when_a_packet_is_cut_at_any_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
