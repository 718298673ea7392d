#include "globals.h"

#include <string.h>

struct search {
	struct wanted *list;
	size_t count;
};

static void add_global(
	void *data, struct wl_registry *registry, uint32_t name, const char *interface, uint32_t version) {
	const struct search *search = data;
	for (size_t i = 0; i < search->count; i++) {
		struct wanted *wanted = &search->list[i];
		if (wanted->proxy == NULL && strcmp(wanted->interface->name, interface) == 0) {
			wanted->proxy = wl_registry_bind(registry, name, wanted->interface,
				version < wanted->version ? version : wanted->version);
		}
	}
}

static void remove_global(void *data, struct wl_registry *registry, uint32_t name) {
	(void)data;
	(void)registry;
	(void)name;
}

static const struct wl_registry_listener listener = { add_global, remove_global };

void globals_bind(struct wlb_client *client, struct wanted *list, size_t count) {
	struct search search = { list, count };
	struct wl_registry *registry = wl_display_get_registry(client->display);
	wl_registry_add_listener(registry, &listener, &search);
	wlb_roundtrip(client);
	wl_registry_destroy(registry);
}

void globals_need(struct wlb_client *client, struct wanted *list, size_t count) {
	globals_bind(client, list, count);
	for (size_t i = 0; i < count; i++) {
		if (list[i].proxy == NULL) {
			wlb_die("the compositor has no %s", list[i].interface->name);
		}
	}
}
