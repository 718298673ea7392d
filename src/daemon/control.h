/* The control socket: people and scripts ask a running device things, in lines of text (docs/man/vhost-user-neep.1,
 * "CONTROL SOCKET").
 *
 * A client sends a command in a line and gets one line back: "ok", with JSON behind it where there is something to tell,
 * or "error" and the reason. Peers are not trusted: lines are bounded, nothing blocks, and a client that does not read
 * its replies, or has been silent the longest when too many are there, is put out. */
#ifndef NEEP_DAEMON_CONTROL_H
#define NEEP_DAEMON_CONTROL_H

#include "device/device.h"
#include "display/display.h"
#include "util/error.h"
#include "util/loop.h"

struct neep_control;
struct rutabaga;

/* What the commands are about; borrowed. */
struct neep_control_host {
	struct neep_device *device;
	struct rutabaga *rutabaga;
	struct neep_sink *sink;
	uint32_t scanout_count;
};

/* The longest line, without its end. */
#define NEEP_CONTROL_LINE_MAX    255
#define NEEP_CONTROL_CLIENTS_MAX 16

/* Listens at `path`. NULL with `error` set. */
struct neep_control *neep_control_create(struct neep_loop *loop, const char *path,
	const struct neep_control_host *host, struct neep_error *error);

/* Puts everybody out and removes the socket file. NULL is fine. */
void neep_control_destroy(struct neep_control *control);

#endif
