/* Capability set 3: Vulkan for guests with Mesa's gfxstream driver, as a component. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asg/ring.h"
#include "gfxstream/gfxstream_internal.h"

/* struct vulkanCapset of the guest, in words. */
enum capset_word {
	CAPSET_PROTOCOL_VERSION,
	CAPSET_RING_SIZE,
	CAPSET_BUFFER_SIZE,
	CAPSET_COLOR_BUFFER_MEMORY_INDEX,
	CAPSET_DEFERRED_MAPPING,
	CAPSET_BLOB_ALIGNMENT,
	CAPSET_NO_RENDER_CONTROL_ENC,
	CAPSET_ALWAYS_BLOB,
	CAPSET_WORDS = 26,
};

static struct neep_gfx *gfx_from_base(struct neep_component *base) {
	neep_assert(base->impl == &neep_gfxstream_impl);
	return neep_container_of(base, struct neep_gfx, base);
}

static int gfx_capset_info(struct neep_component *base, uint32_t capset_id, struct neep_capset_info *info) {
	(void)base;
	(void)capset_id;
	*info = (struct neep_capset_info){ .max_version = 0, .max_size = CAPSET_WORDS * sizeof(uint32_t) };
	return 0;
}

/* What is not named is 0: no virgl formats, no external sync, no batched descriptor sets. */
static int gfx_capset(
	struct neep_component *base, uint32_t capset_id, uint32_t version, uint8_t *data, size_t size) {
	static const uint32_t words[CAPSET_WORDS] = {
		[CAPSET_PROTOCOL_VERSION] = 1,
		[CAPSET_RING_SIZE] = NEEP_ASG_BUFFER_OFFSET,
		[CAPSET_BUFFER_SIZE] = NEEP_ASG_BUFFER_SIZE,
		[CAPSET_COLOR_BUFFER_MEMORY_INDEX] = UINT32_MAX,
		[CAPSET_DEFERRED_MAPPING] = 1,
		[CAPSET_BLOB_ALIGNMENT] = 4096,
		[CAPSET_NO_RENDER_CONTROL_ENC] = 1,
		[CAPSET_ALWAYS_BLOB] = 1,
	};
	(void)base;
	(void)capset_id;
	(void)version;
	memcpy(data, words, size < sizeof(words) ? size : sizeof(words));
	return 0;
}

static int gfx_create_context(struct neep_component *base, const struct neep_context_params *params,
	struct neep_context **context) {
	return neep_gfx_context_create(gfx_from_base(base), params, context);
}

static int gfx_event_fd(struct neep_component *base) {
	return neep_worker_pool_fd(gfx_from_base(base)->pool);
}

static void gfx_dispatch(struct neep_component *base) {
	struct neep_gfx *gfx = gfx_from_base(base);
	neep_worker_pool_dispatch(gfx->pool);
	neep_gfx_rings_bury(gfx);
}

static void say(struct neep_worker_speaker *speaker, enum neep_log_level level, const char *text) {
	struct neep_gfx *gfx = neep_container_of(speaker, struct neep_gfx, speaker);
	neep_core_log(gfx->rutabaga, level, "%s", text);
}

static const struct neep_worker_speaker_impl speaker_impl = {
	.say = say,
};

/* What renderer_features says to us: words with commas between them, of which "renderer=PATH" is the program to run, and
 * "renderer-NAME=VALUE" is handed to it as --NAME=VALUE. Other words are meant for other renderers. */
#define PATH_WORD     "renderer="
#define ARGUMENT_WORD "renderer-"
#define ARGUMENTS_MAX 16

struct words {
	char *copy; // what the others point into
	const char *path;
	char *arguments[ARGUMENTS_MAX + 1];
	size_t count;
};

static int add_argument(struct words *words, const char *word, struct neep_error *error) {
	if (words->count == ARGUMENTS_MAX) {
		return neep_error_set(error, E2BIG, "renderer features: \"%s\" is one too many", word);
	}
	char **argument = &words->arguments[words->count];
	if (asprintf(argument, "--%s", word + strlen(ARGUMENT_WORD)) < 0) {
		*argument = NULL;
		return neep_error_set(error, ENOMEM, "cannot read the renderer features");
	}
	words->count++;
	return 0;
}

static int read_words(struct words *words, const char *features, struct neep_error *error) {
	*words = (struct words){ .copy = strdup(features != NULL ? features : "") };
	if (words->copy == NULL) {
		return neep_error_set(error, ENOMEM, "cannot read the renderer features");
	}
	char *rest = NULL;
	int rc = 0;
	for (char *word = strtok_r(words->copy, ",", &rest); word != NULL && rc == 0;
		word = strtok_r(NULL, ",", &rest)) {
		if (strncmp(word, PATH_WORD, strlen(PATH_WORD)) == 0) {
			words->path = word + strlen(PATH_WORD);
		} else if (strncmp(word, ARGUMENT_WORD, strlen(ARGUMENT_WORD)) == 0) {
			rc = add_argument(words, word, error);
		}
	}
	return rc;
}

static void free_words(struct words *words) {
	for (size_t i = 0; i < words->count; i++) {
		free(words->arguments[i]);
	}
	free(words->copy);
}

static struct neep_worker_pool *create_pool(
	struct neep_gfx *gfx, const char *features, struct neep_error *error) {
	struct words words;
	struct neep_worker_pool *pool = NULL;
	if (read_words(&words, features, error) == 0) {
		struct neep_worker_pool_options options = {
			.path = words.path,
			.arguments = (const char *const *)words.arguments,
			.speaker = &gfx->speaker,
		};
		pool = neep_worker_pool_create(&options, error);
	}
	free_words(&words);
	return pool;
}

static int gfx_create(
	const struct neep_component_config *config, struct neep_component **out, struct neep_error *error) {
	struct neep_gfx *gfx = calloc(1, sizeof(*gfx));
	if (gfx == NULL) {
		return neep_error_set(error, ENOMEM, "cannot create the gfxstream component");
	}
	gfx->base.impl = &neep_gfxstream_impl;
	gfx->speaker.impl = &speaker_impl;
	gfx->rutabaga = config->rutabaga;
	neep_list_init(&gfx->dying);
	gfx->pool = create_pool(gfx, config->renderer_features, error);
	if (gfx->pool == NULL) {
		free(gfx);
		return -EIO;
	}
	*out = &gfx->base;
	return 0;
}

static void gfx_destroy(struct neep_component *base) {
	struct neep_gfx *gfx = gfx_from_base(base);
	neep_worker_pool_destroy(gfx->pool);
	free(gfx);
}

const struct neep_component_impl neep_gfxstream_impl = {
	.name = "gfxstream",
	.capset_mask = UINT64_C(1) << RUTABAGA_CAPSET_GFXSTREAM_VULKAN,
	.create = gfx_create,
	.destroy = gfx_destroy,
	.capset_info = gfx_capset_info,
	.capset = gfx_capset,
	.create_context = gfx_create_context,
	.event_fd = gfx_event_fd,
	.dispatch = gfx_dispatch,
};
