/* Loads that move pixels: transfers beside a plain copy of the same bytes, and frames that reach a display. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/bench_internal.h"
#include "bench/work.h"
#include "driver/display_peer.h"
#include "driver/gpu.h"
#include "util/clock.h"

#define WIDTH_4K  3840u
#define HEIGHT_4K 2160u
#define BPP       4u
#define TILE      64u

/* How long the display may lag behind before a frame counts as not delivered. */
#define DRAIN_NS (500 * NEEP_NS_PER_MS)

static struct virtio_gpu_rect whole(const struct bench_image *image) {
	return (struct virtio_gpu_rect){ .width = image->width, .height = image->height };
}

static int allocate_backing(struct neep_driver *driver, struct bench_image *image) {
	uint64_t size = (uint64_t)image->width * image->height * BPP;
	int result = image->is_scattered ? neep_driver_alloc_scattered(driver, size, &image->backing)
					 : neep_driver_alloc(driver, size, &image->backing);
	const struct neep_guest_piece *pieces = neep_guest_pieces(&image->backing);
	/* Real pages with real content: untouched ones would all be the same page of zeros. */
	for (uint32_t i = 0; result == 0 && i < image->backing.piece_count; i++) {
		memset(pieces[i].host, (int)(i * 37 + 11) & 0xff, pieces[i].len);
	}
	return result;
}

int bench_image_create(struct neep_driver *driver, struct bench_image *image) {
	int result = allocate_backing(driver, image);
	if (result == 0) {
		result = bench_expect_ok(neep_cmd_create_2d(driver, image->resource_id,
			VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, image->width, image->height));
	}
	if (result == 0) {
		result =
			bench_expect_ok(neep_cmd_attach_backing(driver, image->resource_id, &image->backing));
	}
	return result;
}

int bench_image_upload(struct neep_driver *driver, const struct bench_image *image) {
	struct virtio_gpu_rect all = whole(image);
	return bench_expect_ok(neep_cmd_transfer_to_host_2d(driver, image->resource_id, &all, 0));
}

int bench_image_show(struct neep_driver *driver, const struct bench_image *image) {
	struct virtio_gpu_rect all = whole(image);
	int result = bench_expect_ok(neep_cmd_set_scanout(driver, 0, image->resource_id, &all));
	return result < 0 ? result : bench_expect_ok(neep_cmd_flush(driver, image->resource_id, &all));
}

int bench_image_drop_backing(struct neep_driver *driver, struct bench_image *image) {
	int result = bench_expect_ok(neep_cmd_detach_backing(driver, image->resource_id));
	if (result == 0) {
		neep_driver_free(driver, &image->backing);
	}
	return result;
}

/* ---- transfers ---- */

static double gb_per_s(uint64_t bytes, int64_t ns) {
	return (double)bytes / (double)ns;
}

/* Transfers that are under way at a time: the device goes from one to the next without waiting for us. */
#define TRANSFERS 4

struct transfers {
	struct virtio_gpu_transfer_to_host_2d command;
	struct virtio_gpu_ctrl_hdr replies[TRANSFERS];
	struct neep_driver_request requests[TRANSFERS];
};

static int transfer_submit(struct neep_driver *driver, struct transfers *transfers, size_t i) {
	transfers->requests[i] = (struct neep_driver_request){
		.cmd = &transfers->command,
		.cmd_len = sizeof(transfers->command),
		.reply = &transfers->replies[i],
		.reply_len = sizeof(transfers->replies[i]),
	};
	return neep_driver_submit(driver, &transfers->requests[i], 1);
}

static int transfer_wait(struct neep_driver *driver, struct transfers *transfers, size_t i) {
	int result = neep_driver_wait(driver, &transfers->requests[i]);
	return result < 0 ? result : bench_expect_ok((int)transfers->replies[i].type);
}

/* Keeps TRANSFERS under way until `end`. Returns how many were done, or a negative errno. */
static int64_t transfer_until(struct neep_driver *driver, struct transfers *transfers, int64_t end) {
	int64_t submitted = 0;
	int64_t done = 0;
	int result = 0;
	while (result == 0 && (done < submitted || neep_clock_ns() < end)) {
		if (submitted - done < TRANSFERS && neep_clock_ns() < end) {
			result = transfer_submit(driver, transfers, (size_t)(submitted++ % TRANSFERS));
		} else {
			result = transfer_wait(driver, transfers, (size_t)(done++ % TRANSFERS));
		}
	}
	for (size_t i = 0; result < 0 && i < TRANSFERS; i++) {
		neep_driver_abandon(driver, &transfers->requests[i]);
	}
	return result < 0 ? result : done;
}

/* Repeats transfers of `rect`; returns the rate through *rate. */
static int measure_transfer(struct bench_session *session, const struct bench_image *image,
	const struct virtio_gpu_rect *rect, double *rate) {
	struct transfers transfers = {
		.command = {
			.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
			.r = *rect,
			.offset = ((uint64_t)rect->y * image->width + rect->x) * BPP,
			.resource_id = image->resource_id,
		},
	};
	int64_t start = neep_clock_ns();
	int64_t end = start + (int64_t)(session->options->seconds * (double)NEEP_NS_PER_S);
	int64_t done = transfer_until(session->driver, &transfers, end);
	if (done < 0) {
		return (int)done;
	}
	*rate = gb_per_s((uint64_t)done * rect->width * rect->height * BPP, neep_clock_ns() - start);
	return 0;
}

