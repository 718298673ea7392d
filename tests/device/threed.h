/* The 3D commands, and the language of the fake 3D component, as the checks of fences, 3D and the window use them. */
#ifndef NEEP_TESTS_DEVICE_THREED_H
#define NEEP_TESTS_DEVICE_THREED_H

#include "device/harness.h"

/* Rings for the functions below that are none: the global timeline, and all of a context. */
#define CHECK_GLOBAL    (-1)
#define CHECK_ALL_RINGS (-2)

/* check_options() with 3D, and a window of `hostmem` bytes (0: none). */
struct check_options check_3d_options(uint64_t hostmem);

/* neep_driver_reset(), with requests of the harness out or not: the driver must not find those on its rings. Requests that
 * were out are forgotten but for check_release(). */
void check_reset(struct check *check);
/* And neep_driver_start() after it. */
void check_restart(struct check *check);

/* ---- commands; all return the type of the reply ---- */

uint32_t check_ctx_destroy(struct check *check, uint32_t ctx_id);
uint32_t check_ctx_attach(struct check *check, uint32_t ctx_id, uint32_t resource_id);
uint32_t check_ctx_detach(struct check *check, uint32_t ctx_id, uint32_t resource_id);
uint32_t check_create_3d(struct check *check, uint32_t resource_id, uint32_t width, uint32_t height);
/* One that has an image on the host, as those of CREATE_2D have. */
uint32_t check_create_image(struct check *check, uint32_t resource_id, uint32_t width, uint32_t height);
uint32_t check_map(struct check *check, uint32_t resource_id, uint64_t offset);
uint32_t check_unmap(struct check *check, uint32_t resource_id);
/* One command of the fake, run by `ctx_id`. */
uint32_t check_fake_op(struct check *check, uint32_t ctx_id, enum neep_fake_op op, const uint32_t *operands,
	size_t operand_count);
/* POKE and CHECK: the bytes of a host blob, from the renderer's side. */
uint32_t check_poke(
	struct check *check, uint32_t ctx_id, uint32_t resource_id, uint32_t offset, uint32_t value);
uint32_t check_peek(
	struct check *check, uint32_t ctx_id, uint32_t resource_id, uint32_t offset, uint32_t value);
/* CREATE_BLOB of HOST3D memory. */
uint32_t check_create_host_blob(
	struct check *check, uint32_t ctx_id, uint32_t resource_id, uint64_t blob_id, uint64_t size);

/* A mappable HOST3D blob full of `fill`, attached to the context that makes it; must succeed. */
void check_host_blob(struct check *check, uint32_t ctx_id, uint32_t resource_id, uint64_t size, uint8_t fill);

/* The two that steer fences, in a stream of context `by`; must succeed. `ring` may be either of the above. */
void check_hold(struct check *check, uint32_t by, uint32_t ctx_id, int ring, bool on);
void check_complete(struct check *check, uint32_t by, uint32_t ctx_id, int ring, uint32_t count);

/* ---- fenced commands in flight ---- */

struct check_fenced {
	struct check_request request;
	uint8_t cmd[128];
};

/* Sends `cmd` (of cmd_len bytes) with FENCE set, on a ring of `ctx_id` or on the global timeline, and room for any fixed
 * reply. Does not wait. */
void check_fenced_send(struct check *check, struct check_fenced *fenced, const void *cmd, size_t cmd_len);
/* Sets the fence in a header. */
void check_fence_set(struct virtio_gpu_ctrl_hdr *hdr, uint32_t ctx_id, int ring, uint64_t fence_id);
/* An empty command stream, which is a bare fence. */
void check_fenced_stream(
	struct check *check, struct check_fenced *fenced, uint32_t ctx_id, int ring, uint64_t fence_id);
/* Asserts that it is answered only when something else happens: after a round trip it is still out. */
void check_fenced_waits(struct check *check, struct check_fenced *fenced);
/* Waits, checks the reply and its echo of the fence, releases. Returns the type; request.sequence stays. */
uint32_t check_fenced_finish(struct check *check, struct check_fenced *fenced);

#endif
