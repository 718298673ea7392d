/* Files of others as memory of the guest: a region each, in guest-physical slots above everything else.
 *
 * A back-end keys its regions by an address of the front-end's, too. So each has address space reserved, as if it were
 * mapped; it is not, so that nothing of what its owner does with the file can reach this process. */
#include <errno.h>
#include <sys/mman.h>

#include "driver/driver_internal.h"
#include "util/fd.h"
#include "util/macros.h"

/* Above the window, wherever that ends: 16 TiB. Slots are twice as large as what is in them. */
#define IMPORT_ADDR (UINT64_C(1) << 44)
#define IMPORT_STEP (2 * NEEP_DRIVER_IMPORT_SIZE_MAX)

void neep_driver_imports_init(struct neep_driver *driver) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(driver->imports); i++) {
		driver->imports[i].fd = -1;
	}
}

static void drop(struct neep_driver_import *import) {
	munmap(import->address, import->size);
	neep_close_fd(&import->fd);
}

void neep_driver_imports_finish(struct neep_driver *driver) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(driver->imports); i++) {
		if (driver->imports[i].fd >= 0) {
			drop(&driver->imports[i]);
		}
	}
}

static uint64_t guest_addr_of(const struct neep_driver *driver, const struct neep_driver_import *import) {
	return IMPORT_ADDR + (uint64_t)(import - driver->imports) * IMPORT_STEP;
}

static struct neep_vhost_user_region region_of(
	const struct neep_driver *driver, const struct neep_driver_import *import) {
	return (struct neep_vhost_user_region){
		.guest_addr = guest_addr_of(driver, import),
		.size = import->size,
		.user_addr = (uint64_t)(uintptr_t)import->address,
	};
}

static int tell(struct neep_driver *driver, struct neep_driver_import *import) {
	struct neep_vhost_user_region region = region_of(driver, import);
	import->epoch = driver->back_end;
	return neep_frontend_add_region(driver->frontend, &region, import->fd);
}

int neep_driver_tell_imports_locked(struct neep_driver *driver) {
	int result = 0;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(driver->imports) && result == 0; i++) {
		struct neep_driver_import *import = &driver->imports[i];
		if (import->fd >= 0 && import->epoch != driver->back_end) {
			result = tell(driver, import);
		}
	}
	return result;
}

static struct neep_driver_import *find_free(struct neep_driver *driver) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(driver->imports); i++) {
		if (driver->imports[i].fd < 0) {
			return &driver->imports[i];
		}
	}
	return NULL;
}

static int import_locked(
	struct neep_driver *driver, int fd, uint64_t size, struct neep_guest_buffer *buffer) {
	struct neep_driver_import *import = find_free(driver);
	if (import == NULL) {
		return -ENOSPC;
	}
	void *address = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (address == MAP_FAILED) {
		return -errno;
	}
	*import = (struct neep_driver_import){ .fd = neep_fd_dup(fd), .size = size, .address = address };
	int result = import->fd < 0 ? import->fd : tell(driver, import);
	if (result < 0) {
		drop(import);
		return result;
	}
	buffer->size = size;
	buffer->first = (struct neep_guest_piece){ .guest_addr = guest_addr_of(driver, import), .len = size };
	buffer->piece_count = 1;
	return 0;
}

int neep_driver_import(struct neep_driver *driver, int fd, uint64_t size, struct neep_guest_buffer *buffer) {
	*buffer = (struct neep_guest_buffer){ 0 };
	if (size == 0 || size > NEEP_DRIVER_IMPORT_SIZE_MAX) {
		return -EINVAL;
	}
	pthread_mutex_lock(&driver->lock);
	int result = import_locked(driver, fd, size, buffer);
	neep_driver_wake_locked(driver);
	pthread_mutex_unlock(&driver->lock);
	return result;
}

bool neep_driver_is_import(const struct neep_guest_buffer *buffer) {
	return buffer->size > 0 && buffer->first.guest_addr >= IMPORT_ADDR;
}

static struct neep_driver_import *import_of(
	struct neep_driver *driver, const struct neep_guest_buffer *buffer) {
	return &driver->imports[(buffer->first.guest_addr - IMPORT_ADDR) / IMPORT_STEP];
}

/* A back-end that is gone, or another one by now, has no such region. */
void neep_driver_free_import_locked(struct neep_driver *driver, struct neep_guest_buffer *buffer) {
	struct neep_driver_import *import = import_of(driver, buffer);
	struct neep_vhost_user_region region = region_of(driver, import);
	(void)neep_frontend_remove_region(driver->frontend, &region);
	drop(import);
	*buffer = (struct neep_guest_buffer){ 0 };
}

int neep_driver_import_fd_locked(struct neep_driver *driver, const struct neep_guest_buffer *buffer) {
	return neep_fd_dup(import_of(driver, buffer)->fd);
}
