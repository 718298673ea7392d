/* Black-box checks of the virtio-gpu device: a device process, a driver, and what every check asserts of every reply.
 *
 * check_open() forks a child that serves a vhost-user socket with the daemon's own wiring and the fake 3D component, and
 * connects a struct neep_driver to it in this process. Requests go through the driver's rings at the level of descriptors
 * (driver/queue.h), so that any shape of buffer can be sent; config space, memory, window, display and reset are the
 * driver's (driver/driver.h). A failed assertion leaves the case by longjmp: check_teardown() ends what it left behind.
 *
 * The names are those of the checklist: check_017_... is number 17. NEEP_TEST_RING=packed runs all of it over packed
 * rings; NEEP_TEST_LOG=1 shows the device's log. One thread. */
#ifndef NEEP_TESTS_DEVICE_HARNESS_H
#define NEEP_TESTS_DEVICE_HARNESS_H

#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "device/device.h"
#include "driver/display_peer.h"
#include "driver/driver.h"
#include "driver/queue.h"
#include "support/cmocka.h"
#include "support/fake_component.h"

#define CHECK_BIT(bit) (UINT64_C(1) << (bit))

/* Newer than the kernel headers of the oldest supported host. */
#define CHECK_F_BLOB_ALIGNMENT 5

/* The types of replies, short. */
enum check_resp {
	CHECK_NONE = 0, // nothing was written
	CHECK_OK = VIRTIO_GPU_RESP_OK_NODATA,
	CHECK_UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC,
	CHECK_NO_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
	CHECK_BAD_SCANOUT = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
	CHECK_BAD_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	CHECK_BAD_CONTEXT = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
	CHECK_BAD_PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
};

struct check_options {
	struct neep_driver_options
		driver; // features: what the driver accepts of the offer; memory; queue sizes
	struct neep_device_options device; // outputs, window, alignment, quota
	const char *display;               // sink: "headless", "none", or "qemu" with a display peer
	bool has_3d; // the capsets of the fake component, and with them VIRGL and CONTEXT_INIT
	uint32_t second_width, second_height; // mode of output 1 (headless); 0: left as the device has it
};

/* The set-up of the checklist: VERSION_1, EDID, RESOURCE_UUID and RESOURCE_BLOB, INDIRECT and EVENT_IDX, two outputs of
 * 1280x800 and 1024x768, headless, no 3D, no window, 256 MiB of memory, rings of 64 and 16; packed rings when the
 * environment says so. Copy it and change what matters. */
struct check_options check_options(void);

struct check;

/* Starts a device and a driver; both are running. NULL options: check_options(). Fails the case on any error. */
struct check *check_open(const struct check_options *options);

/* The device must be alive and answer GET_DISPLAY_INFO, no buffer may be out (else the driver is reset first by the
 * caller), and the device process must end with status 0 and a log of bounded size once the connection is closed. */
void check_close(struct check *check);

/* cmocka: no descriptor is left open, and what a failed case left behind is ended. */
int check_setup(void **state);
int check_teardown(void **state);
#define device_check(fn) cmocka_unit_test_setup_teardown(fn, check_setup, check_teardown)

/* Borrowed. For other threads' use see driver.h; while a check_*() call runs no other thread may use the driver. */
struct neep_driver *check_driver(struct check *check);
struct neep_display_peer *check_display(struct check *check); // "qemu" only
pid_t check_pid(const struct check *check);

/* ---- the device process, seen from outside ---- */

uint32_t check_open_fds(const struct check *check);
uint64_t check_rss(const struct check *check); // resident bytes

/* What may be added to the resident bytes of a device whose use of memory is flat. The sanitizer keeps what was freed for
 * a while. */
#if defined(__SANITIZE_ADDRESS__)
#define CHECK_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECK_HAS_ASAN 1
#endif
#endif
#ifndef CHECK_HAS_ASAN
#define CHECK_HAS_ASAN 0
#endif
#define CHECK_RSS_SLACK ((CHECK_HAS_ASAN ? UINT64_C(512) : UINT64_C(2)) << 20)

/* As the host user would: neep_device_set_output() in the device process. Returns its result. */
int check_set_output(struct check *check, uint32_t scanout_id, uint32_t width, uint32_t height);

