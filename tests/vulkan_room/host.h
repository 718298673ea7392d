/* The machine's own Vulkan. */
#ifndef NEEP_TESTS_VULKAN_ROOM_HOST_H
#define NEEP_TESTS_VULKAN_ROOM_HOST_H

#include <stdbool.h>

/* Whether the host has Vulkan. Else says, as TAP, that the whole program is skipped. To be called first. */
bool host_has_vulkan(void);

#endif
