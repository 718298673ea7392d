/* Surfaces with explicit synchronization, dma-bufs and timelines of a client that does what the input says, mostly without a mistake,
 * so that commits wait and points are signalled, with what belongs to the surfaces. The compositor hears of nothing that is not there, and
 * of each surface in the order in which it was said; at the end nothing is left of the timelines. */
#include <drm_fourcc.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "support/cmocka.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/reader.h"
#include "wayland/linux-dmabuf-protocol.h"
#include "wayland/sync.h"
#include "wayland_proxy/compositor.h"
#include "wayland_proxy/timelines.h"

#define STEPS_MAX   400
#define SETTLE_EACH 16
#define FILE_SIZE   65536
#define KEEP        SYNCOBJS // a timeline for each

enum { MANAGER = FIRST_FREE, SUBCOMPOSITOR, BOUND };
enum { SURFACE_DESTROY, GET_SURFACE, IMPORT_TIMELINE };
enum { SYNC_DESTROY, SET_ACQUIRE_POINT, SET_RELEASE_POINT };
enum { GET_SUBSURFACE = 1 };
enum { SET_POSITION = 1, SET_SYNC = 4 };
enum { GET_VIEWPORT = 1, SET_DESTINATION };
enum { ACQUIRE, RELEASE };

struct fuzz {
	struct neep_reader in;
	struct rig rig;
	struct timelines timelines;
	struct rig_dmabufs dmabufs;
	int file;
	int syncobjs[SYNCOBJS];
	uint32_t points;          // so far
	bool are_damaged[THINGS]; // surfaces, by id: since their last commit, as the compositor has heard
	// 0: none, or it is gone.
	uint32_t surfaces[KEEP], syncs[KEEP], timeline_ids[KEEP], buffers[KEEP], subsurfaces[KEEP],
		viewports[KEEP];
};

static uint8_t pick(struct fuzz *fuzz) {
	return neep_reader_u8(&fuzz->in) % KEEP;
}

static void destroy(struct fuzz *fuzz, uint32_t *id) {
	if (*id != 0) {
		rig_destroy(&fuzz->rig, *id, 0);
		*id = 0;
	}
}

/* What was said of a surface is heard in this order: damage of each commit behind the commit before. */
static void check_order(struct fuzz *fuzz) {
	struct compositor *compositor = fuzz->rig.compositor;
	if (fuzz->rig.has_ended) {
		return;
	}
	assert_true(compositor->heard_count <= HEARD);
	for (size_t i = 0; i < compositor->heard_count; i++) {
		bool *is_damaged = &fuzz->are_damaged[compositor->heard[i].id];
		if (strcmp(compositor->heard[i].name, "damage_buffer") == 0) {
			assert_false(*is_damaged);
			*is_damaged = true;
		} else if (strcmp(compositor->heard[i].name, "commit") == 0) {
			*is_damaged = false;
		}
	}
	compositor->heard_count = 0;
}

static void end_waits(struct rig *rig) {
	struct neep_wl_objects *objects = &rig->client->objects;
	for (struct neep_idmap_link *link = neep_idmap_next(&objects->by_client, NULL); link != NULL;
		link = neep_idmap_next(&objects->by_client, link)) {
		struct neep_wl_object *object = neep_container_of(link, struct neep_wl_object, client_link);
		struct neep_wl_sync_surface *sync = object->data;
		if (object->handlers == &neep_wl_sync_surface_handlers && neep_wl_wait_is_on(&sync->wait)) {
			neep_timer_arm(rig->loop, &sync->wait.limit, 0);
		}
	}
}

/* Until no commit waits any more: the client's socket has room for so much. */
static void settle(struct fuzz *fuzz) {
	struct rig *rig = &fuzz->rig;
	rig_settle(rig);
	while (!rig->has_ended && rig->client->holds.count > 0) {
		end_waits(rig);
		rig_settle(rig);
	}
	check_order(fuzz);
}

static void create_surface(struct fuzz *fuzz, uint8_t at) {
	struct rig *rig = &fuzz->rig;
	destroy(fuzz, &fuzz->subsurfaces[at]);
	destroy(fuzz, &fuzz->viewports[at]);
	destroy(fuzz, &fuzz->syncs[at]);
	destroy(fuzz, &fuzz->surfaces[at]);
	fuzz->surfaces[at] = rig_create_surface(rig);
	fuzz->syncs[at] = rig->next_id++;
	rig_send(rig, MANAGER, GET_SURFACE, fuzz->syncs[at], fuzz->surfaces[at]);
}