/* The device's own statistics and the fake component's, for checks of what is alive. */
struct check_counts {
	struct neep_device_stats device;
	struct neep_fake_counts fake;
};
struct check_counts check_counts(struct check *check);

/* The fake component, from the host's side: neep_fake_hold(), _complete(), _complete_last() and _refuse(). */
void check_fake_hold(struct check *check, uint32_t ctx_id, uint32_t ring, bool on);
void check_fake_complete(struct check *check, uint32_t ctx_id, uint32_t ring, uint32_t count);
void check_fake_complete_last(struct check *check, uint32_t ctx_id, uint32_t ring);
void check_fake_refuse(struct check *check, enum neep_fake_call what, int error, uint32_t count);

/* ---- requests ---- */

#define CHECK_SENTINEL 0xa5

/* One request. The upper half is the caller's; zero is a good value for everything. */
struct check_request {
	enum neep_driver_queue queue;
	const void *cmd; // copied at submit
	size_t cmd_len;
	const void *payload; // follows cmd in the stream, in a descriptor of its own; copied at submit
	size_t payload_len;
	size_t room;        // bytes of device-writable part, filled with CHECK_SENTINEL
	size_t cmd_piece;   // the longest readable descriptor in bytes; 0: as above
	size_t reply_piece; // the longest writable descriptor in bytes; 0: one

	/* Set when it comes back. */
	bool is_done;
	uint32_t used_len;
	uint64_t sequence; // 1, 2, 3... in the order of completion over both queues of this check
	uint8_t *reply;    // `room` bytes as the device left them

	/* Private. */
	struct check *check;
	struct neep_queue_buffer buffer;
	struct neep_guest_buffer memory;
	struct neep_guest_piece *pieces;
	uint8_t *image; // what the memory held at submit
};

/* Puts the request on its ring and kicks. Unmoved until it is done; check_release() after that. */
void check_submit(struct check *check, struct check_request *request);

/* Several at once, with one kick. */
void check_submit_many(struct check *check, struct check_request *requests, size_t count);

/* Sleeps until the request is done, 10 s at most; then asserts what holds for any request: memory that is not the device's
 * is untouched. */
void check_wait(struct check *check, struct check_request *request);

/* Whether it is done, after collecting what there is; never sleeps. */
bool check_poll(struct check *check, struct check_request *request);

/* Sleeps this long while collecting completions. */
void check_sleep(struct check *check, int64_t ns);

/* Asserts the form of a reply: see check_cmd(). Returns its type, CHECK_NONE when there was no room for one. */
uint32_t check_reply(struct check *check, const struct check_request *request);

/* Frees what submit allocated. One that was never submitted is fine. */
void check_release(struct check *check, struct check_request *request);

/* Forgets requests that a reset of the driver dropped; then check_release() them. */
void check_forget(struct check *check, struct check_request *request);

/* submit, wait, check_reply() and release; the first reply_len bytes of the reply are copied to `reply` (may be NULL).
 * `room` is what the request says. Returns the type of the reply.
 *
 * Asserts: returned once; used length exactly that of the reply's type, 0 where 24 bytes did not fit; the rest of the
 * writable part and everything around it untouched; padding zero; fence, context and ring echoed if and only if the
 * command has FENCE. */
uint32_t check_run(struct check *check, struct check_request *request, void *reply, size_t reply_len);

/* A control command, with reply_len bytes of room and some more. */
uint32_t check_cmd(struct check *check, const void *cmd, size_t cmd_len, void *reply, size_t reply_len);

/* A control command with a payload, with room for a plain reply. */
uint32_t check_cmd_payload(
	struct check *check, const void *cmd, size_t cmd_len, const void *payload, size_t payload_len);

/* A control command whose OK reply is a plain one: `cmd` is a struct. */
#define check_send(check, cmd) check_cmd(check, cmd, sizeof(*(cmd)), NULL, sizeof(struct virtio_gpu_ctrl_hdr))

/* A cursor command, with no writable part, as Linux sends it. */
void check_cursor(struct check *check, const struct virtio_gpu_update_cursor *cmd);

/* ---- commands; all return the type of the reply ---- */

