/* Pools, buffers and surfaces of a client that does what the input says, with numbers that are mostly near good ones, so that
 * buffers are shown and copied. The client's files grow and shrink meanwhile. */
#include <drm_fourcc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/reader.h"
#include "wayland_proxy/compositor.h"

#define STEPS_MAX   400
#define SETTLE_EACH 32
#define FILES       2
#define FILE_SIZE   65536
#define KEEP        8

enum { SURFACE_DESTROY = 0, SURFACE_SET_TRANSFORM = 7, SURFACE_SET_SCALE = 8 };
enum { POOL_DESTROY = 1, POOL_RESIZE = 2, BUFFER_DESTROY = 0, GET_VIEWPORT = 1 };

/* The last ids of a kind. Some of them may be gone. */
struct ids {
	uint32_t id[KEEP];
	uint8_t next;
};

struct fuzz {
	struct neep_reader in;
	struct rig rig;
	int files[FILES];
	struct ids pools, buffers, surfaces;
};

static void keep(struct ids *ids, uint32_t id) {
	ids->id[ids->next++ % KEEP] = id;
}

static uint32_t *pick(struct fuzz *fuzz, struct ids *ids) {
	return &ids->id[neep_reader_u8(&fuzz->in) % KEEP];
}

/* From 0 up to `end`, or any. */
static int32_t pick_number(struct fuzz *fuzz, int32_t end) {
	uint8_t small = neep_reader_u8(&fuzz->in);
	return small < 252 ? small % end : (int32_t)neep_reader_u32(&fuzz->in);
}

static void create_pool(struct fuzz *fuzz) {
	int32_t size = pick_number(fuzz, 1);
	int file = neep_reader_u8(&fuzz->in) % FILES;
	keep(&fuzz->pools, rig_create_pool(&fuzz->rig, fuzz->files[file], size == 0 ? FILE_SIZE : size));
}

static void create_buffer(struct fuzz *fuzz) {
	static const uint32_t formats[] = { 0, 1, DRM_FORMAT_RGB565, DRM_FORMAT_NV12, DRM_FORMAT_YUYV };
	int32_t format = pick_number(fuzz, NEEP_ARRAY_LEN(formats));
	struct buffer_params params = {
		.pool = *pick(fuzz, &fuzz->pools),
		.offset = pick_number(fuzz, 4096),
		.width = (int32_t)((uint32_t)pick_number(fuzz, 20) + 1),
		.height = (int32_t)((uint32_t)pick_number(fuzz, 20) + 1),
		.stride = (int32_t)((uint32_t)pick_number(fuzz, 30) + 80),
		.format = format >= 0 && format < (int32_t)NEEP_ARRAY_LEN(formats) ? formats[format]
										   : (uint32_t)format,
	};
	if (params.pool != 0) {
		keep(&fuzz->buffers, rig_create_buffer(&fuzz->rig, &params));
	}
}

static void damage(struct fuzz *fuzz, uint32_t surface) {
	bool of_buffer = neep_reader_u8(&fuzz->in) % 2 == 0;
	int32_t x = pick_number(fuzz, 20), y = pick_number(fuzz, 20);
	int32_t width = pick_number(fuzz, 20), height = pick_number(fuzz, 20);
	(of_buffer ? rig_damage_buffer : rig_damage)(&fuzz->rig, surface, x, y, width, height);
}

static void destroy(struct fuzz *fuzz, struct ids *ids, uint32_t opcode) {
	uint32_t *id = pick(fuzz, ids);
	if (*id != 0) {
		rig_destroy(&fuzz->rig, *id, opcode);
		*id = 0;
	}
}

static void cut_file(struct fuzz *fuzz) {
	uint8_t size = neep_reader_u8(&fuzz->in);
	neep_assert(ftruncate(fuzz->files[size % FILES], size < 240 ? FILE_SIZE : (size - 240) * 4096) == 0);
}

/* The compositor is done with a buffer, and after that, maybe, so is the client. */
static void release(struct fuzz *fuzz, bool is_last) {
	uint32_t *id = pick(fuzz, &fuzz->buffers);
	rig_settle(&fuzz->rig);
	if (fuzz->rig.has_ended || *id == 0) {
		return;
	}
	rig_release(&fuzz->rig, rig_host_id(&fuzz->rig, *id));
	if (is_last) {
		rig_destroy(&fuzz->rig, *id, BUFFER_DESTROY);
		*id = 0;
	}
}

