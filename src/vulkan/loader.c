#include "vulkan/loader.h"

#include <dlfcn.h>
#include <errno.h>

#include "vulkan/vulkan.h"

#define LOADER "libvulkan.so.1"

// Of the process: written by neep_vk_load(), before there is a context.
static PFN_vkGetInstanceProcAddr get_instance_proc_addr;

int neep_vk_load(struct neep_error *error) {
	if (get_instance_proc_addr != NULL) {
		return 0;
	}
	void *library = dlopen(LOADER, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		return neep_error_set(error, ENOENT,
			"cannot load the Vulkan loader %s (%s): install libvulkan1 and a driver such as "
			"mesa-vulkan-drivers",
			LOADER, dlerror());
	}
	PFN_vkGetInstanceProcAddr entry =
		(PFN_vkGetInstanceProcAddr)(uintptr_t)dlsym(library, "vkGetInstanceProcAddr");
	if (entry == NULL) {
		dlclose(library);
		return neep_error_set(
			error, ENOSYS, "%s has no vkGetInstanceProcAddr: it is not a Vulkan loader", LOADER);
	}
	get_instance_proc_addr = entry;
	return 0;
}

PFN_vkGetInstanceProcAddr neep_vk_loader(void) {
	return get_instance_proc_addr;
}

PFN_vkGetDeviceProcAddr neep_vk_device_loader(VkInstance instance) {
	return (PFN_vkGetDeviceProcAddr)get_instance_proc_addr(instance, "vkGetDeviceProcAddr");
}
