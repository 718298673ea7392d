#include "wayland/host.h"

int neep_wl_host_send(struct neep_wl_host *host, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	return host->impl->send(host, bytes, len, attachments, count);
}

void neep_wl_host_set_receiving(struct neep_wl_host *host, bool is_receiving) {
	host->impl->set_receiving(host, is_receiving);
}

struct neep_wl_memory *neep_wl_host_allocate(struct neep_wl_host *host, size_t size) {
	return host->impl->allocate(host, size);
}

bool neep_wl_host_can_pass(struct neep_wl_host *host, int fd) {
	return !host->copies_all && host->impl->can_pass(host, fd);
}

struct neep_wl_memory *neep_wl_host_import(struct neep_wl_host *host, int fd) {
	return host->copies_all || host->impl->import == NULL ? NULL : host->impl->import(host, fd);
}

void neep_wl_host_destroy(struct neep_wl_host *host) {
	if (host != NULL) {
		host->impl->destroy(host);
	}
}

struct neep_wl_memory *neep_wl_memory_ref(struct neep_wl_memory *memory) {
	memory->refs++;
	return memory;
}

void neep_wl_memory_unref(struct neep_wl_memory *memory) {
	if (memory != NULL && --memory->refs == 0) {
		memory->impl->destroy(memory);
	}
}
