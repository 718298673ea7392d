#include "bench/ways.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/figures.h"
#include "util/clock.h"
#include "util/macros.h"

#define TIMEOUT_NS (30 * NEEP_NS_PER_S)

void bench_take_turns(struct bench_turns *turns) {
	bool gave_up[BENCH_PEERS_MAX] = { false };
	neep_assert(turns->peer_count <= BENCH_PEERS_MAX);
	for (uint32_t round = 0; round < turns->rounds; round++) {
		for (size_t peer = 0; peer < turns->peer_count; peer++) {
			if (turns->peers[peer].command == NULL || gave_up[peer]) {
				continue;
			}
			fprintf(stderr, "%s: %s, round %u of %u\n", turns->load, turns->peers[peer].name,
				round + 1, turns->rounds);
			gave_up[peer] = !turns->measure(turns, peer);
		}
	}
}

struct bench_ways bench_ways_default(void) {
	return (struct bench_ways){
		.peers = { { "native", "" }, { "neep", NULL }, { "other", NULL } },
		.run = "",
		.rounds = 3,
		.seconds = 1,
	};
}

int bench_ways_read(
	struct bench_ways *ways, uint64_t *loads, const struct bench_words *own, int argc, char **argv) {
	const struct bench_word shared[] = {
		{ .name = "against", .text = &ways->peers[BENCH_OTHER].command },
		{ .name = "guest", .flag = &ways->is_guest },
		{ .name = "native", .flag = &ways->is_native },
		{ .name = "only", .loads = loads },
		{ .name = "program", .text = &ways->program },
		{ .name = "rounds", .count = &ways->rounds, .min = 1, .max = BENCH_ROUNDS_MAX },
		{ .name = "run", .text = &ways->run },
		{ .name = "seconds", .number = &ways->seconds, .min = 0.01, .max = 60 },
	};
	struct bench_word all[BENCH_WORDS_MAX];
	struct bench_words words = *own;
	neep_assert(own->count <= NEEP_ARRAY_LEN(all) - NEEP_ARRAY_LEN(shared));
	memcpy(all, shared, sizeof(shared));
	for (size_t i = 0; i < own->count; i++) {
		all[NEEP_ARRAY_LEN(shared) + i] = own->words[i];
	}
	words.words = all;
	words.count += NEEP_ARRAY_LEN(shared);
	return bench_words_read(&words, argc, argv);
}

int bench_ways_find(struct bench_ways *ways, const char *name, const char *room) {
	if (ways->program == NULL) {
		ways->found = bench_program_find(name, room);
		ways->program = ways->found;
	}
	ways->prefix = bench_neep_prefix(ways->run);
	ways->peers[BENCH_NEEP].command = ways->is_native ? NULL : ways->prefix;
	return ways->program != NULL && ways->prefix != NULL ? 0 : -ENOMEM;
}

void bench_ways_finish(struct bench_ways *ways) {
	free(ways->found);
	free(ways->prefix);
	ways->found = NULL;
	ways->prefix = NULL;
}

struct bench_program *bench_ways_run(
	const struct bench_ways *ways, enum bench_way way, const char **words, const char *until) {
	struct neep_error error = { 0 };
	const struct bench_program_params params = {
		.prefix = ways->peers[way].command,
		.words = words,
		.timeout_ns = TIMEOUT_NS + (int64_t)(ways->seconds * 4 * NEEP_NS_PER_S),
		.until = until,
	};
	struct bench_program *program = bench_program_run(&params, &error);
	if (program == NULL) {
		fprintf(stderr, "%s: %s\n", ways->peers[way].name, error.text);
	}
	return program;
}
