/* A whole device in this process, for fuzz targets: rings, guest memory, rutabaga with the fake component, a sink, and a
 * front-end that answers window changes when it likes. A target makes commands out of its input and the machine puts them
 * on a ring in the shape that the input asks for.
 *
 * What must hold whatever the guest does is asserted here: every buffer comes back once, the used length is within the
 * buffer, nothing behind it is written, and the type of a reply is one of the protocol. */
#ifndef NEEP_TESTS_FUZZ_DEVICE_MACHINE_H
#define NEEP_TESTS_FUZZ_DEVICE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "util/reader.h"

struct machine;

/* Buffers that came back, over all machines. */
extern uint64_t machine_elements;

/* The first bytes of the input choose rings, features, window and sink. */
struct machine *machine_create(struct neep_reader *in);

/* Lets everything that is held go on, asserts that every buffer comes back, and ends the device. */
void machine_destroy(struct machine *machine);

/* The longest command with its payload. */
#define MACHINE_COMMAND_MAX 4096

/* Puts a command on the ring; the input chooses its length, pieces and room. Handled at the next machine_run(). */
void machine_send(struct machine *machine, enum neep_device_queue queue, const void *command, size_t len,
	struct neep_reader *in);

/* The device handles what waits; what came back is checked. */
void machine_run(struct machine *machine);

/* Something that is no command, as the input chooses: the front-end, the host user, the guest's pages, a reset. */
void machine_meddle(struct machine *machine, struct neep_reader *in);

/* Guest memory that commands may name: [0, MACHINE_AREA_SIZE) of the guest. */
#define MACHINE_AREA_SIZE UINT64_C(65536)

/* The end of guest memory. */
#define MACHINE_MEMORY_SIZE (UINT64_C(4) << 20)

#endif
