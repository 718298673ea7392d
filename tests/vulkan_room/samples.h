/* Random packets, and what must come of them: made by make_samples.py. */
#ifndef NEEP_TESTS_VULKAN_ROOM_SAMPLES_H
#define NEEP_TESTS_VULKAN_ROOM_SAMPLES_H

#include "neep_vk_structs.h"
#include "vulkan_room/stubs.h"

/* A place that depends on the run: in a request the id of an object of that type; in a reply any bytes: 8, or 4 for type -1. */
struct neep_sample_patch {
	size_t offset;
	int type;
};

struct neep_sample_bytes {
	const uint8_t *data;
	size_t len;
	const struct neep_sample_patch *patches;
	size_t patch_count;
};

struct neep_sample {
	const char *name;
	uint32_t opcode;
	bool is_recorded;
	struct neep_sample_bytes request; // without header
	struct neep_sample_bytes reply;
};
extern const struct neep_sample neep_samples[];
extern const size_t neep_sample_count;

struct neep_sample_struct {
	const char *name;
	struct neep_sample_bytes bytes;
	void (*check)(struct neep_vk_decoder *d, const uint8_t *p);
};
extern const struct neep_sample_struct *const neep_struct_samples[];
extern const size_t neep_struct_sample_count;

/* Told by the checks. */
void neep_sample_wrong(const char *what);
#define CHECK(at, value)                        \
	do {                                    \
		if (!((at) == (value))) {       \
			neep_sample_wrong(#at); \
		}                               \
	} while (0)
#define CHECK_TEXT(at, text)                                     \
	do {                                                     \
		if ((at) == NULL || strcmp((at), (text)) != 0) { \
			neep_sample_wrong(#at);                  \
		}                                                \
	} while (0)

/* The struct of that type in a chain; a zeroed place when it is missing. */
const void *neep_sample_find(const void *chain, uint32_t s_type);
#define find(chain, s_type) neep_sample_find((chain), (s_type))

#endif
