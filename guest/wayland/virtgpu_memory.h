/* Memory that the compositor can be given: the host makes a file, and the guest maps it.
 *
 * The host makes files after templates, one for each size that was asked for, and never forgets one. So sizes are rounded up
 * to classes, four from one power of two to the next. */
#ifndef NEEP_WAYLAND_VIRTGPU_MEMORY_H
#define NEEP_WAYLAND_VIRTGPU_MEMORY_H

#include "wayland/channel.h"
#include "wayland/host.h"
#include "wayland/virtgpu.h"

/* More is refused, here as by hosts. */
#define NEEP_WL_MEMORY_MAX ((size_t)1 << 30)
/* From a page to the most there are 18 powers of two. */
#define NEEP_WL_TEMPLATES_MAX 128

struct neep_wl_allocator {
	struct neep_wl_virtgpu *gpu;
	struct neep_wl_mapped ring;          // where the host answers queries
	size_t sizes[NEEP_WL_TEMPLATES_MAX]; // the classes that there are templates of
	struct neep_wl_channel_template templates[NEEP_WL_TEMPLATES_MAX];
	size_t template_count;
};

/* `gpu` outlives the allocator, but memory may outlive both. Returns 0 or a negative errno. */
int neep_wl_allocator_init(struct neep_wl_allocator *allocator, struct neep_wl_virtgpu *gpu);
void neep_wl_allocator_finish(struct neep_wl_allocator *allocator);

/* Memory for neep_wl_host_allocate(). Waits for the host where the class is new. */
struct neep_wl_memory *neep_wl_allocator_get(struct neep_wl_allocator *allocator, size_t size);

/* Memory for neep_wl_host_import(). */
struct neep_wl_memory *neep_wl_allocator_import(struct neep_wl_allocator *allocator, int fd);

/* The buffer behind memory of any allocator; NULL for another kind of memory. */
const struct neep_wl_bo *neep_wl_memory_bo(const struct neep_wl_memory *memory);

/* The size that memory of `size` bytes gets: at most a quarter more, and whole pages. */
size_t neep_wl_size_class(size_t size, size_t page_size);

#endif
