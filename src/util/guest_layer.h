/* The name of the Vulkan layer of guest/layer: the loader knows it by that, and the renderer tells by it that it knows the layer. */
#ifndef NEEP_UTIL_GUEST_LAYER_H
#define NEEP_UTIL_GUEST_LAYER_H

#define NEEP_GUEST_LAYER "VK_LAYER_NEEP_null_descriptor"

#endif
