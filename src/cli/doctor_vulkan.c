/* The host's Vulkan drivers, as a renderer will see them: loaded for real, in a child. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan_core.h>

#include "cli/doctor.h"
#include "cli/run.h"
#include "cli/trial.h"

#define DEVICES_MAX    16
#define EXTENSIONS_MAX 1024

enum vulkan_result {
	VULKAN_WORKS,
	VULKAN_NO_LOADER,
	VULKAN_NO_DRIVER,
	VULKAN_LACKS_IMPORT,
};

struct vulkan {
	PFN_vkGetInstanceProcAddr get;
	VkInstance instance;
};

#define FUNCTION(vulkan, name) ((PFN_##name)(vulkan)->get((vulkan)->instance, #name))

static bool can_import(const struct vulkan *vulkan, VkPhysicalDevice device) {
	static VkExtensionProperties extensions[EXTENSIONS_MAX];
	uint32_t count = EXTENSIONS_MAX;
	PFN_vkEnumerateDeviceExtensionProperties enumerate =
		FUNCTION(vulkan, vkEnumerateDeviceExtensionProperties);
	if (enumerate(device, NULL, &count, extensions) < 0) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(extensions[i].extensionName, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME) == 0) {
			return true;
		}
	}
	return false;
}

/* Prints those that a renderer can use. The guest's own driver on the host would lead back to the guest. */
static int list_devices(const struct vulkan *vulkan, FILE *out) {
	VkPhysicalDevice devices[DEVICES_MAX];
	uint32_t count = DEVICES_MAX;
	if (FUNCTION(vulkan, vkEnumeratePhysicalDevices)(vulkan->instance, &count, devices) < 0 ||
		count == 0) {
		return VULKAN_NO_DRIVER;
	}
	int result = VULKAN_LACKS_IMPORT;
	for (uint32_t i = 0; i < count; i++) {
		VkPhysicalDeviceProperties properties;
		FUNCTION(vulkan, vkGetPhysicalDeviceProperties)(devices[i], &properties);
		if (can_import(vulkan, devices[i])) {
			fprintf(out, "%s%s (Vulkan %u.%u)", result == VULKAN_WORKS ? ", " : "",
				properties.deviceName, VK_API_VERSION_MAJOR(properties.apiVersion),
				VK_API_VERSION_MINOR(properties.apiVersion));
			result = VULKAN_WORKS;
		}
	}
	return result;
}

static int try_vulkan(void *data, FILE *out) {
	(void)data;
	void *library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
	struct vulkan vulkan = { 0 };
	if (library != NULL) {
		*(void **)&vulkan.get = dlsym(library, "vkGetInstanceProcAddr");
	}
	if (vulkan.get == NULL) {
		return VULKAN_NO_LOADER;
	}
	VkApplicationInfo application = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pApplicationName = "neep doctor",
		.apiVersion = VK_API_VERSION_1_1,
	};
	VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &application,
	};
	PFN_vkCreateInstance create = FUNCTION(&vulkan, vkCreateInstance);
	return create(&info, NULL, &vulkan.instance) < 0 ? VULKAN_NO_DRIVER : list_devices(&vulkan, out);
}

void doctor_look_vulkan(struct doctor_finding *finding) {
	static const char remedy[] =
		"install mesa-vulkan-drivers (it has lavapipe for hosts without a GPU), or your GPU's driver";
	char names[480];
	switch (cli_trial_run(try_vulkan, NULL, names, sizeof(names))) {
	case VULKAN_WORKS:
		doctor_ok(finding, "%s", names);
		break;
	case VULKAN_NO_LOADER:
		doctor_no(finding, "install libvulkan1", "no Vulkan loader");
		break;
	case VULKAN_NO_DRIVER:
		doctor_no(finding, remedy, "no Vulkan driver");
		break;
	case VULKAN_LACKS_IMPORT:
		doctor_no(finding, remedy, "no Vulkan driver with VK_EXT_external_memory_host");
		break;
	default:
		doctor_no(finding, remedy, "a Vulkan driver of this host crashes or hangs when it is loaded");
		break;
	}
}

void doctor_look_guest_driver(struct doctor_finding *finding) {
	static struct run_places places;
	struct neep_error error;
	if (run_find_guest_driver(&places, &error) < 0) {
		doctor_no(finding, "", "%s", error.text);
	} else {
		doctor_ok(finding, "%s",
			places.icd[0] != '\0' ? places.icd : "the driver that the environment names");
	}
}
