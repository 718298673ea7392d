#include "rutabaga/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rutabaga/context.h"
#include "rutabaga/resource.h"
#include "util/fd.h"

/* One for each kind of socket, and room. */
#define CHANNELS_MAX 64

static const struct neep_component_impl *const builtin[] = {
	&neep_twod_impl,
	&neep_gfxstream_impl,
	&neep_cross_domain_impl,
};

static const struct neep_rutabaga_limits default_limits = {
	.resources = NEEP_RUTABAGA_DEFAULT_RESOURCES,
	.contexts = NEEP_RUTABAGA_DEFAULT_CONTEXTS,
	.pending_fences = NEEP_RUTABAGA_DEFAULT_PENDING_FENCES,
	.backing_entries = NEEP_RUTABAGA_DEFAULT_BACKING_ENTRIES,
	.total_entries = NEEP_RUTABAGA_DEFAULT_TOTAL_ENTRIES,
	.image_bytes = NEEP_RUTABAGA_DEFAULT_IMAGE_BYTES,
	.blob_bytes = NEEP_RUTABAGA_DEFAULT_BLOB_BYTES,
	.submit_bytes = NEEP_RUTABAGA_DEFAULT_SUBMIT_BYTES,
};

const struct neep_component_impl *neep_builtin_component(uint32_t capset_id) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(builtin); i++) {
		if ((builtin[i]->capset_mask >> capset_id) & 1) {
			return builtin[i];
		}
	}
	return NULL;
}

/* renderer_features of a builder of any age, or NULL.
 *
 * The published struct grew: this member was added behind channels after release 0.1.3, while the header still called
 * itself 0.1.3, and nothing in the struct carries a size or a version. A caller built with the short struct may have it
 * at the end of a page, and garbage behind it otherwise. What could tell the two apart? Not the library's name, nor the
 * header's version, which is not passed. Not the channel types that came later still (0x10 and up): a caller with old
 * headers may define those numbers itself. Not any value of the old members that the old library took. But one that
 * every published library refuses: any wsi other than 1. So no working published caller sets bit 63 of wsi, and one
 * that does was built with this project's header and has the member. Published callers with the long struct are served
 * without renderer_features: some words for a renderer are lost, and nothing is read that may not be there. */
static const char *features_of(const struct rutabaga_builder *builder) {
	return (builder->wsi & NEEP_RUTABAGA_WSI_FEATURES) != 0 ? builder->renderer_features : NULL;
}

static int check_builder(const struct rutabaga_builder *builder, struct neep_error *error) {
	uint64_t wsi = builder->wsi & ~NEEP_RUTABAGA_WSI_FEATURES;
	const uint64_t capset_bits = ((UINT64_C(1) << NEEP_CAPSET_ID_MAX) - 1) << 1;
	if (builder->fence_cb == NULL) {
		return neep_error_set(error, EINVAL, "the builder has no fence callback");
	}
	if (wsi != RUTABAGA_WSI_SURFACELESS) {
		return neep_error_set(error, EINVAL, "wsi is %llu, and only 1 (surfaceless) is known",
			(unsigned long long)wsi);
	}
	if ((builder->capset_mask & ~capset_bits) != 0) {
		return neep_error_set(error, EINVAL, "capset mask 0x%llx has bits outside 1..%d",
			(unsigned long long)builder->capset_mask, NEEP_CAPSET_ID_MAX);
	}
	return 0;
}

static int copy_channels(
	struct rutabaga *rutabaga, const struct rutabaga_channels *channels, struct neep_error *error) {
	if (channels == NULL || channels->num_channels == 0) {
		return 0;
	}
	if (channels->channels == NULL || channels->num_channels > CHANNELS_MAX) {
		return neep_error_set(error, EINVAL, "%zu channels at %p", channels->num_channels,
			(void *)channels->channels);
	}
	rutabaga->channels = calloc(channels->num_channels, sizeof(struct rutabaga_channel));
	if (rutabaga->channels == NULL) {
		return neep_error_set(error, ENOMEM, "cannot copy the channels");
	}
	for (size_t i = 0; i < channels->num_channels; i++) {
		if (channels->channels[i].channel_name == NULL) {
			return neep_error_set(error, EINVAL, "channel %zu has no name", i);
		}
		char *name = strdup(channels->channels[i].channel_name);
		if (name == NULL) {
			return neep_error_set(error, ENOMEM, "cannot copy the channels");
		}
		rutabaga->channels[i].channel_name = name;
		rutabaga->channels[i].channel_type = channels->channels[i].channel_type;
		rutabaga->channel_count = i + 1;
	}
	return 0;
}