uint32_t check_display_info(struct check *check, struct virtio_gpu_resp_display_info *reply);
uint32_t check_get_edid(struct check *check, uint32_t scanout_id, struct virtio_gpu_resp_edid *reply);
uint32_t check_create_2d(
	struct check *check, uint32_t resource_id, uint32_t format, uint32_t width, uint32_t height);
uint32_t check_unref(struct check *check, uint32_t resource_id);
uint32_t check_attach_entries(struct check *check, uint32_t resource_id, uint32_t nr_entries,
	const struct virtio_gpu_mem_entry *entries, size_t entry_count);
/* One entry per piece of the buffer. */
uint32_t check_attach(struct check *check, uint32_t resource_id, const struct neep_guest_buffer *buffer);
uint32_t check_detach(struct check *check, uint32_t resource_id);
uint32_t check_transfer(
	struct check *check, uint32_t resource_id, const struct neep_rect *rect, uint64_t offset);
uint32_t check_set_scanout(
	struct check *check, uint32_t scanout_id, uint32_t resource_id, const struct neep_rect *rect);
uint32_t check_flush(struct check *check, uint32_t resource_id, const struct neep_rect *rect);
uint32_t check_create_blob_entries(struct check *check, const struct virtio_gpu_resource_create_blob *cmd,
	const struct virtio_gpu_mem_entry *entries, size_t entry_count);
/* A guest blob of the whole buffer, USE_SHAREABLE. */
uint32_t check_create_blob(
	struct check *check, uint32_t resource_id, const struct neep_guest_buffer *buffer, uint64_t size);
uint32_t check_ctx_create(struct check *check, uint32_t ctx_id, uint32_t context_init);
uint32_t check_submit_stream(struct check *check, uint32_t ctx_id, const struct neep_fake_stream *stream);

/* ---- guest memory ---- */

/* The buffer is freed by check_close() at the latest. */
struct neep_guest_buffer *check_alloc(struct check *check, uint64_t size);
struct neep_guest_buffer *check_alloc_scattered(struct check *check, uint64_t size);
void check_free(struct check *check, struct neep_guest_buffer *buffer);

/* Copies into a buffer, over its pieces. */
void check_write(const struct neep_guest_buffer *buffer, uint64_t offset, const void *from, size_t len);

/* The entries of the buffer, buffer->piece_count of them (1 for a contiguous one); free() them. */
struct virtio_gpu_mem_entry *check_entries(const struct neep_guest_buffer *buffer, size_t *count);

/* ---- pictures ---- */

/* Pixels that a check made up: memory bytes in some format, and what they look like. */
struct check_picture {
	uint32_t width, height;
	uint32_t format;
	uint8_t *bytes; // width * height * 4, rows tight, as the guest writes them
	uint32_t *xrgb; // the same as x8r8g8b8 with x = 0
};

/* Every pixel differs from its neighbours and from those of another seed. */
struct check_picture check_picture(uint32_t format, uint32_t width, uint32_t height, uint32_t seed);
void check_picture_free(struct check_picture *picture);

/* A 2D resource that holds the picture: CREATE_2D, backing (returned, of the picture's size), TRANSFER of all of it. */
struct neep_guest_buffer *check_image(
	struct check *check, uint32_t resource_id, const struct check_picture *picture);

/* Waits until the output shows exactly `part` of `picture` (NULL: all of it), else fails the case with the first pixel
 * that differs. Through the display peer, or through a screenshot. */
void check_shows(struct check *check, uint32_t scanout_id, const struct check_picture *picture,
	const struct neep_rect *part);

/* As above for plain pixels, width * height of them. */
void check_shows_pixels(
	struct check *check, uint32_t scanout_id, const uint32_t *xrgb, uint32_t width, uint32_t height);

/* The output is off. */
void check_shows_nothing(struct check *check, uint32_t scanout_id);

/* What the scanout shows as a screenshot has it: width * height pixels that the caller frees; NULL when it is off. */
uint32_t *check_screenshot(
	struct check *check, uint32_t scanout_id, bool with_cursor, uint32_t *width, uint32_t *height);

/* When this returns the display has seen everything that the device sent before ("qemu" only). */
void check_settle_display(struct check *check);

#endif
