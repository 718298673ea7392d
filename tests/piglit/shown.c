/* Prints what as_guest.c shows, the version and the extensions: run through neep, what the guest driver passes on. */
#include <stdio.h>
#include <stdlib.h>

#include <vulkan/vulkan.h>

static void check(VkResult result) {
	if (result < 0) {
		fprintf(stderr, "shown: a Vulkan call failed with %d\n", result);
		exit(1);
	}
}

static VkPhysicalDevice first_device(void) {
	const VkApplicationInfo app = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.apiVersion = VK_API_VERSION_1_3,
	};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &app,
	};
	VkInstance instance;
	VkPhysicalDevice device;
	uint32_t count = 1;
	check(vkCreateInstance(&info, NULL, &instance));
	check(vkEnumeratePhysicalDevices(instance, &count, &device));
	return device;
}

int main(void) {
	VkPhysicalDevice device = first_device();
	VkPhysicalDeviceProperties properties;
	vkGetPhysicalDeviceProperties(device, &properties);
	printf("%u\n", properties.apiVersion);
	uint32_t count;
	check(vkEnumerateDeviceExtensionProperties(device, NULL, &count, NULL));
	VkExtensionProperties *extensions = calloc(count, sizeof(*extensions));
	if (extensions == NULL) {
		return 1;
	}
	check(vkEnumerateDeviceExtensionProperties(device, NULL, &count, extensions));
	for (uint32_t i = 0; i < count; i++) {
		printf("%s\n", extensions[i].extensionName);
	}
	free(extensions);
	return 0;
}
