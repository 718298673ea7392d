/* A compositor that keeps what clients of wl_shm tell it, behind the host of a proxy's client, and a client that speaks
 * the wire format by hand. All in one thread. */
#ifndef NEEP_TESTS_WAYLAND_PROXY_COMPOSITOR_H
#define NEEP_TESTS_WAYLAND_PROXY_COMPOSITOR_H

#include "wayland/client.h"
#include "wayland/policy.h"

/* Objects at the compositor, by its ids. */
struct thing {
	const struct wl_interface *interface; // NULL: none
	struct neep_wl_memory *memory;        // of a pool, or of a buffer's pool; counted
	int pool_fd;                          // of a pool that was passed on
	int32_t offset, width, height, stride;
	uint32_t format;
	uint32_t pending, current; // of a surface: buffers
	uint32_t commits;
};

#define THINGS         4096
#define SERVERS_THINGS 64
#define HEARD          8192

/* What it says to a dma-buf. */
enum import_answer {
	IMPORT_NO_ANSWER,
	IMPORT_CREATED,
	IMPORT_FAILED,
};

struct timelines;

struct compositor {
	struct neep_wl_host base;
	struct thing things[THINGS];
	struct thing servers_things[SERVERS_THINGS]; // from NEEP_WL_SERVER_IDS on
	uint32_t allocations;                        // so far
	uint32_t pools;                              // made so far
	uint32_t memories;                           // that live
	uint32_t last_surface;                       // committed
	bool passes_fds;
	bool imports_fds;
	uint32_t resizes; // of pools, so far
	bool has_no_memory;
	struct timelines *timelines;
	bool has_dmabuf; // announces zwp_linux_dmabuf_v1
	enum import_answer import;
	uint32_t imports;         // asked for so far
	uint32_t import_params;   // of the last one
	uint32_t servers_made;    // things, so far
	uint8_t partial[1 << 17]; // what has come at once, or of a request
	size_t partial_len;
	bool is_full; // takes nothing now
	struct rig *rig;
	struct {
		uint32_t id;      // the client's; 0: the proxy's own
		const char *name; // of the request
	} heard[HEARD];           // since heard_count was set to 0
	size_t heard_count;
	struct neep_loop *loop;
	struct neep_task task; // sends events
	uint8_t events[65536];
	size_t event_len;
	int event_fds[4];
	size_t event_fd_count;
};

struct rig {
	struct neep_loop *loop;
	struct neep_wl_policy policy;
	struct neep_wl_client *client;
	struct compositor *compositor;
	int socket; // the client's end
	bool has_ended;
	uint32_t next_id;
	const struct rig_dmabufs *dmabufs; // NULL: programs have none
	// What the proxy sent the client.
	uint8_t events[1 << 16];
	size_t event_len;
	int event_fds[16];
	size_t event_fd_count;
};

/* Ids of the client's in every rig. */
enum {
	DISPLAY = 1,
	REGISTRY,
	COMPOSITOR,
	SHM,
	VIEWPORTER,
	FIRST_FREE,
};

void rig_start(struct rig *rig);
/* The same on a host whose programs have dma-bufs. */
struct rig_dmabufs {
	uint64_t render_device;
	bool are_memory; // neep_wl_host.blobs_are_memory
	bool has_global; // the compositor takes dma-bufs
	const char *deny;
	struct timelines *timelines; // NULL: the programs have none
	bool are_sent;               // neep_wl_host.sends_dmabufs
	enum import_answer import;
};
void rig_start_with_dmabufs(struct rig *rig, const struct rig_dmabufs *dmabufs);
/* Ends the client if it is still there. */
void rig_stop(struct rig *rig);

/* Turns the loop until nothing happens, and takes in what the client is sent. */
void rig_settle(struct rig *rig);

