/* The host-visible window: RESOURCE_MAP_BLOB and RESOURCE_UNMAP_BLOB.
 *
 * Theory of operation
 *
 * The front-end maps the blob's own fd into the guest, so nothing here owns an address. A change takes a round trip to
 * the front-end: the command waits, and with it the control queue, until the guest really sees (or no longer sees) the
 * memory. Mappings are kept by offset and must not overlap. The front-end keeps its own reference to the memory, so unref
 * and renderer loss pull nothing from under a vCPU.
 *
 * What a driver left mapped at its reset has no resource any more and is unmapped without anybody waiting. Changes happen
 * in the order in which they were asked for, so its range is free for the next driver at once. A reset cancels what is
 * under way, and then what was left over must be unmapped once more. */
#include "device/device_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/fd.h"
#include "util/trace.h"

static bool has_window(const struct neep_device *device) {
	return device->options.hostmem > 0 && device->host->impl->change_window != NULL;
}

static uint64_t page_size(void) {
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The mapping before which one at `offset` belongs, or the head of the list. */
static struct neep_list *find_place(struct neep_device *device, uint64_t offset) {
	neep_list_for_each (map, &device->maps, struct neep_window_map, link) {
		if (map->offset > offset) {
			return &map->link;
		}
	}
	return &device->maps;
}

static bool is_free(struct neep_device *device, uint64_t offset, uint64_t len) {
	neep_list_for_each (map, &device->maps, struct neep_window_map, link) {
		bool overlaps = offset < map->offset + map->len && map->offset < offset + len;
		if (overlaps && map->resource != NULL) {
			return false;
		}
	}
	return true;
}

static void map_free(struct neep_window_map *map) {
	if (map->resource != NULL) {
		map->resource->map = NULL;
	}
	neep_list_remove(&map->link);
	map->device->map_count--;
	neep_close_fd(&map->fd);
	free(map);
}

static void map_done(struct neep_device_window_request *change, int result) {
	struct neep_window_map *map = neep_container_of(change, struct neep_window_map, change);
	struct neep_device *device = map->device;
	struct neep_request *request = map->waiting;
	map->waiting = NULL;
	map->is_changing = false;
	neep_close_fd(&map->fd);
	if (result < 0) {
		uint32_t resp =
			result == -ENOSPC ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY : VIRTIO_GPU_RESP_ERR_UNSPEC;
		request_refuse(device, request, resp, "the front-end did not map the blob");
		map_free(map);
		request_finish(device, request, resp);
		return;
	}
	NEEP_TRACE3(window_map, resource_id(map->resource), map->offset, map->len);
	request->reply.map_info.map_info = map->map_info;
	request_finish(device, request, VIRTIO_GPU_RESP_OK_MAP_INFO);
}

static void start_change(struct neep_window_map *map, bool is_map) {
	map->is_changing = true;
	map->change.is_map = is_map;
	map->change.offset = map->offset;
	map->change.len = map->len;
	map->change.fd = is_map ? map->fd : -1;
	map->device->host->impl->change_window(map->device->host, &map->change);
}

/* The descriptor of the blob, which must hold `len` bytes: front-ends end the VM over a mapping that fails. */
static int export_fd(struct neep_device *device, uint32_t id, uint64_t len) {
	struct rutabaga_handle handle;
	int ret = rutabaga_resource_export_blob(device->rutabaga, id, &handle);
	if (ret < 0) {
		return ret;
	}
	neep_autoclose int fd = (int)handle.os_handle;
	struct stat st;
	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	/* A dma-buf tells its size by seeking only; of other files the offset may be in use elsewhere. */
	off_t size = S_ISREG(st.st_mode) ? st.st_size : lseek(fd, 0, SEEK_END);
	if (size < 0 || (uint64_t)size < len) {
		return -EINVAL;
	}
	return neep_steal_fd(&fd);
}

static const char *place_mistake(struct neep_device *device, uint64_t offset, uint64_t len) {
	uint64_t alignment = page_size();
	if (device->options.blob_alignment > alignment) {
		alignment = device->options.blob_alignment;
	}
	if (offset % alignment != 0) {
		return "the offset is not aligned";
	}
	if (!neep_range_within(offset, len, device->options.hostmem)) {
		return "the mapping leaves the window";
	}
	return is_free(device, offset, len) ? NULL : "the range is in use";
}

static const char *blob_mistake(const struct neep_resource *resource) {
	bool is_host = resource->kind == NEEP_RESOURCE_BLOB &&
		       (resource->blob_mem == VIRTIO_GPU_BLOB_MEM_HOST3D ||
			       resource->blob_mem == VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST);
	if (!is_host || (resource->blob_flags & VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE) == 0) {
		return "not a mappable host blob";
	}
	return resource->map != NULL ? "mapped already" : NULL;
}

static struct neep_window_map *map_create(
	struct neep_device *device, struct neep_resource *resource, uint64_t offset, uint64_t len) {
	struct neep_window_map *map = calloc(1, sizeof(*map));
	if (map == NULL) {
		return NULL;
	}
	*map = (struct neep_window_map){
		.device = device,
		.resource = resource,
		.change.done = map_done,
		.offset = offset,
		.len = len,
		.fd = -1,
	};
	neep_list_insert(find_place(device, offset)->prev, &map->link);
	device->map_count++;
	resource->map = map;
	return map;
}

static uint32_t start_map(struct neep_device *device, struct neep_resource *resource,
	struct neep_request *request, uint64_t len) {
	uint32_t map_info;
	int ret = rutabaga_resource_map_info(device->rutabaga, resource_id(resource), &map_info);
	if (ret < 0) {
		return request_refuse(device, request, resp_from_errno(ret), "the blob cannot be mapped");
	}
	/* Some front-ends know of no other mapping than one for writing: by force, or not at all and then the VM ends. */
	if ((map_info & RUTABAGA_MAP_ACCESS_MASK) == RUTABAGA_MAP_ACCESS_READ) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			"the blob may only be read, and cannot be mapped so");
	}
	int fd = export_fd(device, resource_id(resource), len);
	if (fd < 0) {
		return request_refuse(device, request, resp_from_errno(fd), "the blob has no memory to map");
	}
	struct neep_window_map *map = map_create(device, resource, request->cmd.map_blob.offset, len);
	if (map == NULL) {
		neep_close_fd(&fd);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	map->fd = fd;
	/* Linux compares the value for equality: only the cache bits travel. */
	map->map_info = map_info & RUTABAGA_MAP_CACHE_MASK;
	map->waiting = request;
	request_wait(device, request);
	start_change(map, true);
	return RESP_LATER;
}

