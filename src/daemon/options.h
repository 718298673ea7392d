/* The command line of vhost-user-neep. */
#ifndef NEEP_DAEMON_OPTIONS_H
#define NEEP_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "device/device.h"
#include "util/error.h"
#include "util/log.h"

enum neep_options_action {
	NEEP_OPTIONS_RUN,
	NEEP_OPTIONS_HELP,
	NEEP_OPTIONS_VERSION,
	NEEP_OPTIONS_CAPABILITIES,
};

/* Strings are borrowed from argv. */
struct neep_options {
	enum neep_options_action action;
	const char *socket_path;          // NULL: fd
	int fd;                           // an inherited, connected socket; -1: socket_path
	bool keeps_listening;             // serves one front-end after another
	const char *display;              // a name of neep_sink_create()
	const char *control_path;         // NULL: no control socket
	uint64_t capset_mask;             // of rutabaga_builder
	const char *wayland_socket_path;  // NULL: as the environment says; as the next ones for cross-domain
	const char *x11_socket_path;      // NULL: none
	const char *pipewire_socket_path; // NULL: none
	const char *renderer_path;        // NULL: searched for
	uint64_t renderer_memory;         // bytes that a renderer may have; 0: its own default
	uint32_t renderer_cpu;            // seconds of cpu time that a renderer may use; 0: no limit
	struct neep_device_options device;
	bool has_mem_slots;
	bool has_sandbox;
	bool has_udmabuf;
	enum neep_log_level log_level;
};

/* Reads the command line. Returns 0, or a negative errno with a line for the user in `error`. */
int neep_options_parse(struct neep_options *options, int argc, char **argv, struct neep_error *error);

/* Writes what --help shows. */
void neep_options_print_help(FILE *out);

#endif
