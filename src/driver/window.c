#include "driver/window.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "driver/memory.h"
#include "util/checked.h"
#include "util/fd.h"

void neep_window_init(struct neep_window *window) {
	*window = (struct neep_window){ 0 };
	neep_list_init(&window->maps);
}

static void drop_map(struct neep_window_map *map) {
	neep_list_remove(&map->link);
	neep_close_fd(&map->fd);
	free(map);
}

void neep_window_finish(struct neep_window *window) {
	neep_list_for_each_safe (map, &window->maps, struct neep_window_map, link) {
		drop_map(map);
	}
	if (window->host != NULL) {
		munmap(window->host, window->size);
	}
	neep_window_init(window);
}

int neep_window_reserve(struct neep_window *window, uint8_t shmem_id, uint64_t size) {
	void *host = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (host == MAP_FAILED) {
		return -errno;
	}
	window->shmem_id = shmem_id;
	window->size = size;
	window->host = host;
	return 0;
}

static bool overlaps(const struct neep_window *window, uint64_t offset, uint64_t len) {
	neep_list_for_each (map, &window->maps, struct neep_window_map, link) {
		if (map->echo != NEEP_WINDOW_GONE && offset < map->offset + map->len &&
			map->offset < offset + len) {
			return true;
		}
	}
	return false;
}

/* A file must hold what is mapped of it; a dma-buf tells no size that way and is believed. */
static int check_file(int fd, const struct neep_vhost_user_shmem_map *request) {
	struct stat st;
	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (S_ISREG(st.st_mode) &&
		!neep_range_within(request->fd_offset, request->len, (uint64_t)st.st_size)) {
		return -ERANGE;
	}
	return 0;
}

static int check_request(const struct neep_window *window, const struct neep_vhost_user_shmem_map *request) {
	if (window->size == 0 || request->shmem_id != window->shmem_id) {
		return -ENOENT;
	}
	if (request->len == 0 || request->len % NEEP_GUEST_PAGE_SIZE != 0 ||
		request->shm_offset % NEEP_GUEST_PAGE_SIZE != 0 ||
		request->fd_offset % NEEP_GUEST_PAGE_SIZE != 0) {
		return -EINVAL;
	}
	return neep_range_within(request->shm_offset, request->len, window->size) ? 0 : -ERANGE;
}

int neep_window_map(
	struct neep_window *window, const struct neep_vhost_user_shmem_map *request, int owned_fd) {
	neep_autoclose int fd = owned_fd;
	int result = fd < 0 ? -EBADF : check_request(window, request);
	if (result == 0) {
		result = check_file(fd, request);
	}
	if (result < 0) {
		return result;
	}
	if (overlaps(window, request->shm_offset, request->len)) {
		return -EEXIST;
	}
	struct neep_window_map *map = calloc(1, sizeof(*map));
	if (map == NULL) {
		return -ENOMEM;
	}
	void *at = (char *)window->host + request->shm_offset;
	if (mmap(at, request->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		    (off_t)request->fd_offset) == MAP_FAILED) {
		result = -errno;
		free(map);
		return result;
	}
	*map = (struct neep_window_map){
		.offset = request->shm_offset,
		.len = request->len,
		.fd_offset = request->fd_offset,
		.fd = neep_steal_fd(&fd),
		.echo = NEEP_WINDOW_UNTOLD,
	};
	neep_list_append(&window->maps, &map->link);
	window->live++;
	return 0;
}

static void remove_map(struct neep_window *window, struct neep_window_map *map) {
	void *at = (char *)window->host + map->offset;
	/* The address space stays reserved: a plain munmap() would let another mapping slip in. */
	mmap(at, map->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	window->live--;
	neep_close_fd(&map->fd);
	if (map->echo == NEEP_WINDOW_UNTOLD) {
		drop_map(map);
	} else {
		map->echo = NEEP_WINDOW_GONE;
	}
}

int neep_window_unmap(struct neep_window *window, const struct neep_vhost_user_shmem_map *request) {
	int result = check_request(window, request);
	if (result < 0) {
		return result;
	}
	neep_list_for_each (map, &window->maps, struct neep_window_map, link) {
		if (map->echo != NEEP_WINDOW_GONE && map->offset == request->shm_offset &&
			map->len == request->len) {
			remove_map(window, map);
			return 0;
		}
	}
	return -ENOENT;
}

const struct neep_window_map *neep_window_find(const struct neep_window *window, uint64_t offset) {
	neep_list_for_each (map, &window->maps, struct neep_window_map, link) {
		if (map->echo != NEEP_WINDOW_GONE && map->offset == offset) {
			return map;
		}
	}
	return NULL;
}

void neep_window_clear(struct neep_window *window) {
	neep_list_for_each_safe (map, &window->maps, struct neep_window_map, link) {
		if (map->echo != NEEP_WINDOW_GONE) {
			remove_map(window, map);
		}
	}
}

struct neep_window_map *neep_window_pending(struct neep_window *window) {
	/* Regions that are gone come first: a new map may lie where they were. */
	neep_list_for_each (map, &window->maps, struct neep_window_map, link) {
		if (map->echo == NEEP_WINDOW_GONE) {
			return map;
		}
	}
	neep_list_for_each (map, &window->maps, struct neep_window_map, link) {
		if (map->echo == NEEP_WINDOW_UNTOLD) {
			return map;
		}
	}
	return NULL;
}

void neep_window_told(struct neep_window_map *map) {
	if (map->echo == NEEP_WINDOW_GONE) {
		drop_map(map);
	} else {
		map->echo = NEEP_WINDOW_TOLD;
	}
}

void neep_window_forget_echoes(struct neep_window *window) {
	neep_list_for_each_safe (map, &window->maps, struct neep_window_map, link) {
		if (map->echo == NEEP_WINDOW_GONE) {
			drop_map(map);
		} else {
			map->echo = NEEP_WINDOW_UNTOLD;
		}
	}
}

struct neep_vhost_user_region neep_window_region(
	const struct neep_window *window, const struct neep_window_map *map) {
	return (struct neep_vhost_user_region){
		.guest_addr = NEEP_WINDOW_GUEST_ADDR + map->offset,
		.size = map->len,
		.user_addr = (uint64_t)(uintptr_t)window->host + map->offset,
		.mmap_offset = map->echo == NEEP_WINDOW_GONE ? 0 : map->fd_offset,
	};
}
