/* How fast recorded commands are decoded, before a driver that does nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "vulkan_room/stubs.h"

#define PAIRS  10000
#define ROUNDS 200

/* vkCmdPushConstants of 12 bytes and vkCmdDraw. */
static size_t write_pair(uint8_t *at, uint64_t layout) {
	const uint32_t push[] = { 20132, 40, (uint32_t)layout, (uint32_t)(layout >> 32), 1, 0, 12, 1, 2, 3 };
	const uint32_t draw[] = { 20106, 24, 3, 1, 0, 0 };
	memcpy(at, push, sizeof(push));
	memcpy(at + sizeof(push), draw, sizeof(draw));
	return sizeof(push) + sizeof(draw);
}

int main(void) {
	struct neep_stub_world world;
	uint8_t *commands = malloc((size_t)PAIRS * 64);
	if (commands == NULL || !neep_stub_world_init(&world)) {
		return 1;
	}
	size_t len = 0;
	for (int i = 0; i < PAIRS; i++) {
		len += write_pair(commands + len, world.ids[NEEP_VK_PIPELINE_LAYOUT]);
	}
	int64_t start = neep_clock_ns();
	for (int i = 0; i < ROUNDS; i++) {
		if (neep_stub_record(&world, commands, len) != 0) {
			fprintf(stderr, "%s\n", world.decoder.reason);
			return 1;
		}
	}
	double ns = (double)(neep_clock_ns() - start);
	printf("%.2f ns a command, %llu calls\n", ns / (2.0 * PAIRS * ROUNDS),
		(unsigned long long)neep_stub_log.calls);
	neep_stub_world_finish(&world);
	free(commands);
	return 0;
}
