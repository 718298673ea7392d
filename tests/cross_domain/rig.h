/* An instance of the library with the cross-domain component, a guest's memory and commands, and a listening socket for a
 * compositor. Context N has the rings with resource ids 10 N + 1 (query) and 10 N + 2 (channel). */
#ifndef NEEP_TESTS_CROSS_DOMAIN_RIG_H
#define NEEP_TESTS_CROSS_DOMAIN_RIG_H

#include "cross_domain/protocol.h"
#include "support/rig.h"
#include "util/fd.h"
#include "util/macros.h"

#define RIG_PAGES_MAX 64
#define RIG_WAYLAND   1

/* What this room's rigs are a part of. */
struct rig_host {
	struct rig base;
	char folder[32];
	char path[64]; // of the compositor
	int listen_fd;
	struct {
		uint32_t resource_id;
		uint8_t *bytes;
	} pages[RIG_PAGES_MAX];
	size_t page_count;
};

static inline struct rig_host *rig_host(struct rig *rig) {
	return neep_container_of(rig, struct rig_host, base);
}

/* cmocka: *state is a struct rig; no fd is left behind. */
int rig_setup(void **state);
int rig_setup_thread(void **state);
int rig_teardown(void **state);
#define rig_test(fn)        cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)
#define rig_thread_test(fn) cmocka_unit_test_setup_teardown(fn, rig_setup_thread, rig_teardown)

/* A builder whose callbacks write to the rig, with the Wayland channel at its socket. The channels are static. */
struct rutabaga_builder rig_builder(struct rig *rig);

void rig_context(struct rig *rig, uint32_t ctx_id);
/* A guest blob of `size` bytes, attached. */
void rig_page(struct rig *rig, uint32_t ctx_id, uint32_t resource_id, size_t size);
/* Its memory. */
uint8_t *rig_bytes(struct rig *rig, uint32_t resource_id);
uint32_t rig_word(struct rig *rig, uint32_t resource_id, size_t offset);
static inline uint32_t rig_query_ring(uint32_t ctx_id) {
	return 10 * ctx_id + 1;
}
static inline uint32_t rig_channel_ring(uint32_t ctx_id) {
	return 10 * ctx_id + 2;
}
uint8_t *rig_message(struct rig *rig, uint32_t ctx_id);

/* Commands; they return what rutabaga_submit_command() does. */
int rig_submit(struct rig *rig, uint32_t ctx_id, const void *bytes, size_t size);
int rig_submit_words(struct rig *rig, uint32_t ctx_id, const uint32_t *words, size_t count);
int rig_init(struct rig *rig, uint32_t ctx_id, uint32_t channel_type);
struct rig_id {
	uint32_t id;
	uint32_t type;
};
int rig_send(struct rig *rig, uint32_t ctx_id, const struct rig_id *ids, size_t count, const char *text);
int rig_write(struct rig *rig, uint32_t ctx_id, uint32_t id, bool hangs_up, const void *data, size_t len);
int rig_query(struct rig *rig, uint32_t ctx_id, uint32_t width, uint32_t height, const char *fourcc);
int rig_blob(struct rig *rig, uint32_t ctx_id, uint32_t resource_id, uint32_t blob_id, uint64_t size);

/* Submits a POLL and its fence; returns that. */
uint64_t rig_poll(struct rig *rig, uint32_t ctx_id);
/* Polls until there is a message. */
void rig_next(struct rig *rig, uint32_t ctx_id);

/* A context with its rings, connected: returns the compositor's end. */
int rig_connect(struct rig *rig, uint32_t ctx_id);
/* From the compositor. */
void host_send(int fd, const void *data, size_t len, const int *fds, size_t count);
/* What arrived at the compositor is this text, once there is something. */
void host_expect(int fd, const char *text, struct neep_fds *fds);

#endif
