/* Commands out of fuzz bytes: the type chooses the fields, and the input what each of them holds, mostly values that mean
 * something to the device. */
#ifndef NEEP_TESTS_FUZZ_DEVICE_COMMAND_H
#define NEEP_TESTS_FUZZ_DEVICE_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "util/reader.h"

/* Writes a control command with its payload; returns its length, at most MACHINE_COMMAND_MAX. */
size_t fuzz_control_command(struct neep_reader *in, uint8_t *out);

/* The same for the cursor queue. */
size_t fuzz_cursor_command(struct neep_reader *in, uint8_t *out);

/* A command as it stands in the input behind its length of 16 bits: what record.py has recorded. */
size_t fuzz_raw_command(struct neep_reader *in, uint8_t *out);

/* The step of a target that sends one. */
#define FUZZ_RAW_STEP 252

#endif