/* Copies `len` bytes at `offset` of the backing, piece by piece. */
static void copy_from_backing(const struct bench_image *image, uint64_t offset, uint8_t *to, uint64_t len) {
	const struct neep_guest_piece *pieces = neep_guest_pieces(&image->backing);
	/* All pieces but the last have the length of the first. */
	uint64_t index = offset / pieces[0].len;
	uint64_t skip = offset % pieces[0].len;
	while (len > 0) {
		uint64_t part = pieces[index].len - skip;
		part = part < len ? part : len;
		memcpy(to, (const uint8_t *)pieces[index].host + skip, part);
		to += part;
		len -= part;
		skip = 0;
		index++;
	}
}

/* What the device has to do at the least: rows of the rectangle, or all at once where it spans the width. */
static void copy_rect(const struct bench_image *image, const struct virtio_gpu_rect *rect, uint8_t *to) {
	uint64_t stride = (uint64_t)image->width * BPP;
	uint64_t row = (uint64_t)rect->width * BPP;
	uint64_t rows = rect->height;
	uint64_t offset = rect->y * stride + rect->x * (uint64_t)BPP;
	if (row == stride) {
		row *= rows;
		rows = 1;
	}
	for (uint64_t i = 0; i < rows; i++) {
		copy_from_backing(image, offset + i * stride, to + offset + i * stride, row);
	}
}

static int measure_copy(struct bench_session *session, const struct bench_image *image,
	const struct virtio_gpu_rect *rect, double *rate) {
	size_t size = (size_t)image->width * image->height * BPP;
	uint8_t *to =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (to == MAP_FAILED) {
		return -errno;
	}
	int64_t start = neep_clock_ns();
	int64_t end = start + (int64_t)(session->options->seconds * (double)NEEP_NS_PER_S);
	int64_t now = start;
	uint64_t bytes = 0;
	while (now < end) {
		copy_rect(image, rect, to);
		/* The compiler must believe that somebody reads it. */
		__asm__ volatile("" : : "r"(to) : "memory");
		bytes += (uint64_t)rect->width * rect->height * BPP;
		now = neep_clock_ns();
	}
	*rate = gb_per_s(bytes, now - start);
	munmap(to, size);
	return 0;
}

/* Fills three metrics from `first` on: the transfer, the copy, and their ratio. */
static int measure_both(struct bench_session *session, const struct virtio_gpu_rect *rect, bool is_scattered,
	enum bench_metric first) {
	struct bench_image image = {
		.resource_id = is_scattered ? 2 : 1,
		.width = WIDTH_4K,
		.height = HEIGHT_4K,
		.is_scattered = is_scattered,
	};
	double *values = &session->values[first];
	int result = bench_image_create(session->driver, &image);
	if (result == 0) {
		result = bench_image_upload(session->driver, &image);
	}
	if (result == 0) {
		result = measure_transfer(session, &image, rect, &values[0]);
	}
	if (result == 0) {
		result = measure_copy(session, &image, rect, &values[1]);
	}
	values[2] = values[0] / values[1] * 100;
	neep_driver_free(session->driver, &image.backing);
	return result;
}

int bench_run_transfer(struct bench_session *session) {
	struct virtio_gpu_rect all = { .width = WIDTH_4K, .height = HEIGHT_4K };
	int result = measure_both(session, &all, false, BENCH_TRANSFER);
	return result < 0 ? result : measure_both(session, &all, true, BENCH_TRANSFER_PAGES);
}

int bench_run_rect(struct bench_session *session) {
	struct virtio_gpu_rect part = { .x = 960, .y = 540, .width = 1920, .height = 1080 };
	int result = measure_both(session, &part, false, BENCH_RECT);
	return result < 0 ? result : measure_both(session, &part, true, BENCH_RECT_PAGES);
}

/* ---- frames ---- */

/* The commands of one frame, submitted together as a compositor in the guest does. */
struct frame {
	struct virtio_gpu_transfer_to_host_2d transfer;
	struct virtio_gpu_set_scanout scanout;
	struct virtio_gpu_resource_flush flush;
	struct virtio_gpu_ctrl_hdr replies[3];
	struct neep_driver_request requests[3];
	size_t count;
};

static void frame_add(struct frame *frame, const void *cmd, size_t cmd_len) {
	size_t i = frame->count++;
	frame->requests[i] = (struct neep_driver_request){
		.cmd = cmd,
		.cmd_len = cmd_len,
		.reply = &frame->replies[i],
		.reply_len = sizeof(frame->replies[i]),
	};
}

