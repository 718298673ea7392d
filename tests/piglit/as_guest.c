/* A Vulkan layer that shows no more of a device than a guest is shown: the version and the extensions that shown.c has written to
 * the file NEEP_AS_GUEST. What a test then finds on the host's own driver is what it can find through any host
 * behind this guest driver, so that only what is left over is neep's doing.
 *
 * Source: the loader's "Architecture of the Vulkan Loader Interfaces", layers; interface version 2. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT         __attribute__((visibility("default")))
#define EXTENSIONS_MAX 512

static struct {
	uint32_t version;
	uint32_t count;
	char extensions[EXTENSIONS_MAX][VK_MAX_EXTENSION_NAME_SIZE];
} shown;

/* Of the one instance that a test makes at a time. */
static struct {
	VkInstance instance;
	PFN_vkGetInstanceProcAddr get;
	PFN_vkEnumerateDeviceExtensionProperties list;
	PFN_vkGetPhysicalDeviceProperties properties;
	PFN_vkGetPhysicalDeviceProperties2 properties2;
} next;

static bool read_shown(void) {
	const char *path = getenv("NEEP_AS_GUEST");
	FILE *file = path != NULL ? fopen(path, "re") : NULL;
	bool is_read = file != NULL && fscanf(file, "%u", &shown.version) == 1;
	shown.count = 0;
	while (is_read && shown.count < EXTENSIONS_MAX &&
		fscanf(file, "%255s", shown.extensions[shown.count]) == 1) {
		shown.count++;
	}
	if (file != NULL) {
		fclose(file);
	}
	return is_read;
}

static bool is_shown(const char *name) {
	for (uint32_t i = 0; i < shown.count; i++) {
		if (strcmp(shown.extensions[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static void limit(VkPhysicalDeviceProperties *properties) {
	properties->apiVersion =
		properties->apiVersion < shown.version ? properties->apiVersion : shown.version;
}

static VKAPI_ATTR void VKAPI_CALL get_properties(
	VkPhysicalDevice device, VkPhysicalDeviceProperties *properties) {
	next.properties(device, properties);
	limit(properties);
}

static VKAPI_ATTR void VKAPI_CALL get_properties2(
	VkPhysicalDevice device, VkPhysicalDeviceProperties2 *properties) {
	next.properties2(device, properties);
	limit(&properties->properties);
}

static VKAPI_ATTR VkResult VKAPI_CALL list_extensions(
	VkPhysicalDevice device, const char *layer, uint32_t *count, VkExtensionProperties *properties) {
	if (layer != NULL) {
		return next.list(device, layer, count, properties);
	}
	static VkExtensionProperties all[EXTENSIONS_MAX];
	uint32_t all_count = EXTENSIONS_MAX, kept = 0;
	VkResult result = next.list(device, NULL, &all_count, all);
	for (uint32_t i = 0; result >= 0 && i < all_count; i++) {
		if (is_shown(all[i].extensionName)) {
			all[kept++] = all[i];
		}
	}
	if (properties == NULL) {
		*count = kept;
		return result;
	}
	bool is_all = *count >= kept;
	*count = is_all ? kept : *count;
	memcpy(properties, all, *count * sizeof(*all));
	return is_all ? result : VK_INCOMPLETE;
}

static VkLayerInstanceCreateInfo *find_link(const VkInstanceCreateInfo *info) {
	for (const VkBaseInStructure *at = info->pNext; at != NULL; at = at->pNext) {
		VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)(uintptr_t)at;
		if (at->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO &&
			link->function == VK_LAYER_LINK_INFO) {
			return link;
		}
	}
	return NULL;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(
	const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *instance) {
	VkLayerInstanceCreateInfo *link = find_link(info);
	if (link == NULL || !read_shown()) {
		fprintf(stderr, "as_guest: NEEP_AS_GUEST names no file that shown has written\n");
		return VK_ERROR_INITIALIZATION_FAILED;
	}
	next.get = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
	link->u.pLayerInfo = link->u.pLayerInfo->pNext;
	PFN_vkCreateInstance create = (PFN_vkCreateInstance)next.get(NULL, "vkCreateInstance");
	VkResult result = create(info, allocator, instance);
	if (result != VK_SUCCESS) {
		return result;
	}
	next.instance = *instance;
	next.list = (PFN_vkEnumerateDeviceExtensionProperties)next.get(
		*instance, "vkEnumerateDeviceExtensionProperties");
	next.properties =
		(PFN_vkGetPhysicalDeviceProperties)next.get(*instance, "vkGetPhysicalDeviceProperties");
	next.properties2 =
		(PFN_vkGetPhysicalDeviceProperties2)next.get(*instance, "vkGetPhysicalDeviceProperties2");
	return VK_SUCCESS;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_function(VkInstance instance, const char *name) {
	static const struct {
		const char *name;
		PFN_vkVoidFunction function;
	} own[] = {
		{ "vkGetInstanceProcAddr", (PFN_vkVoidFunction)get_function },
		{ "vkCreateInstance", (PFN_vkVoidFunction)create_instance },
		{ "vkEnumerateDeviceExtensionProperties", (PFN_vkVoidFunction)list_extensions },
		{ "vkGetPhysicalDeviceProperties", (PFN_vkVoidFunction)get_properties },
		{ "vkGetPhysicalDeviceProperties2", (PFN_vkVoidFunction)get_properties2 },
		{ "vkGetPhysicalDeviceProperties2KHR", (PFN_vkVoidFunction)get_properties2 },
	};
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		if (strcmp(own[i].name, name) == 0) {
			return own[i].function;
		}
	}
	return next.get != NULL ? next.get(instance, name) : NULL;
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(
	VkNegotiateLayerInterface *interface) {
	interface->loaderLayerInterfaceVersion = 2;
	interface->pfnGetInstanceProcAddr = get_function;
	interface->pfnGetDeviceProcAddr = NULL;
	interface->pfnGetPhysicalDeviceProcAddr = NULL;
	return VK_SUCCESS;
}
