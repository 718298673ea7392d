/* A guest's program on one channel of cross-domain, over the device process as it is installed, sandbox and all: the device is
 * started with a real server of the host behind the channel. One context, CTX of the device; all failures fail the test. */
#ifndef NEEP_TESTS_CROSS_DOMAIN_GUEST_H
#define NEEP_TESTS_CROSS_DOMAIN_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cross_domain/protocol.h"
#include "driver/driver.h"

#define GUEST_BLOB_ID 16 // resource ids from here on
#define GUEST_PAGE    4096
#define GUEST_IN_MAX  (1 << 22)

struct guest_id {
	uint32_t id;
	uint32_t type; // enum neep_xd_id_type
	uint32_t size; // bytes, of what came from the host
};

struct guest {
	struct neep_driver *driver;
	struct neep_guest_buffer rings[3]; // by resource id
	uint8_t *in;                       // what the host said and nobody has taken
	size_t in_len;
	struct guest_id ids[NEEP_XD_IDS_MAX]; // what came along
	size_t id_count;
	uint32_t blob_count; // with resource ids from GUEST_BLOB_ID on
	uint32_t mapped;     // bit n: blob n is
};

/* Starts the device, with more words, which say where its servers are. Returns its process. */
pid_t guest_device_start(const char *words);
/* The end of a case: of the server (0: there is none), of the device, and of the folder. Returns as a teardown does. */
int guest_device_stop(void **state, pid_t device, pid_t server);

/* Connects to the device, and the channel to its server. */
void guest_open(struct guest *guest, uint32_t channel_type);
/* Lets go of everything; the device has to answer still. */
void guest_close(struct guest *guest);

/* One SEND with what it carries. */
void guest_send(struct guest *guest, const void *data, size_t len, const struct guest_id *ids, size_t count);
/* The same, with the device's answer. */
int guest_try_send(
	struct guest *guest, const void *data, size_t len, const struct guest_id *ids, size_t count);

/* Waits for one message and appends it. Returns its bytes; 0: the host has ended. */
uint32_t guest_receive(struct guest *guest);
/* Waits until there are that many bytes. */
void guest_need(struct guest *guest, size_t len);
/* Drops bytes from the start of what came. */
void guest_take(struct guest *guest, size_t len);
/* Waits for the end of the host, whatever comes before it. */
void guest_await_end(struct guest *guest);

/* Memory of the host, made for the guest: an image of `len` bytes. It is to be mapped. */
struct guest_id guest_memory(struct guest *guest, uint32_t len);
/* Makes another blob of memory of the host. Returns its resource id, for SEND. */
uint32_t guest_blob(struct guest *guest, const struct guest_id *memory);
/* Maps it. Returns where it is. */
uint8_t *guest_map(struct guest *guest, uint32_t resource_id);

#endif
