#include "vulkan_room/host.h"

#include <stdio.h>

#include "vulkan/loader.h"
#include "vulkan/vulkan.h"

// Keeps the host's drivers in the process, so that leak checks can tell theirs from ours.
static VkInstance kept;

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
	return "leak:libvulkan\nleak:libLLVM\n";
}

static bool keep_drivers(void) {
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
	PFN_vkCreateInstance create =
		(PFN_vkCreateInstance)neep_vk_loader()(VK_NULL_HANDLE, "vkCreateInstance");
	return create(&info, NULL, &kept) == VK_SUCCESS;
}

bool host_has_vulkan(void) {
	struct neep_error error = { .text = "the host has no Vulkan driver" };
	bool has_vulkan = neep_vk_load(&error) == 0 && keep_drivers();
	if (!has_vulkan) {
		printf("1..0 # SKIP %s\n", error.text);
	}
	return has_vulkan;
}
