#include "renderer/options.h"

#include <getopt.h>
#include <stddef.h>

#include "asg/ring.h"
#include "util/clock.h"
#include "util/macros.h"
#include "util/number.h"

struct option_spec {
	const char *name;
	const char *argument; // NULL: takes none
	const char *help;     // NULL: between spawner and renderer only
	int (*set)(struct neep_renderer_options *options, const struct option_spec *spec, const char *value,
		struct neep_error *error);
	size_t offset; // of the member, for setters of plain ones
	uint64_t value;
};

static void *member_of(struct neep_renderer_options *options, const struct option_spec *spec) {
	return (char *)options + spec->offset;
}

static int set_action(struct neep_renderer_options *options, const struct option_spec *spec,
	const char *value, struct neep_error *error) {
	(void)value;
	(void)error;
	options->action = (enum neep_renderer_action)spec->value;
	return 0;
}

static int set_bool(struct neep_renderer_options *options, const struct option_spec *spec, const char *value,
	struct neep_error *error) {
	(void)value;
	(void)error;
	*(bool *)member_of(options, spec) = spec->value != 0;
	return 0;
}

static int set_u32(struct neep_renderer_options *options, const struct option_spec *spec, const char *value,
	struct neep_error *error) {
	uint64_t number;
	if (!neep_number_parse(value, &number) || number > spec->value) {
		return neep_error_set(error, 0, "--%s: \"%s\" is not a number from 0 to %llu", spec->name,
			value, (unsigned long long)spec->value);
	}
	*(uint32_t *)member_of(options, spec) = (uint32_t)number;
	return 0;
}

static int set_size(struct neep_renderer_options *options, const struct option_spec *spec, const char *value,
	struct neep_error *error) {
	uint64_t size;
	if (!neep_size_parse(value, &size) || (size != 0 && size < spec->value)) {
		return neep_error_set(error, 0,
			"--%s: \"%s\" is neither 0 (no limit) nor a size of at least %lluM (a number of "
			"bytes, or with K, M, G or T)",
			spec->name, value, (unsigned long long)(spec->value >> 20));
	}
	*(uint64_t *)member_of(options, spec) = size;
	return 0;
}

static int set_log_level(struct neep_renderer_options *options, const struct option_spec *spec,
	const char *value, struct neep_error *error) {
	if (!neep_log_level_parse(value, &options->log_level)) {
		return neep_error_set(
			error, 0, "--%s: \"%s\" is not one of error, warn, info, debug", spec->name, value);
	}
	return 0;
}

static int set_text(struct neep_renderer_options *options, const struct option_spec *spec, const char *value,
	struct neep_error *error) {
	(void)error;
	*(const char **)member_of(options, spec) = value;
	return 0;
}

/* The renderer of one context. */
static int set_context(struct neep_renderer_options *options, const struct option_spec *spec,
	const char *value, struct neep_error *error) {
	options->action = NEEP_RENDERER_SERVE;
	return set_u32(options, spec, value, error);
}

#define OPTION(member) offsetof(struct neep_renderer_options, member)

static const struct option_spec specs[] = {
	{ "max-memory", "SIZE",
		"most memory of one renderer, and of Vulkan memory in it (default 0: no limit)", set_size,
		OPTION(max_memory), UINT64_C(64) << 20 },
	{ "max-mapped", "SIZE",
		"how much memory a guest can map: heaps of such memory are told no larger (default 0: no "
		"limit)",
		set_size, OPTION(max_mapped), UINT64_C(1) << 20 },
	{ "max-cpu", "SECONDS", "most CPU time of one renderer (default 0: no limit)", set_u32,
		OPTION(max_cpu), INT32_MAX },
	{ "spin", "US", "how long a command ring is watched before sleep (default 100)", set_u32,
		OPTION(spin_us), 1000000 },
	{ "log-level", "error|warn|info|debug", "what is told on stderr (default info)", set_log_level, 0,
		0 },
	{ "no-sandbox", NULL, "keep everything allowed, for debugging", set_bool, OPTION(has_sandbox),
		false },
	{ "version", NULL, "print the version, and exit", set_action, 0, NEEP_RENDERER_VERSION },
	{ "help", NULL, "print this, and exit", set_action, 0, NEEP_RENDERER_HELP },
	{ "context", "CTX_ID", NULL, set_context, OPTION(ctx_id), UINT32_MAX },
	{ "name", "NAME", NULL, set_text, OPTION(name), 0 },
	{ "namespaces", NULL, NULL, set_bool, OPTION(has_namespaces), true },
	{ "lost", NULL, NULL, set_bool, OPTION(is_lost), true },
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

int neep_renderer_options_parse(
	struct neep_renderer_options *options, int argc, char **argv, struct neep_error *error) {
	struct option getopt_options[NEEP_ARRAY_LEN(specs) + 1];
	*options = (struct neep_renderer_options){
		.log_level = NEEP_LOG_INFO,
		.has_sandbox = true,
		.spin_us = (uint32_t)(NEEP_ASG_SPIN_NS / NEEP_NS_PER_US),
		.name = "",
	};
	fill_getopt(getopt_options);
	opterr = 0;
	optind = 0;
	int value;
	while ((value = getopt_long(argc, argv, "+:", getopt_options, NULL)) >= 0) {
		if (value < FIRST_VALUE) {
			return neep_error_set(error, 0,
				"\"%s\" is no option, or has no value where it needs one, or one where it "
				"takes "
				"none; --help lists them",
				argv[optind - 1]);
		}
		const struct option_spec *spec = &specs[value - FIRST_VALUE];
		int result = spec->set(options, spec, optarg, error);
		if (result < 0) {
			return result;
		}
	}
	if (optind < argc) {
		return neep_error_set(
			error, 0, "\"%s\" is no option, and there are only options", argv[optind]);
	}
	return 0;
}

void neep_renderer_options_print_help(FILE *out) {
	fputs("Usage: neep-renderer [OPTION]...\n"
	      "Runs Vulkan for the contexts of a virtio-gpu device, each in a process of its own.\n"
	      "vhost-user-neep starts it, with its socket as descriptor 3.\n\n",
		out);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(specs); i++) {
		if (specs[i].help == NULL) {
			continue;
		}
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
