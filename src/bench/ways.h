/* The ways to do the same thing, which are measured in turns, and the programs that are run in these ways. */
#ifndef NEEP_BENCH_WAYS_H
#define NEEP_BENCH_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/program.h"
#include "bench/words.h"

struct bench_peer {
	const char *name;    // in what is printed
	const char *command; // what is run, or shell words before a program; NULL: it does not take part
};

/* ---- turns ---- */

#define BENCH_PEERS_MAX 3

struct bench_turns {
	const char *load; // its name, for the lines of progress
	const struct bench_peer *peers;
	size_t peer_count;
	uint32_t rounds;
	/* Returns whether the peer is to be measured in the next round too. */
	bool (*measure)(struct bench_turns *turns, size_t peer);
};

/* A B A B...: whatever else the machine does meets all. Progress goes to stderr. */
void bench_take_turns(struct bench_turns *turns);

/* ---- programs ---- */

enum bench_way {
	BENCH_NATIVE,
	BENCH_NEEP,
	BENCH_OTHER,
	BENCH_WAYS,
};

/* What the command line says, which is borrowed, and what is found with that. */
struct bench_ways {
	struct bench_peer peers[BENCH_WAYS];
	const char *program; // NULL: ours
	const char *run;     // options of `neep run`
	bool is_native;      // do without neep
	bool is_guest;       // in a guest, where the device is the machine's own: without `neep run`
	uint32_t rounds;
	double seconds; // of one measurement
	char *found;    // our program; NULL: none was looked for
	char *prefix;   // of `neep run`
};

/* Before the command line is read: three rounds of a second each, natively and through neep. */
struct bench_ways bench_ways_default(void);

/* Reads the command line, as bench_words_read() does: the options that all benches of ways have, --only among them, and `own`, of
 * which there may be none. */
int bench_ways_read(
	struct bench_ways *ways, uint64_t *loads, const struct bench_words *own, int argc, char **argv);

/* After the command line was read: finds the program, of this name and built in this room, and `neep run`. Returns 0 or -ENOMEM;
 * bench_ways_finish() frees what it has found in both cases. */
int bench_ways_find(struct bench_ways *ways, const char *name, const char *room);
void bench_ways_finish(struct bench_ways *ways);

/* bench_program_run() in this way, with a limit of time that goes with ways->seconds. NULL after it has told on stderr what went
 * wrong. */
struct bench_program *bench_ways_run(
	const struct bench_ways *ways, enum bench_way way, const char **words, const char *until);

#endif
