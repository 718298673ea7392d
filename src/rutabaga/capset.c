#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rutabaga/core.h"
#include "util/error.h"

struct capset_word {
	const char *word;
	uint32_t id;
};

/* The second name of 7 is what the published library calls it since 0.1.75; a later row only adds a spelling. */
static const struct capset_word capset_words[] = {
	{ "virgl", RUTABAGA_CAPSET_VIRGL },
	{ "virgl2", RUTABAGA_CAPSET_VIRGL2 },
	{ "gfxstream-vulkan", RUTABAGA_CAPSET_GFXSTREAM_VULKAN },
	{ "venus", RUTABAGA_CAPSET_VENUS },
	{ "cross-domain", RUTABAGA_CAPSET_CROSS_DOMAIN },
	{ "drm", RUTABAGA_CAPSET_DRM },
	{ "gfxstream-magma", RUTABAGA_CAPSET_GFXSTREAM_MAGMA },
	{ "magma", RUTABAGA_CAPSET_GFXSTREAM_MAGMA },
	{ "gfxstream-gles", RUTABAGA_CAPSET_GFXSTREAM_GLES },
	{ "gfxstream-composer", RUTABAGA_CAPSET_GFXSTREAM_COMPOSER },
};

/* The id of the word at [word, word + len), or 0. */
static uint32_t id_of_word(const char *word, size_t len) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(capset_words); i++) {
		if (strlen(capset_words[i].word) == len && memcmp(capset_words[i].word, word, len) == 0) {
			return capset_words[i].id;
		}
	}
	return 0;
}

const char *neep_capset_name(uint32_t capset_id) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(capset_words); i++) {
		if (capset_words[i].id == capset_id) {
			return capset_words[i].word;
		}
	}
	return "unnamed";
}

uint64_t neep_capset_names_mask(const char *names) {
	uint64_t mask = 0;
	for (const char *word = names; word != NULL;) {
		size_t len = strcspn(word, ":");
		uint32_t id = id_of_word(word, len);
		if (id != 0) {
			mask |= UINT64_C(1) << id;
		}
		word = word[len] == ':' ? word + len + 1 : NULL;
	}
	return mask;
}

/* "virgl, virgl2, ..." of all known names, or of those built in. */
static void list_words(char *text, size_t size, bool only_built_in) {
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < NEEP_ARRAY_LEN(capset_words) && used < size; i++) {
		if (only_built_in && neep_builtin_component(capset_words[i].id) == NULL) {
			continue;
		}
		int n = snprintf(
			text + used, size - used, "%s%s", used > 0 ? ", " : "", capset_words[i].word);
		used += n > 0 ? (size_t)n : 0;
	}
	if (used == 0) {
		snprintf(text, size, "none");
	}
}

static int refuse_word(const char *word, size_t len, bool is_known, struct neep_error *error) {
	char right[256];
	int shown = len < 64 ? (int)len : 64;
	list_words(right, sizeof(right), is_known);
	if (is_known) {
		neep_error_set(error, 0, "capset '%.*s' is not built into this library; built in: %s", shown,
			word, right);
		return -ENOTSUP;
	}
	neep_error_set(error, 0, "unknown capset '%.*s'; the names are: %s", shown, word, right);
	return -EINVAL;
}

int neep_capset_names_check(const char *names, uint64_t *mask, struct neep_error *error) {
	*mask = 0;
	uint64_t all = 0;
	for (const char *word = names[0] != '\0' ? names : NULL; word != NULL;) {
		size_t len = strcspn(word, ":");
		uint32_t id = id_of_word(word, len);
		if (id == 0 || neep_builtin_component(id) == NULL) {
			return refuse_word(word, len, id != 0, error);
		}
		all |= UINT64_C(1) << id;
		word = word[len] == ':' ? word + len + 1 : NULL;
	}
	*mask = all;
	return 0;
}

/* The component that serves `id`: the first that says so. */
static struct neep_component *server_of(const struct rutabaga *rutabaga, uint32_t id) {
	for (size_t i = 0; i < rutabaga->component_count; i++) {
		if ((rutabaga->components[i]->impl->capset_mask >> id) & 1) {
			return rutabaga->components[i];
		}
	}
	return NULL;
}

int neep_capsets_init(struct rutabaga *rutabaga, uint64_t mask, struct neep_error *error) {
	for (uint32_t id = 1; id <= NEEP_CAPSET_ID_MAX; id++) {
		if (((mask >> id) & 1) == 0) {
			continue;
		}
		struct neep_capset *capset = &rutabaga->capsets[rutabaga->capset_count];
		*capset = (struct neep_capset){ .id = id, .component = server_of(rutabaga, id) };
		int rc = capset->component->impl->capset_info(capset->component, id, &capset->info);
		if (rc < 0) {
			return neep_error_set(error, -rc, "capset %s (%u) does not describe itself",
				neep_capset_name(id), id);
		}
		if (capset->info.max_size > NEEP_CAPSET_SIZE_MAX) {
			return neep_error_set(error, EIO, "capset %s (%u) claims %u bytes",
				neep_capset_name(id), id, capset->info.max_size);
		}
		rutabaga->capset_count++;
	}
	return 0;
}

const struct neep_capset *neep_capset_find(const struct rutabaga *rutabaga, uint32_t capset_id) {
	for (size_t i = 0; i < rutabaga->capset_count; i++) {
		if (rutabaga->capsets[i].id == capset_id) {
			return &rutabaga->capsets[i];
		}
	}
	return NULL;
}

int neep_capset_read(const struct neep_capset *capset, uint32_t version, uint8_t *data, uint32_t size) {
	if (version > capset->info.max_version) {
		return -EINVAL;
	}
	memset(data, 0, size);
	uint32_t len = size < capset->info.max_size ? size : capset->info.max_size;
	return capset->component->impl->capset(capset->component, capset->id, version, data, len);
}