static int copy_builder(
	struct rutabaga *rutabaga, const struct rutabaga_builder *builder, struct neep_error *error) {
	const char *features = features_of(builder);
	if (features != NULL) {
		rutabaga->renderer_features = strdup(features);
		if (rutabaga->renderer_features == NULL) {
			return neep_error_set(error, ENOMEM, "cannot copy the renderer features");
		}
	}
	return copy_channels(rutabaga, builder->channels, error);
}

static int add_component(struct rutabaga *rutabaga, const struct neep_component_impl *impl, uint64_t mask,
	struct neep_error *error) {
	if (rutabaga->component_count == NEEP_COMPONENTS_MAX) {
		return neep_error_set(error, ENOTSUP, "too many components");
	}
	struct neep_component_config config = {
		.rutabaga = rutabaga,
		.capset_mask = mask,
		.channels = rutabaga->channels,
		.channel_count = rutabaga->channel_count,
		.renderer_features = rutabaga->renderer_features,
	};
	struct neep_component *component;
	int rc = impl->create(&config, &component, error);
	if (rc < 0) {
		return rc;
	}
	rutabaga->components[rutabaga->component_count++] = component;
	if (impl->is_2d) {
		rutabaga->twod = component;
	}
	return 0;
}

/* Creates those of `impls` that serve something in *mask, and takes that out of it; and the 2D one. */
static int add_components(struct rutabaga *rutabaga, const struct neep_component_impl *const *impls,
	size_t count, uint64_t *mask, struct neep_error *error) {
	for (size_t i = 0; i < count; i++) {
		uint64_t serves = impls[i]->capset_mask & *mask;
		if (serves == 0 && !impls[i]->is_2d) {
			continue;
		}
		int rc = add_component(rutabaga, impls[i], serves, error);
		if (rc < 0) {
			return rc;
		}
		*mask &= ~serves;
	}
	return 0;
}

static int build(struct rutabaga *rutabaga, const struct rutabaga_builder *builder,
	const struct neep_component_impl *const *extra, size_t extra_count, struct neep_error *error) {
	uint64_t left = builder->capset_mask;
	int rc = check_builder(builder, error);
	if (rc == 0) {
		rc = copy_builder(rutabaga, builder, error);
	}
	if (rc == 0) {
		rc = add_components(rutabaga, extra, extra_count, &left, error);
	}
	if (rc == 0) {
		rc = add_components(rutabaga, builtin, NEEP_ARRAY_LEN(builtin), &left, error);
	}
	if (rc < 0) {
		return rc;
	}
	if (left != 0) {
		uint32_t id = (uint32_t)__builtin_ctzll(left);
		neep_error_set(error, 0, "capset %s (%u) is not built into this library; leave it out",
			neep_capset_name(id), id);
		return -ENOTSUP;
	}
	return neep_capsets_init(rutabaga, builder->capset_mask, error);
}

/* An instance without components. NULL for want of memory. */
static struct rutabaga *allocate(const struct rutabaga_builder *builder) {
	struct rutabaga *rutabaga = calloc(1, sizeof(*rutabaga));
	if (rutabaga == NULL) {
		return NULL;
	}
	rutabaga->epoll_fd = -1;
	rutabaga->wake_fd = -1;
	rutabaga->user_data = builder->user_data;
	rutabaga->fence_cb = builder->fence_cb;
	rutabaga->debug_cb = builder->debug_cb;
	rutabaga->limits = default_limits;
	neep_timeline_init(&rutabaga->global);
	neep_list_init(&rutabaga->done);
	neep_list_init(&rutabaga->messages);
	if (neep_idmap_init(&rutabaga->resources) < 0 || neep_idmap_init(&rutabaga->contexts) < 0 ||
		neep_idmap_init(&rutabaga->attachments) < 0) {
		neep_idmap_finish(&rutabaga->resources);
		neep_idmap_finish(&rutabaga->contexts);
		free(rutabaga);
		return NULL;
	}
	pthread_mutex_init(&rutabaga->lock, NULL);
	return rutabaga;
}

