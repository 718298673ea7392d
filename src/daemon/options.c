#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <rutabaga_gfx/neep_rutabaga.h>

#include "daemon/listener.h"
#include "util/checked.h"
#include "util/macros.h"
#include "util/number.h"

/* What is read before it can be judged. */
struct parse {
	struct neep_options *options;
	struct neep_error *error;
	const char *display; // NULL: not given
	bool is_wsi_headless;
	bool has_hostmem;
};

/* The window where memory of Vulkan and buffers of windows are mapped, unless --hostmem says otherwise. Address space, not
 * memory. */
#define DEFAULT_HOSTMEM (UINT64_C(4) << 30)
#define NEEDS_HOSTMEM \
	((UINT64_C(1) << RUTABAGA_CAPSET_GFXSTREAM_VULKAN) | (UINT64_C(1) << RUTABAGA_CAPSET_CROSS_DOMAIN))

struct option_spec {
	const char *name;
	const char *argument; // NULL: takes none
	const char *help;
	int (*set)(struct parse *parse, const struct option_spec *spec, const char *value);
	size_t offset; // in struct neep_options, for the setters of plain members
	uint64_t min, max;
};

static void *member_of(struct parse *parse, const struct option_spec *spec) {
	return (char *)parse->options + spec->offset;
}

static int refuse(struct parse *parse, const struct option_spec *spec, const char *value, const char *why) {
	return neep_error_set(parse->error, 0, "--%s: \"%s\" %s", spec->name, value, why);
}

static int set_true(struct parse *parse, const struct option_spec *spec, const char *value) {
	(void)value;
	*(bool *)member_of(parse, spec) = true;
	return 0;
}

static int set_false(struct parse *parse, const struct option_spec *spec, const char *value) {
	(void)value;
	*(bool *)member_of(parse, spec) = false;
	return 0;
}

/* The first of --help, --version and --print-capabilities counts. */
static int set_action(struct parse *parse, const struct option_spec *spec, const char *value) {
	(void)value;
	if (parse->options->action == NEEP_OPTIONS_RUN) {
		parse->options->action = (enum neep_options_action)spec->min;
	}
	return 0;
}

static int set_u32(struct parse *parse, const struct option_spec *spec, const char *value) {
	uint64_t number;
	if (!neep_number_parse(value, &number) || number < spec->min || number > spec->max) {
		return neep_error_set(parse->error, 0, "--%s: \"%s\" is not a number from %llu to %llu",
			spec->name, value, (unsigned long long)spec->min, (unsigned long long)spec->max);
	}
	*(uint32_t *)member_of(parse, spec) = (uint32_t)number;
	return 0;
}

static int set_size(struct parse *parse, const struct option_spec *spec, const char *value) {
	uint64_t size;
	char min[NEEP_SIZE_TEXT], max[NEEP_SIZE_TEXT];
	if (!neep_size_parse(value, &size) || size < spec->min || size > spec->max) {
		neep_size_format(spec->min, min);
		neep_size_format(spec->max, max);
		return neep_error_set(parse->error, 0,
			"--%s: \"%s\" is not a size from %s to %s (a number of bytes, or with K, M, G or T)",
			spec->name, value, min, max);
	}
	*(uint64_t *)member_of(parse, spec) = size;
	return 0;
}

static int set_hostmem(struct parse *parse, const struct option_spec *spec, const char *value) {
	uint64_t size;
	if (!neep_size_parse(value, &size) ||
		(size != 0 && (size < spec->min || size > spec->max || !neep_is_power_of_two(size)))) {
		return refuse(
			parse, spec, value, "is neither 0 (no window) nor a power of two from 1M to 1T");
	}
	parse->options->device.hostmem = size;
	parse->has_hostmem = true;
	return 0;
}

/* It travels in a list with commas. */
static int set_renderer(struct parse *parse, const struct option_spec *spec, const char *value) {
	if (value[0] == '\0' || strchr(value, ',') != NULL) {
		return refuse(parse, spec, value, "is not the path of a program, without commas");
	}
	parse->options->renderer_path = value;
	return 0;
}