/* Also where a compositor would not have it: of itself, in rings, twice. */
static void create_subsurface(struct fuzz *fuzz, uint8_t at) {
	uint8_t parent = pick(fuzz);
	destroy(fuzz, &fuzz->subsurfaces[at]);
	if (fuzz->surfaces[at] != 0 && fuzz->surfaces[parent] != 0) {
		fuzz->subsurfaces[at] = fuzz->rig.next_id++;
		rig_send(&fuzz->rig, SUBCOMPOSITOR, GET_SUBSURFACE, fuzz->subsurfaces[at], fuzz->surfaces[at],
			fuzz->surfaces[parent]);
	}
}

/* Requests from set_position to set_desync. */
static void change_subsurface(struct fuzz *fuzz, uint8_t at) {
	uint8_t request = pick(fuzz) % 2 == 0 ? SET_POSITION : SET_SYNC + pick(fuzz) % 2;
	if (fuzz->subsurfaces[at] != 0) {
		rig_send_fd(&fuzz->rig, -1, fuzz->subsurfaces[at], request, request == SET_POSITION ? 2 : 0,
			(uint32_t[]){ 1, 1 });
	}
}

static void create_viewport(struct fuzz *fuzz, uint8_t at) {
	destroy(fuzz, &fuzz->viewports[at]);
	if (fuzz->surfaces[at] != 0) {
		fuzz->viewports[at] = fuzz->rig.next_id++;
		rig_send(&fuzz->rig, VIEWPORTER, GET_VIEWPORT, fuzz->viewports[at], fuzz->surfaces[at]);
		rig_send(&fuzz->rig, fuzz->viewports[at], SET_DESTINATION, 10, 10);
	}
}

static void create_timeline(struct fuzz *fuzz, uint8_t at) {
	destroy(fuzz, &fuzz->timeline_ids[at]);
	fuzz->timeline_ids[at] = fuzz->rig.next_id++;
	rig_send_fd(&fuzz->rig, fuzz->syncobjs[at], MANAGER, IMPORT_TIMELINE, 1, &fuzz->timeline_ids[at]);
}

static uint32_t create_params(struct fuzz *fuzz) {
	uint32_t params = rig_create_params(&fuzz->rig);
	rig_add_plane(&fuzz->rig, params, &(struct rig_plane){ .fd = fuzz->file, .stride = RIG_STRIDE });
	return params;
}

static void create_buffer(struct fuzz *fuzz, uint8_t at) {
	struct rig *rig = &fuzz->rig;
	destroy(fuzz, &fuzz->buffers[at]);
	uint32_t params = create_params(fuzz);
	if (neep_reader_u8(&fuzz->in) % 2 == 0) {
		fuzz->buffers[at] = rig_create_immed(rig, params, RIG_WIDTH, RIG_HEIGHT);
		return;
	}
	rig_send(rig, params, CREATE, RIG_WIDTH, RIG_HEIGHT, DRM_FORMAT_XRGB8888, 0);
	settle(fuzz);
	const uint32_t *words = rig_next_event(rig, NULL, params, ZWP_LINUX_BUFFER_PARAMS_V1_CREATED);
	fuzz->buffers[at] = words != NULL ? words[0] : 0;
}

static void set_point(struct fuzz *fuzz, uint8_t at, uint32_t request, uint8_t timeline, uint32_t point) {
	if (fuzz->syncs[at] != 0 && fuzz->timeline_ids[timeline] != 0) {
		rig_send(&fuzz->rig, fuzz->syncs[at], request, fuzz->timeline_ids[timeline], 0, point);
	}
}

static void show(struct fuzz *fuzz, uint8_t at) {
	uint8_t buffer = pick(fuzz);
	if (fuzz->surfaces[at] == 0 || fuzz->buffers[buffer] == 0) {
		return;
	}
	uint32_t point = ++fuzz->points;
	set_point(fuzz, at, SET_ACQUIRE_POINT, ACQUIRE, point);
	set_point(fuzz, at, SET_RELEASE_POINT, RELEASE, point);
	rig_attach(&fuzz->rig, fuzz->surfaces[at], fuzz->buffers[buffer]);
	rig_damage_buffer(&fuzz->rig, fuzz->surfaces[at], 0, 0, 8, 8);
	rig_commit(&fuzz->rig, fuzz->surfaces[at]);
}