static uint32_t no_window(struct neep_device *device, const struct neep_request *request) {
	return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_UNSPEC, "there is no host-visible window");
}

uint32_t cmd_map_blob(struct neep_device *device, struct neep_request *request) {
	const struct virtio_gpu_resource_map_blob *cmd = &request->cmd.map_blob;
	if (!has_window(device)) {
		return no_window(device, request);
	}
	struct neep_resource *resource = resource_find(device, cmd->resource_id);
	if (resource == NULL) {
		return request_refuse_resource(device, request);
	}
	uint64_t len;
	const char *mistake = blob_mistake(resource);
	if (mistake == NULL && !neep_add(resource->size, page_size() - 1, &len)) {
		mistake = "the blob is larger than any window";
	}
	if (mistake == NULL) {
		len &= ~(page_size() - 1);
		mistake = place_mistake(device, cmd->offset, len);
	}
	if (mistake != NULL) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, mistake);
	}
	if (device->map_count >= device->options.quota.maps) {
		return request_refuse(
			device, request, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY, "too many live mappings");
	}
	return start_map(device, resource, request, len);
}

/* Ends the wait of an UNMAP_BLOB or of an UNREF. A front-end that failed has no mapping any more either; but one that was
 * not asked, because of a reset, is asked by window_reset(). */
static void unmap_done(struct neep_device_window_request *change, int result) {
	struct neep_window_map *map = neep_container_of(change, struct neep_window_map, change);
	struct neep_device *device = map->device;
	struct neep_resource *resource = map->resource;
	struct neep_request *request = map->waiting;
	NEEP_TRACE3(window_unmap, map->offset, map->len, result);
	if (result == -ECANCELED) {
		map->is_changing = false;
		return;
	}
	map_free(map);
	if (request == NULL) {
		return;
	}
	if (request->cmd.hdr.type == VIRTIO_GPU_CMD_RESOURCE_UNREF && resource != NULL) {
		resource_remove(device, resource);
	}
	request_finish(device, request, VIRTIO_GPU_RESP_OK_NODATA);
}

uint32_t window_unmap_for(
	struct neep_device *device, struct neep_resource *resource, struct neep_request *request) {
	struct neep_window_map *map = resource->map;
	map->change.done = unmap_done;
	map->waiting = request;
	request_wait(device, request);
	start_change(map, false);
	return RESP_LATER;
}

uint32_t cmd_unmap_blob(struct neep_device *device, struct neep_request *request) {
	if (!has_window(device)) {
		return no_window(device, request);
	}
	struct neep_resource *resource = resource_find(device, request->cmd.unmap_blob.resource_id);
	if (resource == NULL) {
		return request_refuse_resource(device, request);
	}
	if (resource->map == NULL) {
		return request_refuse(device, request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "not mapped");
	}
	return window_unmap_for(device, resource, request);
}

/* Takes the mapping from its resource and its command, which belong to the old driver: the push goes nowhere, but the
 * request must come home. */
static void abandon(struct neep_window_map *map) {
	struct neep_device *device = map->device;
	struct neep_request *request = map->waiting;
	map->waiting = NULL;
	if (map->resource != NULL) {
		map->resource->map = NULL;
		map->resource = NULL;
	}
	if (map->is_changing) {
		device->host->impl->cancel_window(device->host, &map->change);
		map->is_changing = false;
	}
	if (request != NULL) {
		request_finish(device, request, VIRTIO_GPU_RESP_ERR_UNSPEC);
	}
}

void window_reset(struct neep_device *device, bool window_is_empty) {
	neep_list_for_each_safe (map, &device->maps, struct neep_window_map, link) {
		abandon(map);
		if (window_is_empty) {
			map_free(map);
		} else {
			map->change.done = unmap_done;
			start_change(map, false);
		}
	}
}

void window_finish(struct neep_device *device) {
	neep_list_for_each_safe (map, &device->maps, struct neep_window_map, link) {
		abandon(map);
		map_free(map);
	}
}