static int set_path(struct parse *parse, const struct option_spec *spec, const char *value) {
	size_t len = strlen(value);
	if (len == 0 || len > NEEP_SOCKET_PATH_MAX) {
		return neep_error_set(parse->error, 0,
			"--%s: \"%s\" has %zu bytes; a socket path has 1 to %d", spec->name, value, len,
			NEEP_SOCKET_PATH_MAX);
	}
	*(const char **)member_of(parse, spec) = value;
	return 0;
}

static int set_fd(struct parse *parse, const struct option_spec *spec, const char *value) {
	uint64_t fd;
	struct stat st;
	if (!neep_number_parse(value, &fd) || fd < spec->min || fd > spec->max) {
		return refuse(parse, spec, value, "is not the number of an inherited socket, 3 or higher");
	}
	if (fstat((int)fd, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		return refuse(parse, spec, value, "is not an open socket of this process");
	}
	parse->options->fd = (int)fd;
	return 0;
}

static int set_display(struct parse *parse, const struct option_spec *spec, const char *value) {
	static const char *const names[] = { "qemu", "headless", "none" };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			parse->display = names[i];
			return 0;
		}
	}
	return refuse(parse, spec, value, "is not one of qemu, headless, none");
}

static int set_wsi(struct parse *parse, const struct option_spec *spec, const char *value) {
	parse->is_wsi_headless = strcmp(value, "headless") == 0;
	if (!parse->is_wsi_headless && strcmp(value, "surfaceless") != 0) {
		return refuse(parse, spec, value, "is not one of surfaceless, headless");
	}
	return 0;
}

static int set_log_level(struct parse *parse, const struct option_spec *spec, const char *value) {
	if (!neep_log_level_parse(value, &parse->options->log_level)) {
		return refuse(parse, spec, value, "is not one of error, warn, info, debug");
	}
	return 0;
}

static int add_capsets(struct parse *parse, const struct option_spec *spec, const char *names) {
	uint64_t mask;
	char message[256];
	if (neep_rutabaga_parse_capset_names(names, &mask, message, sizeof(message)) < 0) {
		return neep_error_set(parse->error, 0, "--%s: %s", spec->name, message);
	}
	parse->options->capset_mask |= mask;
	return 0;
}

/* libvirt's word for accel3d=yes. */
static int set_virgl(struct parse *parse, const struct option_spec *spec, const char *value) {
	(void)value;
	return add_capsets(parse, spec, "virgl:virgl2");
}

/* What cannot be had is refused at once, as QEMU's conventions for back-ends want it. */
static int set_render_node(struct parse *parse, const struct option_spec *spec, const char *value) {
	return refuse(parse, spec, value,
		"cannot be used: the host's Vulkan drivers choose the GPU; leave the option out, and "
		"rendernode "
		"in libvirt");
}

#define OPTION(member) offsetof(struct neep_options, member)
#define QUOTA(member)  offsetof(struct neep_options, device.quota.member)

