/* The entry of every fuzz target. libFuzzer calls it, or replay_main.c with the files of a corpus. */
#ifndef NEEP_TESTS_FUZZ_FUZZ_H
#define NEEP_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
