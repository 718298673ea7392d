#include <stdlib.h>

#include "util/log.h"
#include "vulkan/call.h"
#include "vulkan/device.h"
#include "vulkan/enumerate.h"
#include "vulkan/handlers_instance.h"
#include "vulkan/loader.h"
#include "vulkan/physical_device.h"

// What a guest can use: all of it part of Vulkan 1.1, which we need, so that no driver is asked. Surfaces and debug messengers are
// made on the guest's own side.
static const VkExtensionProperties offered[] = {
	{ VK_KHR_GET_PHYSICAL_DEVICE_PROPERTIES_2_EXTENSION_NAME,
		VK_KHR_GET_PHYSICAL_DEVICE_PROPERTIES_2_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_FENCE_CAPABILITIES_EXTENSION_NAME,
		VK_KHR_EXTERNAL_FENCE_CAPABILITIES_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_MEMORY_CAPABILITIES_EXTENSION_NAME,
		VK_KHR_EXTERNAL_MEMORY_CAPABILITIES_SPEC_VERSION },
	{ VK_KHR_EXTERNAL_SEMAPHORE_CAPABILITIES_EXTENSION_NAME,
		VK_KHR_EXTERNAL_SEMAPHORE_CAPABILITIES_SPEC_VERSION },
};

static PFN_vkVoidFunction global_command(const char *name) {
	return neep_vk_loader()(VK_NULL_HANDLE, name);
}

static uint32_t usable_version(void) {
	PFN_vkEnumerateInstanceVersion enumerate =
		(PFN_vkEnumerateInstanceVersion)global_command("vkEnumerateInstanceVersion");
	uint32_t version = VK_API_VERSION_1_0;
	if (enumerate != NULL && enumerate(&version) != VK_SUCCESS) {
		version = VK_API_VERSION_1_0;
	}
	return version < NEEP_VK_API_VERSION ? version : NEEP_VK_API_VERSION;
}

VkResult neep_vk_EnumerateInstanceVersion(struct neep_vk_call *call, uint32_t *pApiVersion) {
	(void)call;
	*pApiVersion = usable_version();
	return VK_SUCCESS;
}

VkResult neep_vk_EnumerateInstanceExtensionProperties(struct neep_vk_call *call, const char *pLayerName,
	uint32_t *pPropertyCount, VkExtensionProperties *pProperties) {
	(void)call;
	const struct neep_vk_items all = {
		.items = offered,
		.item_size = sizeof(offered[0]),
		.count = NEEP_ARRAY_LEN(offered),
	};
	return neep_vk_extensions_enumerate(&all, pLayerName, pPropertyCount, pProperties);
}

VkResult neep_vk_EnumerateInstanceLayerProperties(
	struct neep_vk_call *call, uint32_t *pPropertyCount, VkLayerProperties *pProperties) {
	(void)call;
	return neep_vk_enumerate(&(struct neep_vk_items){ 0 }, pPropertyCount, pProperties);
}

static void release_instance(struct neep_vk_object *object) {
	struct neep_vk_instance *instance = neep_vk_instance_from(object);
	instance->vk.DestroyInstance(NEEP_VK_HANDLE(VkInstance, object), NULL);
}

static VkApplicationInfo application_for(const VkApplicationInfo *wanted, uint32_t version) {
	VkApplicationInfo application = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO };
	if (wanted != NULL) {
		application = *wanted;
		application.pNext = NULL;
	}
	application.apiVersion = version;
	return application;
}

static VkResult create_driver_instance(
	const VkInstanceCreateInfo *wanted, uint32_t version, VkInstance *instance) {
	const VkApplicationInfo application = application_for(wanted->pApplicationInfo, version);
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &application,
	};
	PFN_vkCreateInstance create = (PFN_vkCreateInstance)global_command("vkCreateInstance");
	return create(&info, NULL, instance);
}

// Takes the driver's instance in every case.
static VkResult add_instance(struct neep_vk_call *call, VkInstance owned, uint32_t version, uint64_t *id) {
	PFN_vkDestroyInstance destroy = (PFN_vkDestroyInstance)neep_vk_loader()(owned, "vkDestroyInstance");
	struct neep_vk_instance *instance = calloc(1, sizeof(*instance));
	if (instance == NULL) {
		destroy(owned, NULL);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	instance->api_version = version;
	neep_vk_instance_table_load(&instance->vk, neep_vk_loader(), owned);
	const struct neep_vk_object_params params = {
		.type = NEEP_VK_INSTANCE,
		.handle = NEEP_VK_RAW(owned),
		.release = release_instance,
	};
	if (neep_vk_object_add(neep_vk_call_table(call), &instance->base, &params) != 0) {
		destroy(owned, NULL);
		free(instance);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	*id = instance->base.id;
	return VK_SUCCESS;
}

VkResult neep_vk_CreateInstance(
	struct neep_vk_call *call, const VkInstanceCreateInfo *pCreateInfo, uint64_t *pInstance) {
	uint32_t version = usable_version();
	if (version < VK_API_VERSION_1_1) {
		neep_log(
			"vulkan", NEEP_LOG_ERROR, "the host's Vulkan loader has version 1.0: neep needs 1.1");
		return VK_ERROR_INCOMPATIBLE_DRIVER;
	}
	VkInstance instance;
	VkResult result = create_driver_instance(pCreateInfo, version, &instance);
	if (result != VK_SUCCESS) {
		neep_log("vulkan", NEEP_LOG_ERROR,
			"the host has no Vulkan driver that works (error %d): install one, such as "
			"mesa-vulkan-drivers",
			(int)result);
		return result;
	}
	return add_instance(call, instance, version, pInstance);
}

void neep_vk_DestroyInstance(struct neep_vk_call *call, struct neep_vk_object *instance) {
	neep_vk_object_destroy(neep_vk_call_table(call), instance);
}

VkResult neep_vk_EnumeratePhysicalDevices(struct neep_vk_call *call, struct neep_vk_object *instance,
	uint32_t *pPhysicalDeviceCount, uint64_t *pPhysicalDevices) {
	struct neep_vk_instance *self = neep_vk_instance_from(instance);
	if (!self->has_chosen) {
		VkResult result = neep_vk_physical_device_choose(call, self);
		if (result != VK_SUCCESS) {
			*pPhysicalDeviceCount = 0;
			return result;
		}
	}
	const struct neep_vk_items all = {
		.items = &self->physical_id,
		.item_size = sizeof(self->physical_id),
		.count = self->physical_id != 0,
	};
	return neep_vk_enumerate(&all, pPhysicalDeviceCount, pPhysicalDevices);
}
