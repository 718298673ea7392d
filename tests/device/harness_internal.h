/* What the files of the harness share. */
#ifndef NEEP_TESTS_DEVICE_HARNESS_INTERNAL_H
#define NEEP_TESTS_DEVICE_HARNESS_INTERNAL_H

#include "device/harness.h"
#include "support/await.h"
#include "util/list.h"

/* Nothing that a check waits for takes longer. */
#define CHECK_TIMEOUT_NS AWAIT_NS

struct check {
	struct neep_list link; // of the open ones
	struct check_options options;
	struct neep_driver *driver;
	int64_t opened_ns;        // neep_clock_ns() time
	pid_t pid;                // of the device process, -1: none
	int fake_fd;              // to the fake component in there
	int control_fd;           // the device's control socket
	int log_fd;               // a memfd with what it wrote to stderr, -1: shown
	char folder[32];          // holds the control socket
	uint64_t sequence;        // of completions
	struct neep_list buffers; // tracked_buffer.link
};

/* device_process.c: forks the device process. Fills in the pid and the fds of `check`; returns the driver's end of the
 * vhost-user socket. */
int check_start_device(struct check *check);

/* control.c: one command in a line, one line back, without its end; `fd` (or -1) goes along. */
void check_control_connect(struct check *check);
void check_control(struct check *check, int fd, const char *line, char *reply, size_t reply_size);

#endif