static const struct option_spec specs[] = {
	{ "socket-path", "PATH", "listen for the front-end at this Unix socket", set_path,
		OPTION(socket_path), 0, 0 },
	{ "fd", "N", "serve the connected socket N, which the caller left open", set_fd, 0, 3, INT32_MAX },
	{ "keep-listening", NULL, "serve one front-end after another instead of one", set_true,
		OPTION(keeps_listening), 0, 0 },
	{ "display", "qemu|headless|none",
		"where scanouts go: QEMU's display (default), kept for screenshots, nowhere", set_display, 0,
		0, 0 },
	{ "wsi", "surfaceless|headless", "headless: no pixel is copied to any display", set_wsi, 0, 0, 0 },
	{ "control", "PATH", "listen for the neep command at this Unix socket", set_path,
		OPTION(control_path), 0, 0 },
	{ "max-outputs", "N", "number of outputs, 1 to 16 (default 1)", set_u32, OPTION(device.max_outputs),
		1, NEEP_SCANOUTS_MAX },
	{ "xres", "PIXELS", "preferred width, 32 to 8192 (default 1280)", set_u32, OPTION(device.xres), 32,
		8192 },
	{ "yres", "PIXELS", "preferred height, 32 to 8192 (default 800)", set_u32, OPTION(device.yres), 32,
		8192 },
	{ "capset-names", "A:B", "capability sets to offer (default none: 2D)", add_capsets, 0, 0, 0 },
	{ "wayland-socket-path", "PATH",
		"the compositor that cross-domain connects to (default: by WAYLAND_DISPLAY and "
		"XDG_RUNTIME_DIR)",
		set_path, OPTION(wayland_socket_path), 0, 0 },
	{ "x11-socket-path", "PATH", "the X server that cross-domain connects to (default none)", set_path,
		OPTION(x11_socket_path), 0, 0 },
	{ "pipewire-socket-path", "PATH", "the PipeWire that cross-domain connects to (default none)",
		set_path, OPTION(pipewire_socket_path), 0, 0 },
	{ "no-udmabuf", NULL, "make no dma-bufs of memory by /dev/udmabuf: compositors get files", set_false,
		OPTION(has_udmabuf), 0, 0 },
	{ "hostmem", "SIZE",
		"size of the host-visible window, a power of two (default 4G with gfxstream-vulkan or "
		"cross-domain, else 0: none)",
		set_hostmem, 0, UINT64_C(1) << 20, UINT64_C(1) << 40 },
	{ "renderer", "PATH", "the program neep-renderer (default: where it was installed)", set_renderer, 0,
		0, 0 },
	{ "renderer-max-memory", "SIZE", "most memory of one renderer", set_size, OPTION(renderer_memory),
		UINT64_C(64) << 20, UINT64_C(1) << 40 },
	{ "renderer-max-cpu", "SECONDS", "most cpu time of one renderer", set_u32, OPTION(renderer_cpu), 1,
		INT32_MAX },
	{ "no-mem-slots", NULL, "do not offer CONFIGURE_MEM_SLOTS to the front-end", set_false,
		OPTION(has_mem_slots), 0, 0 },
	{ "max-resources", "N", "most resources of the guest", set_u32, QUOTA(resources), 1, UINT32_MAX },
	{ "max-resource-bytes", "SIZE", "most bytes of one 2D resource", set_size, QUOTA(resource_bytes),
		4096, UINT64_C(1) << 40 },
	{ "max-bytes", "SIZE", "most bytes of all 2D resources", set_size, QUOTA(bytes), 4096,
		UINT64_C(1) << 40 },
	{ "max-contexts", "N", "most contexts of the guest", set_u32, QUOTA(contexts), 1, UINT32_MAX },
	{ "max-backing-entries", "N", "most pieces of guest memory behind one resource", set_u32,
		QUOTA(backing_entries), 1, 1 << 24 },
	{ "max-submit-bytes", "SIZE", "most bytes of one command stream", set_size, QUOTA(submit_bytes), 4096,
		UINT64_C(1) << 30 },
	{ "max-maps", "N", "most blobs in the window at a time (default 400; QEMU bears no more than 480)",
		set_u32, QUOTA(maps), 1, 65536 },
	{ "log-level", "error|warn|info|debug", "what is told on stderr (default info)", set_log_level, 0, 0,
		0 },
	{ "no-sandbox", NULL, "keep every system call allowed", set_false, OPTION(has_sandbox), 0, 0 },
	{ "virgl", NULL, "the same as --capset-names virgl:virgl2, for libvirt", set_virgl, 0, 0, 0 },
	{ "render-node", "PATH", "for libvirt; refused: Vulkan drivers choose the GPU", set_render_node, 0, 0,
		0 },
	{ "print-capabilities", NULL, "print what this back-end can do as JSON, and exit", set_action, 0,
		NEEP_OPTIONS_CAPABILITIES, 0 },
	{ "version", NULL, "print the version, and exit", set_action, 0, NEEP_OPTIONS_VERSION, 0 },
	{ "help", NULL, "print this, and exit", set_action, 0, NEEP_OPTIONS_HELP, 0 },
};

/* getopt's values for our options: beyond every character. */
#define FIRST_VALUE 256

static void fill_getopt(struct option *options) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(specs); i++) {
		options[i] = (struct option){
			.name = specs[i].name,
			.has_arg = specs[i].argument != NULL ? required_argument : no_argument,
			.val = FIRST_VALUE + (int)i,
		};
	}
	options[NEEP_ARRAY_LEN(specs)] = (struct option){ 0 };
}