static void use_surface(struct fuzz *fuzz, uint8_t op, uint32_t surface) {
	struct rig *rig = &fuzz->rig;
	switch (op) {
	case 0:
	case 1:
	case 2:
		rig_attach(rig, surface, *pick(fuzz, &fuzz->buffers));
		break;
	case 3:
	case 4:
		damage(fuzz, surface);
		break;
	case 5:
		rig_send(rig, surface, SURFACE_SET_SCALE, (uint32_t)pick_number(fuzz, 3));
		break;
	case 6:
		rig_send(rig, surface, SURFACE_SET_TRANSFORM, (uint32_t)pick_number(fuzz, 8));
		break;
	case 7:
		rig_send(rig, VIEWPORTER, GET_VIEWPORT, rig->next_id++, surface);
		break;
	default:
		rig_commit(rig, surface);
	}
}

static void step(struct fuzz *fuzz) {
	struct rig *rig = &fuzz->rig;
	uint8_t op = neep_reader_u8(&fuzz->in) % 32;
	uint32_t surface = *pick(fuzz, &fuzz->surfaces), pool;
	switch (op) {
	case 0:
		create_pool(fuzz);
		break;
	case 1:
	case 2:
		create_buffer(fuzz);
		break;
	case 3:
		keep(&fuzz->surfaces, rig_create_surface(rig));
		break;
	case 4:
		destroy(fuzz, &fuzz->pools, POOL_DESTROY);
		break;
	case 5:
		destroy(fuzz, &fuzz->buffers, BUFFER_DESTROY);
		break;
	case 6:
		destroy(fuzz, &fuzz->surfaces, SURFACE_DESTROY);
		break;
	case 7:
		pool = *pick(fuzz, &fuzz->pools);
		if (pool != 0) {
			rig_send(rig, pool, POOL_RESIZE, FILE_SIZE + (uint32_t)pick_number(fuzz, 64));
		}
		break;
	case 8:
		cut_file(fuzz);
		break;
	case 9:
	case 10:
		release(fuzz, op == 10);
		break;
	case 11:
		rig_settle(rig);
		rig->event_len = 0;
		break;
	default:
		if (surface != 0) {
			use_surface(fuzz, op % 12, surface);
		}
	}
}

/* There is something to use from the start. */
static void begin(struct fuzz *fuzz) {
	rig_start(&fuzz->rig);
	for (int i = 0; i < KEEP; i++) {
		uint32_t pool = rig_create_pool(&fuzz->rig, fuzz->files[0], FILE_SIZE);
		keep(&fuzz->pools, pool);
		keep(&fuzz->surfaces, rig_create_surface(&fuzz->rig));
		keep(&fuzz->buffers, rig_create_buffer(&fuzz->rig, &(struct buffer_params){
									   .pool = pool,
									   .offset = i * 4096,
									   .width = 20 + i % 2,
									   .height = 20,
									   .stride = 96,
								   }));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static struct fuzz fuzz;
	neep_log_set_handler(fuzz_ignore_line, NULL);
	fuzz = (struct fuzz){ .files = { -1, -1 } };
	neep_reader_init(&fuzz.in, data, size);
	for (int i = 0; i < FILES; i++) {
		fuzz.files[i] = memfd_create("fuzz", MFD_CLOEXEC);
		neep_assert(ftruncate(fuzz.files[i], FILE_SIZE) == 0);
	}
	begin(&fuzz);
	for (int i = 0; i < STEPS_MAX && neep_reader_ok(&fuzz.in) && !fuzz.rig.has_ended; i++) {
		step(&fuzz);
		// What is on the way must fit into a socket.
		if (i % SETTLE_EACH == 0) {
			rig_settle(&fuzz.rig);
			fuzz.rig.event_len = 0;
		}
	}
	rig_settle(&fuzz.rig);
	rig_stop(&fuzz.rig);
	for (int i = 0; i < FILES; i++) {
		close(fuzz.files[i]);
	}
	return 0;
}