static void release(struct fuzz *fuzz, uint8_t at) {
	settle(fuzz);
	uint32_t id = fuzz->rig.has_ended || fuzz->buffers[at] == 0
			      ? 0
			      : rig_host_id(&fuzz->rig, fuzz->buffers[at]);
	if (id != 0) {
		rig_release(&fuzz->rig, id);
	}
}

/* Of buffers that the client has destroyed, too. */
static void release_any(struct fuzz *fuzz) {
	uint16_t id = (uint16_t)(neep_reader_u8(&fuzz->in) + 1);
	settle(fuzz);
	if (!fuzz->rig.has_ended) {
		rig_release(&fuzz->rig, id);
	}
}

static void step(struct fuzz *fuzz) {
	uint8_t op = neep_reader_u8(&fuzz->in) % 32, at = pick(fuzz);
	uint64_t reached = fuzz->timelines.values[ACQUIRE] + 1;
	switch (op) {
	case 0:
		create_surface(fuzz, at);
		break;
	case 1:
		create_timeline(fuzz, at);
		break;
	case 2:
	case 3:
		create_buffer(fuzz, at);
		break;
	case 4:
		destroy(fuzz, &fuzz->surfaces[at]);
		break;
	case 5:
		destroy(fuzz, &fuzz->syncs[at]);
		break;
	case 6:
		destroy(fuzz, &fuzz->timeline_ids[at]);
		break;
	case 7:
		destroy(fuzz, &fuzz->buffers[at]);
		break;
	case 8:
	case 9:
		release(fuzz, at);
		break;
	case 10:
	case 11:
		release_any(fuzz);
		break;
	case 12:
		set_point(fuzz, at, SET_ACQUIRE_POINT + op % 2, pick(fuzz), neep_reader_u32(&fuzz->in));
		break;
	case 13:
		if (fuzz->surfaces[at] != 0) {
			rig_commit(&fuzz->rig, fuzz->surfaces[at]);
		}
		break;
	case 14:
	case 15:
	case 16:
		timelines_reach(&fuzz->timelines, ACQUIRE, reached + neep_reader_u8(&fuzz->in) % 4);
		break;
	case 17:
		settle(fuzz);
		break;
	case 18:
		create_subsurface(fuzz, at);
		break;
	case 19:
		change_subsurface(fuzz, at);
		break;
	case 20:
		create_viewport(fuzz, at);
		break;
	case 21:
		rig_settle(&fuzz->rig);
		break;
	default:
		show(fuzz, at);
	}
}

/* There is something to use from the start. */
static void begin(struct fuzz *fuzz) {
	struct rig *rig = &fuzz->rig;
	fuzz->dmabufs = (struct rig_dmabufs){ .render_device = 1, .timelines = &fuzz->timelines };
	rig_start_with_dmabufs(rig, &fuzz->dmabufs);
	rig->next_id = BOUND;
	rig_bind(rig, &(struct rig_binding){ NEEP_WL_SYNC_NAME, "wp_linux_drm_syncobj_manager_v1", 1 },
		MANAGER);
	rig_bind(rig, &(struct rig_binding){ GLOBAL_SUBCOMPOSITOR, "wl_subcompositor", 1 }, SUBCOMPOSITOR);
	for (uint8_t i = 0; i < KEEP; i++) {
		create_timeline(fuzz, i);
		create_surface(fuzz, i);
		fuzz->buffers[i] = rig_create_immed(rig, create_params(fuzz), RIG_WIDTH, RIG_HEIGHT);
	}
	rig_settle(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static struct fuzz fuzz;
	neep_log_set_handler(fuzz_ignore_line, NULL);
	fuzz = (struct fuzz){ .file = rig_make_memory(FILE_SIZE) };
	for (uint8_t i = 0; i < SYNCOBJS; i++) {
		fuzz.syncobjs[i] = timelines_fd(i);
	}
	neep_reader_init(&fuzz.in, data, size);
	begin(&fuzz);
	for (int i = 0; i < STEPS_MAX && neep_reader_ok(&fuzz.in) && !fuzz.rig.has_ended; i++) {
		step(&fuzz);
		if (i % SETTLE_EACH == 0) {
			settle(&fuzz);
			fuzz.rig.event_len = 0;
		}
	}
	rig_stop(&fuzz.rig);
	timelines_finish(&fuzz.timelines);
	for (uint8_t i = 0; i < SYNCOBJS; i++) {
		close(fuzz.syncobjs[i]);
	}
	close(fuzz.file);
	return 0;
}
