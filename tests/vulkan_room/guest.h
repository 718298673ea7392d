/* A guest process: rings, packets as Mesa's guest driver writes them, and what it sees of the host. */
#ifndef NEEP_TESTS_VULKAN_GUEST_H
#define NEEP_TESTS_VULKAN_GUEST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vulkan/vulkan.h"

#define GUEST_MAX_RINGS 16
#define GUEST_MAX_BLOBS 64

/* Bytes in one direction. */
struct pipe {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t *buf;
	size_t begin, end, size;
	bool is_closed;
};

struct ring {
	struct neep_vk_transport transport;
	struct guest *guest;
	struct pipe to_host, to_guest;
	size_t chunk; // the most that the host gets at once
	pthread_t thread;
	int result; // of neep_vk_serve()
};

struct blob {
	uint64_t blob_id;
	uint64_t size;
	int fd;
};

struct guest {
	struct neep_vk_host host;
	struct neep_vk_context *context;
	atomic_uint seqno;
	struct ring rings[GUEST_MAX_RINGS];
	unsigned ring_count;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned lost_count;
	char reason[256];
	struct blob blobs[GUEST_MAX_BLOBS];
	unsigned blob_count;
};

void guest_start(struct guest *guest, const struct neep_vk_limits *limits);
/* A ring with a thread that serves it; its first four bytes are sent. */
struct ring *guest_ring(struct guest *guest);
/* The same with reads of at most `chunk` bytes, and without the first four bytes. */
struct ring *guest_bare_ring(struct guest *guest, size_t chunk);
/* Ends the ring as its guest would; returns what neep_vk_serve() did. */
int guest_end_ring(struct ring *ring);
/* Waits until the context is lost, but not for ever. */
bool guest_wait_lost(struct guest *guest);
/* Ends all rings and the context. */
void guest_stop(struct guest *guest);
/* The memory of a blob, mapped; NULL when it was not published. */
void *guest_map_blob(struct guest *guest, uint64_t blob_id, uint64_t size);

void guest_write(struct ring *ring, const void *buf, size_t len);
/* False when the ring ends before all of it came. */
bool guest_read(struct ring *ring, void *buf, size_t len);
/* Bytes that wait to be read. */
size_t guest_readable(struct ring *ring);
/* Bytes that the host has not read yet. */
size_t guest_unread(struct ring *ring);

/* A packet that is being built. */
struct packet {
	uint8_t *buf;
	size_t len, size;
	size_t start; // of the command being built
};

struct packet packet_begin(uint32_t opcode);
void put_bytes(struct packet *packet, const void *buf, size_t len);
void put_u32(struct packet *packet, uint32_t value);
void put_u64(struct packet *packet, uint64_t value);
void put_f32(struct packet *packet, float value);
void put_be32(struct packet *packet, uint32_t value);
void put_be64(struct packet *packet, uint64_t value);
void put_string(struct packet *packet, const char *text);
/* sType and an empty chain. */
void put_head(struct packet *packet, uint32_t s_type);
/* A struct in a chain: its head, behind which the rest of the chain is empty. */
void put_link(struct packet *packet, uint32_t s_type, uint32_t size);
void put_absent(struct packet *packet);
void put_present(struct packet *packet);

/* The next number. */
uint32_t packet_seqno(struct ring *ring);
/* Completes it, for those who send it in parts. */
void packet_seal(struct packet *packet, uint32_t seqno);
/* Gives it the next number and sends it, or `seqno`. Consumes it. */
void packet_send(struct ring *ring, struct packet *packet);
void packet_send_as(struct ring *ring, struct packet *packet, uint32_t seqno);

/* A payload of recorded commands: each starts with command_begin() and ends with command_end(). */
void command_begin(struct packet *payload, uint32_t opcode);
void command_end(struct packet *payload);

uint32_t get_u32(struct ring *ring);
uint64_t get_u64(struct ring *ring);
/* The result of a reply that is nothing else. */
int32_t get_result(struct ring *ring);

#endif
