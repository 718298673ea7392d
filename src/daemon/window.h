/* Carries the device's changes of the host-visible window to the front-end and their results back. */
#ifndef NEEP_DAEMON_WINDOW_H
#define NEEP_DAEMON_WINDOW_H

#include "device/device.h"
#include "util/loop.h"
#include "vhost_user/server.h"

struct neep_daemon_window {
	struct neep_loop *loop;
	struct neep_vhost_user *server;             // borrowed; NULL: no session
	struct neep_device_window_request *refused; // chained by host_private; could not even be asked
	struct neep_task refuse;
};

void neep_daemon_window_init(struct neep_daemon_window *window, struct neep_loop *loop);

/* The device's requests are done or cancelled by then. */
void neep_daemon_window_finish(struct neep_daemon_window *window);

/* As in struct neep_device_host_impl. */
void neep_daemon_window_change(struct neep_daemon_window *window, struct neep_device_window_request *request);
void neep_daemon_window_cancel(struct neep_daemon_window *window, struct neep_device_window_request *request);

#endif
