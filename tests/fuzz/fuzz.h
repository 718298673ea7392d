/* The entry of every fuzz target. libFuzzer calls it, or replay_main.c with the files of a corpus. */
#ifndef NEEP_TESTS_FUZZ_FUZZ_H
#define NEEP_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "util/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For neep_log_set_handler(): what inputs make the program say is no news. */
static inline void fuzz_ignore_line(
	void *data, enum neep_log_level level, const char *topic, const char *line) {
	(void)data;
	(void)level;
	(void)topic;
	(void)line;
}

#endif
