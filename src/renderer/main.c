/* Two programs in one: the spawner, which does nothing but start others, and the renderer of one context, which the spawner
 * starts as a fresh copy of this program. Fresh, so that no two renderers share the layout of their memory. */
#include <stdio.h>
#include <sys/prctl.h>

#include "config.h"
#include "renderer/options.h"
#include "renderer/renderer.h"
#include "renderer/spawner.h"

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILURE = 1,
	EXIT_CODE_USAGE = 2,
};

static int say(const struct neep_error *error, enum exit_code code) {
	fprintf(stderr, "neep-renderer: %s\n", error->text);
	return (int)code;
}

int main(int argc, char **argv) {
	struct neep_renderer_options options;
	struct neep_error error;
	int result = 0;
	if (neep_renderer_options_parse(&options, argc, argv, &error) < 0) {
		return say(&error, EXIT_CODE_USAGE);
	}
	neep_log_set_level(options.log_level);
	switch (options.action) {
	case NEEP_RENDERER_HELP:
		neep_renderer_options_print_help(stdout);
		break;
	case NEEP_RENDERER_VERSION:
		puts("neep-renderer " NEEP_VERSION);
		break;
	case NEEP_RENDERER_SPAWN:
		result = neep_spawner_run(&options, &error);
		break;
	case NEEP_RENDERER_SERVE:
		/* It was run as /proc/self/exe: people would see an "exe" in lists and in the kernel's log. */
		prctl(PR_SET_NAME, "neep-renderer");
		result = neep_renderer_run(&options, &error);
		break;
	}
	return result < 0 ? say(&error, EXIT_CODE_FAILURE) : EXIT_CODE_OK;
}