/* Sends a request of words, with an fd (-1: none; borrowed). */
void rig_send_fd(struct rig *rig, int fd, uint32_t id, uint32_t opcode, size_t count, const uint32_t *words);
#define rig_send(rig, id, opcode, ...)                                                                    \
	rig_send_fd(rig, -1, id, opcode, sizeof((uint32_t[]){ 0, ##__VA_ARGS__ }) / sizeof(uint32_t) - 1, \
		(uint32_t[]){ 0, ##__VA_ARGS__ } + 1)

/* Sends an event of the compositor's, with fds that are consumed. */
void rig_event(struct rig *rig, uint32_t host_id, uint32_t opcode, int owned_fd, size_t count,
	const uint32_t *words);

/* The id of a new wl_buffer of the compositor's. */
uint32_t rig_new_import(struct compositor *compositor);

/* Sends an event whose only argument is a new object of the compositor's, by its number from NEEP_WL_SERVER_IDS on. */
struct rig_making {
	const struct wl_interface *interface;
	uint32_t number;
};
void rig_make(struct rig *rig, uint32_t host_id, uint32_t opcode, const struct rig_making *making);

/* What the compositor knows the client's object by, or 0. */
uint32_t rig_host_id(const struct rig *rig, uint32_t id);
struct thing *rig_thing(const struct rig *rig, uint32_t id);

/* The words of the client's events of object `id` with this opcode, one after the other; NULL: no (more). */
const uint32_t *rig_next_event(const struct rig *rig, const uint32_t *last, uint32_t id, uint32_t opcode);

/* The code of the wl_display.error that the client got, or -1; *id: whose it is. */
int rig_error(const struct rig *rig, uint32_t *id);
/* How often the client was told wl_display.delete_id of `id`. */
uint32_t rig_deleted(const struct rig *rig, uint32_t id);

/* Where the compositor has heard the `count`th (from 1 on) of these requests to the client's object: counted from 1; 0: not yet. */
size_t rig_heard(const struct rig *rig, uint32_t id, const char *name, size_t count);

/* The compositor that was full is not any more. */
void rig_drain(struct rig *rig);

/* The compositor is done with the buffer. */
void rig_release(struct rig *rig, uint32_t host_id);

/* Opcodes, and requests that every test makes; each returns the new object's id. */
uint32_t rig_create_pool(struct rig *rig, int fd, int32_t size);
struct buffer_params {
	uint32_t pool;
	int32_t offset, width, height, stride;
	uint32_t format;
};
uint32_t rig_create_buffer(struct rig *rig, const struct buffer_params *params);
uint32_t rig_create_surface(struct rig *rig);
void rig_attach(struct rig *rig, uint32_t surface, uint32_t buffer);
void rig_damage_buffer(
	struct rig *rig, uint32_t surface, int32_t x, int32_t y, int32_t width, int32_t height);
void rig_damage(struct rig *rig, uint32_t surface, int32_t x, int32_t y, int32_t width, int32_t height);
void rig_commit(struct rig *rig, uint32_t surface);
void rig_destroy(struct rig *rig, uint32_t id, uint32_t opcode);

/* Names of the compositor's globals. */
enum {
	GLOBAL_COMPOSITOR,
	GLOBAL_SHM,
	GLOBAL_VIEWPORTER,
	GLOBAL_DMABUF,
	GLOBAL_SEAT,
	GLOBAL_DATA_DEVICES,
	GLOBAL_SUBCOMPOSITOR,
	GLOBAL_WM_BASE,
};

/* Binds a global, the proxy's own too. */
struct rig_binding {
	uint32_t name;
	const char *interface;
	uint32_t version;
};
void rig_bind(struct rig *rig, const struct rig_binding *binding, uint32_t id);

/* How often the registry has announced this global, and its last version. */
uint32_t rig_count_announced(const struct rig *rig, uint32_t name, const char *interface, uint32_t *version);

/* ---- linux-dmabuf of the proxy's own: pictures of 64 by 32 pixels of four bytes ---- */

#define RIG_WIDTH  64
#define RIG_HEIGHT 32
#define RIG_STRIDE (RIG_WIDTH * 4)

enum rig_dmabuf_request { DMABUF_DESTROY, CREATE_PARAMS, GET_DEFAULT_FEEDBACK, GET_SURFACE_FEEDBACK };
enum rig_params_request { PARAMS_DESTROY, ADD, CREATE, CREATE_IMMED };

uint32_t rig_bind_dmabuf(struct rig *rig, uint32_t version);

int rig_make_memory(size_t size);

struct rig_plane {
	int fd;
	uint32_t index, offset, stride;
	uint64_t modifier;
};
uint32_t rig_create_params(struct rig *rig);
void rig_add_plane(struct rig *rig, uint32_t params, const struct rig_plane *plane);
uint32_t rig_create_immed(struct rig *rig, uint32_t params, int32_t width, int32_t height);

/* A buffer in the memory `fd`, which is borrowed. */
uint32_t rig_create_dmabuf(struct rig *rig, int fd, uint32_t offset);

/* Attaches the buffer, all of it damaged, and commits. */
void rig_show(struct rig *rig, uint32_t surface, uint32_t buffer);

#endif
