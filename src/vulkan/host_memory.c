#include "vulkan/host_memory.h"

#include <sys/mman.h>

#include "util/checked.h"

bool neep_vk_page_round(uint64_t size, uint64_t *rounded) {
	if (!neep_add(size, NEEP_VK_HOST_PAGE - 1, rounded)) {
		return false;
	}
	*rounded &= ~(NEEP_VK_HOST_PAGE - 1);
	return true;
}

void *neep_vk_host_map(int fd, uint64_t size) {
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return ptr != MAP_FAILED ? ptr : NULL;
}