/* Everything is empty and told, no thread runs. */
static void release(struct rutabaga *rutabaga) {
	while (rutabaga->component_count > 0) {
		struct neep_component *component = rutabaga->components[--rutabaga->component_count];
		component->impl->destroy(component);
	}
	neep_close_fd(&rutabaga->epoll_fd);
	neep_morgue_finish(&rutabaga->morgue);
	neep_idmap_finish(&rutabaga->resources);
	neep_idmap_finish(&rutabaga->contexts);
	neep_idmap_finish(&rutabaga->attachments);
	for (size_t i = 0; i < rutabaga->channel_count; i++) {
		free((char *)rutabaga->channels[i].channel_name);
	}
	free(rutabaga->channels);
	free(rutabaga->renderer_features);
	pthread_mutex_destroy(&rutabaga->lock);
	free(rutabaga);
}

int neep_core_init(const struct rutabaga_builder *builder, const struct neep_component_impl *const *extra,
	size_t extra_count, struct rutabaga **out) {
	*out = NULL;
	struct rutabaga *rutabaga = allocate(builder);
	if (rutabaga == NULL) {
		return -ENOMEM;
	}
	struct neep_error error = { .code = 0 };
	neep_core_lock(rutabaga);
	int rc = build(rutabaga, builder, extra, extra_count, &error);
	if (rc < 0) {
		neep_core_log(rutabaga, NEEP_LOG_ERROR, "cannot start: %s", error.text);
	} else {
		neep_core_log(rutabaga, NEEP_LOG_INFO, "started with %zu capsets", rutabaga->capset_count);
	}
	neep_core_tell(rutabaga);
	if (rc < 0) {
		release(rutabaga);
		return rc;
	}
	*out = rutabaga;
	return 0;
}

struct neep_component *neep_core_component(
	struct rutabaga *rutabaga, const struct neep_component_impl *impl) {
	for (size_t i = 0; i < rutabaga->component_count; i++) {
		if (rutabaga->components[i]->impl == impl) {
			return rutabaga->components[i];
		}
	}
	return NULL;
}

/* Destroying an object takes only itself out of its table, so the link found before it stays good. */
void neep_core_reset(struct rutabaga *rutabaga) {
	for (struct neep_idmap_link *link = neep_idmap_next(&rutabaga->contexts, NULL), *next; link != NULL;
		link = next) {
		next = neep_idmap_next(&rutabaga->contexts, link);
		neep_context_destroy(rutabaga, neep_container_of(link, struct neep_context_slot, link));
	}
	for (struct neep_idmap_link *link = neep_idmap_next(&rutabaga->resources, NULL), *next; link != NULL;
		link = next) {
		next = neep_idmap_next(&rutabaga->resources, link);
		neep_resource_destroy(rutabaga, neep_container_of(link, struct neep_resource, link));
	}
	neep_timeline_finish(&rutabaga->global);
}

static bool is_in_callback(struct rutabaga *rutabaga) {
	neep_core_lock(rutabaga);
	bool is_ours = rutabaga->is_telling && pthread_equal(rutabaga->teller, pthread_self());
	pthread_mutex_unlock(&rutabaga->lock);
	return is_ours;
}

int neep_core_finish(struct rutabaga *rutabaga) {
	if (is_in_callback(rutabaga)) {
		return -EBUSY;
	}
	neep_core_stop_thread(rutabaga);
	neep_core_lock(rutabaga);
	if (rutabaga->is_telling) {
		pthread_mutex_unlock(&rutabaga->lock);
		return -EBUSY;
	}
	neep_core_reset(rutabaga);
	neep_core_tell(rutabaga);
	release(rutabaga);
	return 0;
}
