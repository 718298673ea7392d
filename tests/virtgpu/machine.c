#include "virtgpu/machine.h"

#include "support/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/process.h"
#include "driver/gpu.h"
#include "support/await.h"

static int start_device(struct machine *machine) {
	int pair[2];
	char text[16];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	snprintf(text, sizeof(text), "%d", pair[1]);
	machine->device = fork();
	if (machine->device == 0) {
		const char *program = getenv("NEEP_TEST_DEVICE");
		fcntl(pair[1], F_SETFD, 0);
		execl(program, program, "--fd", text, "--display", "none", "--hostmem", "1G", "--log-level",
			"error", "--control", "control", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	return pair[0];
}

int machine_start(void **state) {
	static struct machine machine;
	folder_enter();
	struct neep_error error;
	struct neep_driver_options options = neep_virtgpu_driver_options();
	machine.driver = neep_driver_create(start_device(&machine), &options, &error);
	assert_non_null(machine.driver);
	assert_int_equal(neep_driver_start(machine.driver, &error), 0);
	machine.loop = neep_loop_create();
	machine.node = neep_virtgpu_node_create(machine.loop, machine.driver, &error);
	assert_non_null(machine.node);
	*state = &machine;
	return 0;
}

int machine_stop(void **state) {
	struct machine *machine = *state;
	int status;
	neep_virtgpu_node_destroy(machine->node);
	neep_loop_destroy(machine->loop);
	neep_driver_stop(machine->driver);
	neep_driver_destroy(machine->driver);
	assert_int_equal(waitpid(machine->device, &status, 0), machine->device);
	assert_int_equal(status, 0);
	folder_leave();
	return 0;
}

int machine_bury(void **state) {
	struct machine *machine = *state;
	neep_virtgpu_node_destroy(machine->node);
	neep_loop_destroy(machine->loop);
	neep_driver_destroy(machine->driver);
	waitpid(machine->device, NULL, 0);
	folder_leave();
	return 0;
}

void machine_run_for(struct machine *machine, int64_t ns) {
	int64_t end = neep_clock_ns() + ns;
	while (neep_clock_ns() < end) {
		assert_int_equal(neep_loop_step(machine->loop, 1), 0);
	}
}

static bool is_empty(const struct machine *machine) {
	struct neep_virtgpu_counts counts = neep_virtgpu_node_counts(machine->node);
	return counts.connections + counts.files + counts.contexts + counts.bos + counts.fences +
		       counts.exports + counts.imports ==
	       0;
}

/* What the node sent last is done when the device has answered something that was sent after it. */
static void assert_device_is_empty(struct machine *machine) {
	struct virtio_gpu_resp_display_info info;
	assert_int_equal(neep_cmd_get_display_info(machine->driver, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	int control = socket_connect("control");
	const char *stats = control_ask(control, "stats");
	assert_non_null(strstr(stats, "\"resources\":0,\"contexts\":0,\"maps\":0,"));
	assert_non_null(strstr(stats, "\"pending\":0"));
	close(control);
}

void machine_await_empty(struct machine *machine) {
	int64_t end = await_end_ns();
	while (!is_empty(machine)) {
		if (neep_clock_ns() > end) {
			struct neep_virtgpu_counts counts = neep_virtgpu_node_counts(machine->node);
			fail_msg("left: %zu connections, %zu files, %zu contexts, %zu bos, %zu fences, %zu "
				 "exports, %zu imports",
				counts.connections, counts.files, counts.contexts, counts.bos, counts.fences,
				counts.exports, counts.imports);
		}
		assert_int_equal(neep_loop_step(machine->loop, 10), 0);
	}
	assert_device_is_empty(machine);
}
