#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/run.h"
#include "util/child.h"
#include "util/guest_layer.h"
#include "virtgpu/protocol.h"

/* What the child needs to know of its parent. */
struct program {
	const struct run_options *options;
	const struct run_places *places;
	const char *node_name;
};

/* Adds to a list whose words stand between colons. */
static int put(const char *variable, const char *value, bool is_first) {
	const char *old = getenv(variable);
	char *both = NULL;
	if (old == NULL || old[0] == '\0') {
		return setenv(variable, value, 1);
	}
	int len = asprintf(&both, "%s:%s", is_first ? value : old, is_first ? old : value);
	int result = len < 0 ? -1 : setenv(variable, both, 1);
	free(both);
	return result;
}

static int put_first(const char *variable, const char *value) {
	return put(variable, value, true);
}

/* The last layer is next to the driver: one that checks what the program does stands above. Where folders of layers are
 * named, the loader looks at no others. */
static int add_layer(const char *folder) {
	int result = put("VK_INSTANCE_LAYERS", NEEP_GUEST_LAYER, false);
	result |= put_first("VK_ADD_LAYER_PATH", folder);
	return getenv("VK_LAYER_PATH") != NULL ? result | put_first("VK_LAYER_PATH", folder) : result;
}

static int set_environment(const struct run_places *places, const char *node_name) {
	int result = put_first("LD_PRELOAD", places->preload);
	result |= setenv(NEEP_VIRTGPU_ENV_SOCKET, node_name, 1);
	result |= setenv(NEEP_VIRTGPU_ENV_TREE, places->tree, 1);
	if (places->icd[0] != '\0') {
		/* The second is what loaders before 1.3.207 know. */
		result |= setenv("VK_DRIVER_FILES", places->icd, 1);
		result |= setenv("VK_ICD_FILENAMES", places->icd, 1);
	}
	if (places->layer[0] != '\0') {
		result |= add_layer(places->layer);
	}
	return result;
}

static int prepare(void *data) {
	const struct program *program = data;
	return set_environment(program->places, program->node_name) < 0 ? -errno : 0;
}

int run_program(struct neep_loop *loop, const struct run_options *options, const struct run_places *places,
	const char *node_name, struct neep_error *error) {
	struct program program = { .options = options, .places = places, .node_name = node_name };
	const struct neep_child_params params = {
		.name = "neep run",
		.argv = options->program,
		.prepare = prepare,
		.data = &program,
	};
	return neep_child_run(loop, &params, error);
}
