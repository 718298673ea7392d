/* The device process: the daemon, and a way to the fake component inside it. */
#include "device/device_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "device/harness_internal.h"
#include "util/fd.h"

/* Where the child finds its ends. */
#define CHILD_FRONTEND_FD 3
#define CHILD_FAKE_FD     4

/* Of the child: one device per process. */
static struct rutabaga *the_rutabaga;
static struct neep_component_impl spying_fake_impl;

static int spying_fake_create(const struct neep_component_config *config, struct neep_component **component,
	struct neep_error *error) {
	the_rutabaga = config->rutabaga;
	return neep_fake_impl.create(config, component, error);
}

static void obey(const struct fake_order *order, struct neep_fake_counts *counts) {
	struct neep_fake *fake = the_rutabaga != NULL ? neep_fake_of(the_rutabaga) : NULL;
	memset(counts, 0, sizeof(*counts));
	if (fake == NULL) {
		return;
	}
	switch (order->what) {
	case FAKE_ORDER_COUNTS:
		break;
	case FAKE_ORDER_HOLD:
		neep_fake_hold(fake, order->a, order->b, order->c != 0);
		break;
	case FAKE_ORDER_COMPLETE:
		neep_fake_complete(fake, order->a, order->b, order->c);
		break;
	case FAKE_ORDER_COMPLETE_LAST:
		neep_fake_complete_last(fake, order->a, order->b);
		break;
	case FAKE_ORDER_REFUSE:
		neep_fake_refuse(fake, (enum neep_fake_call)order->a, (int)order->b, order->c);
		break;
	}
	*counts = neep_fake_get_counts(fake);
}

static void fake_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct fake_order order;
	struct neep_fake_counts counts;
	if (read(source->fd, &order, sizeof(order)) != sizeof(order)) {
		neep_source_remove(source);
		return;
	}
	obey(&order, &counts);
	if (write(source->fd, &counts, sizeof(counts)) != sizeof(counts)) {
		neep_source_remove(source);
	}
}

static int serve(const struct check_options *options, const char *control_path) {
	static const struct neep_component_impl *const extra[] = { &spying_fake_impl };
	struct neep_options daemon_options = {
		.fd = CHILD_FRONTEND_FD,
		.display = options->display,
		.control_path = control_path,
		.capset_mask = options->has_3d ? NEEP_FAKE_CAPSET_MASK : 0,
		.device = options->device,
		.has_mem_slots = true,
		.log_level = NEEP_LOG_WARN,
	};
	struct neep_error error;
	spying_fake_impl = neep_fake_impl;
	spying_fake_impl.create = spying_fake_create;
	neep_log_set_level(daemon_options.log_level);
	struct neep_daemon *daemon = neep_daemon_create_with(&daemon_options, extra, 1, &error);
	if (daemon == NULL) {
		fprintf(stderr, "the device does not start: %s\n", error.text);
		return EXIT_FAILURE;
	}
	struct neep_source fake = { .fd = CHILD_FAKE_FD, .ready = fake_ready };
	int result = neep_source_add(neep_daemon_loop(daemon), &fake, EPOLLIN);
	if (result == 0) {
		result = neep_daemon_run(daemon);
	}
	neep_source_remove(&fake);
	neep_daemon_destroy(daemon);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The child keeps its standard streams, its two ends, and nothing else of this process. */
static void arrange_fds(int frontend_fd, int fake_fd, int log_fd) {
	/* Out of the way of the numbers that they shall have. */
	int frontend = fcntl(frontend_fd, F_DUPFD, 16);
	int fake = fcntl(fake_fd, F_DUPFD, 16);
	if (log_fd >= 0) {
		dup2(log_fd, STDERR_FILENO);
	}
	dup2(STDERR_FILENO, STDOUT_FILENO);
	dup2(frontend, CHILD_FRONTEND_FD);
	dup2(fake, CHILD_FAKE_FD);
	syscall(SYS_close_range, CHILD_FAKE_FD + 1, ~0U, 0);
}

int check_start_device(struct check *check) {
	int frontend[2], fake[2];
	char control_path[sizeof(check->folder) + sizeof("/control")];
	snprintf(control_path, sizeof(control_path), "%s/control", check->folder);
	check->log_fd = getenv("NEEP_TEST_LOG") != NULL ? -1 : memfd_create("device-log", MFD_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, frontend), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fake), 0);
	fflush(NULL);
	check->pid = fork();
	assert_true(check->pid >= 0);
	if (check->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		arrange_fds(frontend[1], fake[1], check->log_fd);
		/* Not _exit(): this is when leaks are looked for. */
		exit(serve(&check->options, control_path));
	}
	close(frontend[1]);
	close(fake[1]);
	check->fake_fd = fake[0];
	return frontend[0];
}
