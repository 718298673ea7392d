/* A node in the test's own process, in front of a device process with the fake 3D component. */
#ifndef NEEP_TESTS_VIRTGPU_MACHINE_H
#define NEEP_TESTS_VIRTGPU_MACHINE_H

#include <stdint.h>
#include <sys/types.h>

#include "driver/driver.h"
#include "util/loop.h"
#include "virtgpu/node.h"

struct machine {
	pid_t device;
	struct neep_driver *driver;
	struct neep_loop *loop;
	struct neep_virtgpu_node *node;
};

/* Set-up and tear-down of a case: *state is the machine. The device must end well; machine_bury() is for one that was
 * killed. */
int machine_start(void **state);
int machine_stop(void **state);
int machine_bury(void **state);

/* Serves for `ns`. */
void machine_run_for(struct machine *machine, int64_t ns);

/* Serves until nothing is left in the node, then looks that nothing is left in the device; fails the test otherwise. */
void machine_await_empty(struct machine *machine);

#endif
