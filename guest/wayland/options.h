/* What the command line of neep-wayland says. Strings are borrowed from argv. */
#ifndef NEEP_WAYLAND_OPTIONS_H
#define NEEP_WAYLAND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/log.h"
#include "wayland/policy.h"

struct neep_wl_options {
	const char *socket;      // name or path; NULL: the first free name
	const char *host_socket; // NULL: the virtio-gpu
	const char *device;      // render node; NULL: the first that will do
	bool copies_all;         // no buffer is passed on, even where it could be
	bool has_x11;
	uint32_t x11_width; // of the window that all X11 programs share, if they do
	uint32_t x11_height;
	struct neep_wl_policy policy;
	enum neep_log_level log_level;
	char **program; // ends with NULL; NULL: none
};

/* Returns -1 to go on, or the exit code of a process that is done: after --help, or with a line on stderr. */
int neep_wl_options_parse(struct neep_wl_options *options, int argc, char **argv);

#endif
