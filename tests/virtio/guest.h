/* A guest in miniature for the ring tests: memory, one ring in it, and the driver's side of both formats written out as
 * the specification says, with nothing shared with the code under test. */
#ifndef NEEP_TESTS_VIRTIO_GUEST_H
#define NEEP_TESTS_VIRTIO_GUEST_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio/vring.h"

/* Guest-physical and front-end addresses of the one region. */
#define GUEST_ADDR   UINT64_C(0x40000000)
#define GUEST_USER   UINT64_C(0x7f0000000000)
#define GUEST_MEMORY (4u << 20)

/* Offsets in the region: the three ring parts, and room for buffers. */
#define GUEST_DESC   0u
#define GUEST_AVAIL  0x80000u
#define GUEST_USED   0xa0000u
#define GUEST_BUFFER 0x100000u

#define GUEST_TABLE 0x300000u // indirect tables

struct guest_options {
	uint32_t size;
	bool is_packed;
	bool has_event_idx;
	bool has_indirect;
};

struct guest {
	uint8_t *mem; // the guest's own mapping
	int fd;       // of the memory
	int call_fd;  // our end; borrowed from the ring
	struct neep_memory *memory;
	struct neep_vring *ring;
	struct neep_vring_config config;
	uint16_t avail; // free-running, or the next slot when packed
	uint16_t used;
	bool avail_wrap;
	bool used_wrap;
};

/* Makes memory and a ring, and starts it. Asserts on failure. */
void guest_init(struct guest *guest, const struct guest_options *options);
void guest_finish(struct guest *guest);

/* The pieces of guest_init(). */
void guest_init_memory(struct guest *guest);
void guest_init_config(struct guest *guest, const struct guest_options *options);

/* Whether the ring interrupted since the last call. */
bool guest_interrupted(struct guest *guest);

uint64_t guest_addr(uint32_t offset);

/* ---- Split ---- */

struct vring_desc *guest_desc(struct guest *guest, uint32_t index);
void guest_set_desc(struct vring_desc *desc, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
struct vring_avail *guest_avail(struct guest *guest);
struct vring_used *guest_used_ring(struct guest *guest);
uint16_t *guest_used_event(struct guest *guest);
uint16_t *guest_avail_event(struct guest *guest);

/* Makes a chain available. */
void guest_offer(struct guest *guest, uint16_t head);

/* The same with a chain that makes no sense, and guest_expect_malformed(). */
void guest_offer_malformed(struct guest *guest, uint16_t head);

/* ---- Packed ---- */

struct vring_packed_desc *guest_packed_desc(struct guest *guest, uint32_t index);

/* Writes the next descriptor; the flags become the driver's for this lap. */
void guest_offer_packed(struct guest *guest, uint64_t addr, uint32_t len, uint16_t flags, uint16_t id);

/* ---- Both ---- */

/* The next used buffer; false for none. `slots` is how far a packed driver goes on. */
struct guest_used {
	uint32_t id;
	uint32_t len;
};
bool guest_take_used(struct guest *guest, uint32_t slots, struct guest_used *used);

/* Offers a buffer of `readable` and `writable` bytes (either may be 0) in one or two descriptors from `slot` on. */
void guest_offer_simple(struct guest *guest, uint16_t slot, uint32_t readable, uint32_t writable);

/* Pops, and asserts that there is one. */
struct neep_vring_element *guest_pop(struct guest *guest);

/* The next used buffer is this one. */
void guest_expect_used(struct guest *guest, uint32_t slots, uint32_t id, uint32_t len);

/* What was offered goes back unused, nothing is popped, and an honest buffer behind it works. */
void guest_expect_malformed(struct guest *guest, uint32_t slots, uint32_t id);

/* The ring is given up, and stays so. */
void guest_expect_broken(struct guest *guest);

#endif