static int refuse_word(const char *word, int value, struct neep_error *error) {
	if (value < FIRST_VALUE) {
		return neep_error_set(error, 0,
			"\"%s\" is not an option, or is short for several; --help lists them", word);
	}
	const struct option_spec *spec = &specs[value - FIRST_VALUE];
	if (spec->argument == NULL) {
		return neep_error_set(error, 0, "--%s: takes no value", spec->name);
	}
	return neep_error_set(error, 0, "--%s: needs a value: %s", spec->name, spec->argument);
}

static int read_words(struct parse *parse, int argc, char **argv) {
	struct option options[NEEP_ARRAY_LEN(specs) + 1];
	fill_getopt(options);
	opterr = 0;
	optind = 0;
	for (;;) {
		const char *word = optind > 0 ? argv[optind] : argv[1];
		int value = getopt_long(argc, argv, "+:", options, NULL);
		if (value < 0) {
			break;
		}
		if (value < FIRST_VALUE) {
			return refuse_word(word, optopt, parse->error);
		}
		const struct option_spec *spec = &specs[value - FIRST_VALUE];
		int result = spec->set(parse, spec, optarg);
		if (result < 0) {
			return result;
		}
	}
	if (optind < argc) {
		return neep_error_set(
			parse->error, 0, "\"%s\" is no option, and there are only options", argv[optind]);
	}
	return 0;
}

static int check_together(struct parse *parse) {
	struct neep_options *options = parse->options;
	if (options->action != NEEP_OPTIONS_RUN) {
		return 0;
	}
	if ((options->socket_path != NULL) == (options->fd >= 0)) {
		return neep_error_set(parse->error, 0, "give either --socket-path PATH or --fd N");
	}
	if (options->keeps_listening && options->fd >= 0) {
		return neep_error_set(parse->error, 0, "--keep-listening: needs --socket-path, not --fd");
	}
	bool shows = parse->display != NULL && strcmp(parse->display, "none") != 0;
	if (parse->is_wsi_headless && shows) {
		return neep_error_set(parse->error, 0,
			"--display: \"%s\" shows pixels, which --wsi headless forbids; give one of the two",
			parse->display);
	}
	if (!parse->has_hostmem && (options->capset_mask & NEEDS_HOSTMEM) != 0) {
		options->device.hostmem = DEFAULT_HOSTMEM;
	}
	options->display = parse->is_wsi_headless ? "none" : parse->display != NULL ? parse->display : "qemu";
	return 0;
}

/* Management asks for the capabilities with whatever else it would say, and wants an answer to that alone. */
static bool asks_for_capabilities(int argc, char **argv) {
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--print-capabilities") == 0) {
			return true;
		}
	}
	return false;
}

int neep_options_parse(struct neep_options *options, int argc, char **argv, struct neep_error *error) {
	*options = (struct neep_options){
		.fd = -1,
		.device = { .max_outputs = 1, .xres = 1280, .yres = 800, .quota = neep_device_default_quota },
		.has_mem_slots = true,
		.has_sandbox = true,
		.has_udmabuf = true,
		.log_level = NEEP_LOG_INFO,
	};
	if (asks_for_capabilities(argc, argv)) {
		options->action = NEEP_OPTIONS_CAPABILITIES;
		return 0;
	}
	struct parse parse = { .options = options, .error = error };
	int result = read_words(&parse, argc, argv);
	return result < 0 ? result : check_together(&parse);
}

void neep_options_print_help(FILE *out) {
	fputs("Usage: vhost-user-neep (--socket-path PATH | --fd N) [OPTION]...\n"
	      "A virtio-gpu device for virtual machine monitors that speak vhost-user.\n\n",
		out);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(specs); i++) {
		const char *argument = specs[i].argument != NULL ? specs[i].argument : "";
		int used = fprintf(out, "  --%s %s", specs[i].name, argument);
		if (used > 30) {
			fputc('\n', out);
			used = 0;
		}
		fprintf(out, "%*s%s\n", 32 - used, "", specs[i].help);
	}
	fputs("\nSIZE is a number of bytes, or a number with K, M, G or T.\n", out);
}
