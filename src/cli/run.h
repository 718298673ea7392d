/* neep run: a program with a virtio-gpu of its own, without a virtual machine. */
#ifndef NEEP_CLI_RUN_H
#define NEEP_CLI_RUN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "util/error.h"
#include "util/log.h"

/* What the command line says. Strings are borrowed from argv. */
struct run_options {
	bool has_guest_driver;    // --driver gfxstream: the program's Vulkan is that of the gfxstream driver
	bool has_no_layer;        // --no-vulkan-layer
	const char *capset_names; // NULL: what the driver needs
	const char *hostmem;      // NULL: as large as can be
	const char *control;      // NULL: no control socket
	const char *device_program;  // NULL: the one of this installation
	bool has_wayland;            // the program's windows are on this machine's compositor
	char x11[32];                // for the proxy, --x11; "": no X11
	const char *wayland_socket;  // NULL: where libwayland would connect
	const char *wayland_program; // NULL: the proxy of this installation
	enum neep_log_level log_level;
	char **program; // ends with NULL
};

/* ---- run_places.c: files of the installation and of the system ---- */

struct run_places {
	char device[PATH_MAX];
	char preload[PATH_MAX];
	char tree[PATH_MAX];
	char icd[PATH_MAX];   // of the gfxstream driver; empty: the program's environment is left as it is
	char layer[PATH_MAX]; // the folder of the Vulkan layer; empty: none
	char proxy[PATH_MAX];
	char compositor[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; // its socket; empty: none is wanted
};

/* Returns 0, or a negative errno with one line that says what is missing and what brings it. */
int run_find_places(const struct run_options *options, struct run_places *places, struct neep_error *error);

/* Whether programs can be given the library: LD_PRELOAD is a list, of which nothing can be quoted (ld.so(8)). As
 * run_find_places(). */
int run_check_preload(const struct run_places *places, struct neep_error *error);

/* A part of neep: at `built` from this program's folder, as it was built, or where it was installed. Returns 0 or -ENOENT, with
 * the second in `path`. */
int run_find_part(const char *built, const char *installed, char path[PATH_MAX]);

/* ---- run_vulkan.c: drivers ---- */

/* Finds the guest driver; run_find_vulkan() also looks that there is something to render on. As run_find_places(). */
int run_find_guest_driver(struct run_places *places, struct neep_error *error);
int run_find_vulkan(struct run_places *places, struct neep_error *error);

/* For the device process: takes what is for guests out of the environment, where one neep runs in another: the guest driver
 * where nothing else is named, as it is nothing to render on, and the layer. */
void run_vulkan_hide_guest_parts(void);

/* ---- run_wayland.c: the compositor, and the way to it ---- */

/* As run_find_places(). */
int run_find_compositor(
	const struct run_options *options, struct run_places *places, struct neep_error *error);

/* A connection to the compositor that was handed over is for nobody here: the program would go past its proxy. Before
 * anything starts. */
void run_wayland_hide_socket(void);

/* The proxy and the program behind it, in place of the program. The words are borrowed, the array is the caller's; NULL for
 * want of memory. */
char **run_wayland_words(const struct run_options *options, const struct run_places *places);

/* ---- run_device.c: the device process ---- */

struct run_device {
	pid_t pid;
	int fd; // vhost-user, for the driver to take
};

/* Starts it with the environment as it is. Returns 0 or a negative errno with `error` set. */
int run_device_start(struct run_device *device, const struct run_options *options,
	const struct run_places *places, struct neep_error *error);

/* Waits for its end, which comes with that of its connection, and helps a little later. */
void run_device_stop(struct run_device *device);

/* ---- run_program.c: the program and its environment ---- */

struct neep_loop;

/* Starts the program under the node called `node_name`, and runs the loop until it ends. Returns its exit status as a shell
 * has it, or a negative errno with `error` set. */
int run_program(struct neep_loop *loop, const struct run_options *options, const struct run_places *places,
	const char *node_name, struct neep_error *error);

#endif