static void frame_init(struct frame *frame, const struct bench_image *image,
	const struct virtio_gpu_rect *rect, bool flips) {
	*frame = (struct frame){
		.transfer = {
			.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
			.r = *rect,
			.offset = ((uint64_t)rect->y * image->width + rect->x) * BPP,
			.resource_id = image->resource_id,
		},
		.scanout = {
			.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
			.r = whole(image),
			.resource_id = image->resource_id,
		},
		.flush = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
			.r = *rect,
			.resource_id = image->resource_id,
		},
	};
	frame_add(frame, &frame->transfer, sizeof(frame->transfer));
	if (flips) {
		frame_add(frame, &frame->scanout, sizeof(frame->scanout));
	}
	frame_add(frame, &frame->flush, sizeof(frame->flush));
}

/* Submits and waits for the flush, which the device answers last. */
static int frame_run(struct neep_driver *driver, struct frame *frame) {
	int result = neep_driver_submit(driver, frame->requests, frame->count);
	for (size_t i = 0; i < frame->count; i++) {
		int waited = result < 0 ? result : neep_driver_wait(driver, &frame->requests[i]);
		result = waited < 0 ? waited : bench_expect_ok((int)frame->replies[i].type);
	}
	for (size_t i = 0; result < 0 && i < frame->count; i++) {
		neep_driver_abandon(driver, &frame->requests[i]);
	}
	return result;
}

/* Counts what the display has got since `start`, of `submitted`, and over which time. */
static void count_delivered(struct bench_session *session, uint64_t seen, uint64_t submitted, int64_t start,
	enum bench_metric first) {
	struct neep_display_peer *display = neep_driver_display(session->driver);
	int64_t end = neep_clock_ns();
	session->values[first + 1] = (double)submitted * (double)NEEP_NS_PER_S / (double)(end - start);
	uint64_t delivered = neep_display_peer_stats(display).updates - seen;
	/* The tail is on its way: wait for it, and count the time; unless the device has merged frames. */
	if (neep_display_peer_wait_updates(display, seen + submitted, DRAIN_NS) == 0) {
		delivered = submitted;
		end = neep_clock_ns();
	}
	session->values[first] = (double)delivered * (double)NEEP_NS_PER_S / (double)(end - start);
}

static int run_frames(
	struct bench_session *session, struct frame *frames, size_t count, enum bench_metric first) {
	struct neep_display_peer *display = neep_driver_display(session->driver);
	uint64_t seen = neep_display_peer_stats(display).updates;
	uint64_t submitted = 0;
	int64_t start = neep_clock_ns();
	int64_t end = start + (int64_t)(session->options->seconds * (double)NEEP_NS_PER_S);
	int result = 0;
	while (result == 0 && (submitted == 0 || neep_clock_ns() < end)) {
		result = frame_run(session->driver, &frames[submitted % count]);
		submitted++;
	}
	if (result == 0) {
		count_delivered(session, seen, submitted, start, first);
	}
	return result;
}

int bench_run_frames(struct bench_session *session) {
	struct bench_image images[2] = { 0 };
	struct frame frames[2];
	int result = 0;
	for (uint32_t i = 0; result == 0 && i < 2; i++) {
		images[i] = (struct bench_image){
			.resource_id = 1 + i,
			.width = WIDTH_4K,
			.height = HEIGHT_4K,
			.is_scattered = true,
		};
		struct virtio_gpu_rect all = whole(&images[i]);
		result = bench_image_create(session->driver, &images[i]);
		frame_init(&frames[i], &images[i], &all, true);
	}
	if (result == 0) {
		result = frame_run(session->driver, &frames[0]);
	}
	if (result == 0) {
		result = neep_display_peer_wait_updates(
			neep_driver_display(session->driver), 1, 5 * NEEP_NS_PER_S);
	}
	if (result == 0) {
		result = run_frames(session, frames, 2, BENCH_FRAMES);
	}
	neep_driver_free(session->driver, &images[0].backing);
	neep_driver_free(session->driver, &images[1].backing);
	return result;
}

#define TILES 61 // a prime, so that neighbours in time are no neighbours on the screen
int bench_run_damage(struct bench_session *session) {
	struct bench_image image = {
		.resource_id = 1,
		.width = WIDTH_4K,
		.height = HEIGHT_4K,
		.is_scattered = true,
	};
	struct frame *frames = calloc(TILES, sizeof(*frames));
	if (frames == NULL) {
		return -ENOMEM;
	}
	int result = bench_image_create(session->driver, &image);
	if (result == 0) {
		result = bench_image_show(session->driver, &image);
	}
	if (result == 0) {
		result = neep_display_peer_wait_updates(
			neep_driver_display(session->driver), 1, 5 * NEEP_NS_PER_S);
	}
	for (uint32_t i = 0; i < TILES; i++) {
		struct virtio_gpu_rect tile = {
			.x = i * 17 % (WIDTH_4K / TILE) * TILE,
			.y = i * 7 % (HEIGHT_4K / TILE) * TILE,
			.width = TILE,
			.height = TILE,
		};
		frame_init(&frames[i], &image, &tile, false);
	}
	if (result == 0) {
		result = run_frames(session, frames, TILES, BENCH_DAMAGE);
	}
	neep_driver_free(session->driver, &image.backing);
	free(frames);
	return result;
}
