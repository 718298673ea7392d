#include <string.h>

#include "layer/layer.h"
#include "util/macros.h"

struct function {
	const char *name;
	PFN_vkVoidFunction function;
};

#define OWN(name) \
	{ "vk" #name, (PFN_vkVoidFunction)neep_layer_##name }
// Under the name of an extension.
#define ALSO(name, suffix) \
	{ "vk" #name #suffix, (PFN_vkVoidFunction)neep_layer_##name }

static const struct function instance_functions[] = {
	OWN(GetInstanceProcAddr),
	OWN(CreateInstance),
	OWN(DestroyInstance),
	OWN(EnumerateDeviceExtensionProperties),
	OWN(CreateDevice),
};

// Where the driver or the loader has them: not in every instance of Vulkan 1.0.
static const struct function physical_device_functions[] = {
	OWN(GetPhysicalDeviceFeatures2),
	ALSO(GetPhysicalDeviceFeatures2, KHR),
	OWN(GetPhysicalDeviceProperties2),
	ALSO(GetPhysicalDeviceProperties2, KHR),
};

static const struct function device_functions[] = {
	OWN(GetDeviceProcAddr),
	OWN(DestroyDevice),
};

// For devices with null descriptors.
static const struct function null_functions[] = {
	OWN(CreateDescriptorUpdateTemplate),
	ALSO(CreateDescriptorUpdateTemplate, KHR),
	OWN(DestroyDescriptorUpdateTemplate),
	ALSO(DestroyDescriptorUpdateTemplate, KHR),
	OWN(UpdateDescriptorSetWithTemplate),
	ALSO(UpdateDescriptorSetWithTemplate, KHR),
	OWN(CmdBindVertexBuffers),
	OWN(CmdBindVertexBuffers2),
	ALSO(CmdBindVertexBuffers2, EXT),
};

static PFN_vkVoidFunction find(const struct function *functions, size_t count, const char *name) {
	for (size_t i = 0; i < count; i++) {
		if (strcmp(functions[i].name, name) == 0) {
			return functions[i].function;
		}
	}
	return NULL;
}

#define FIND(functions, name) find(functions, NEEP_ARRAY_LEN(functions), name)

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL neep_layer_GetDeviceProcAddr(VkDevice device, const char *name) {
	const struct neep_layer_device *self = neep_layer_device_of(device);
	PFN_vkVoidFunction own = FIND(device_functions, name);
	if (own != NULL || self == NULL) {
		return own;
	}
	PFN_vkVoidFunction below = self->get(device, name);
	if (self->null_buffer != VK_NULL_HANDLE) {
		own = FIND(null_functions, name);
	}
	return own != NULL && below != NULL ? own : below;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL neep_layer_GetInstanceProcAddr(
	VkInstance instance, const char *name) {
	PFN_vkVoidFunction own = FIND(instance_functions, name);
	own = own != NULL ? own : FIND(device_functions, name);
	if (own != NULL || instance == VK_NULL_HANDLE) {
		return own;
	}
	const struct neep_layer_instance *self = neep_layer_instance_of(instance);
	PFN_vkVoidFunction below = self != NULL ? self->get(instance, name) : NULL;
	own = FIND(physical_device_functions, name);
	return own != NULL && below != NULL ? own : below;
}

VK_LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(
	VkNegotiateLayerInterface *interface) {
	if (interface->loaderLayerInterfaceVersion < 2) {
		return VK_ERROR_INITIALIZATION_FAILED;
	}
	interface->loaderLayerInterfaceVersion = 2;
	interface->pfnGetInstanceProcAddr = neep_layer_GetInstanceProcAddr;
	interface->pfnGetDeviceProcAddr = neep_layer_GetDeviceProcAddr;
	interface->pfnGetPhysicalDeviceProcAddr = NULL;
	return VK_SUCCESS;
}
