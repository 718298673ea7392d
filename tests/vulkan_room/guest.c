#include "vulkan_room/guest.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "support/await.h"
#include "util/macros.h"

#define PACKET_LEN_AT   4
#define PACKET_SEQNO_AT 8

static void pipe_init(struct pipe *pipe) {
	*pipe = (struct pipe){ 0 };
	pthread_mutex_init(&pipe->lock, NULL);
	pthread_cond_init(&pipe->changed, NULL);
}

static void pipe_finish(struct pipe *pipe) {
	pthread_cond_destroy(&pipe->changed);
	pthread_mutex_destroy(&pipe->lock);
	free(pipe->buf);
}

static void pipe_close(struct pipe *pipe) {
	pthread_mutex_lock(&pipe->lock);
	pipe->is_closed = true;
	pthread_cond_broadcast(&pipe->changed);
	pthread_mutex_unlock(&pipe->lock);
}

static void pipe_write(struct pipe *pipe, const void *buf, size_t len) {
	pthread_mutex_lock(&pipe->lock);
	if (pipe->size - pipe->end < len) {
		pipe->size = (pipe->end + len) * 2;
		pipe->buf = realloc(pipe->buf, pipe->size);
		neep_assert(pipe->buf != NULL);
	}
	memcpy(pipe->buf + pipe->end, buf, len);
	pipe->end += len;
	pthread_cond_broadcast(&pipe->changed);
	pthread_mutex_unlock(&pipe->lock);
}

/* At least one byte; 0 at the end. */
static size_t pipe_read(struct pipe *pipe, void *buf, size_t len) {
	pthread_mutex_lock(&pipe->lock);
	while (pipe->begin == pipe->end && !pipe->is_closed) {
		pthread_cond_wait(&pipe->changed, &pipe->lock);
	}
	size_t got = pipe->end - pipe->begin < len ? pipe->end - pipe->begin : len;
	if (got > 0) {
		memcpy(buf, pipe->buf + pipe->begin, got);
	}
	pipe->begin += got;
	if (pipe->begin == pipe->end) {
		pipe->begin = pipe->end = 0;
	}
	pthread_mutex_unlock(&pipe->lock);
	return got;
}

static int64_t transport_read(struct neep_vk_transport *transport, void *buf, size_t len) {
	struct ring *ring = neep_container_of(transport, struct ring, transport);
	size_t got = pipe_read(&ring->to_host, buf, len < ring->chunk ? len : ring->chunk);
	return got > 0 ? (int64_t)got : -ECANCELED;
}

static int transport_write(struct neep_vk_transport *transport, const void *buf, size_t len) {
	struct ring *ring = neep_container_of(transport, struct ring, transport);
	pipe_write(&ring->to_guest, buf, len);
	return 0;
}

static const struct neep_vk_transport_impl transport_impl = {
	.read = transport_read,
	.write = transport_write,
};

static int publish_blob(struct neep_vk_host *host, uint64_t blob_id, uint64_t size, int fd) {
	struct guest *guest = neep_container_of(host, struct guest, host);
	pthread_mutex_lock(&guest->lock);
	neep_assert(guest->blob_count < GUEST_MAX_BLOBS);
	guest->blobs[guest->blob_count++] = (struct blob){
		.blob_id = blob_id,
		.size = size,
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
	};
	pthread_mutex_unlock(&guest->lock);
	return 0;
}

static int find_resource(struct neep_vk_host *host, uint32_t resource_id, struct neep_vk_resource *resource) {
	(void)host;
	(void)resource_id;
	(void)resource;
	return -ENOENT;
}

static void lost(struct neep_vk_host *host, const char *reason) {
	struct guest *guest = neep_container_of(host, struct guest, host);
	pthread_mutex_lock(&guest->lock);
	guest->lost_count++;
	snprintf(guest->reason, sizeof(guest->reason), "%s", reason);
	pthread_cond_broadcast(&guest->changed);
	pthread_mutex_unlock(&guest->lock);
}

static const struct neep_vk_host_impl host_impl = {
	.publish_blob = publish_blob,
	.find_resource = find_resource,
	.lost = lost,
};

void guest_start(struct guest *guest, const struct neep_vk_limits *limits) {
	*guest = (struct guest){ .host.impl = &host_impl };
	pthread_mutex_init(&guest->lock, NULL);
	pthread_cond_init(&guest->changed, NULL);
	guest->context = neep_vk_context_create(&guest->host, limits, NULL);
	neep_assert(guest->context != NULL);
}

static void *serve(void *arg) {
	struct ring *ring = arg;
	ring->result = neep_vk_serve(ring->guest->context, &ring->transport);
	pipe_close(&ring->to_guest);
	return NULL;
}

struct ring *guest_bare_ring(struct guest *guest, size_t chunk) {
	neep_assert(guest->ring_count < GUEST_MAX_RINGS);
	struct ring *ring = &guest->rings[guest->ring_count++];
	*ring = (struct ring){ .transport.impl = &transport_impl, .guest = guest, .chunk = chunk };
	pipe_init(&ring->to_host);
	pipe_init(&ring->to_guest);
	pthread_create(&ring->thread, NULL, serve, ring);
	return ring;
}

struct ring *guest_ring(struct guest *guest) {
	struct ring *ring = guest_bare_ring(guest, SIZE_MAX);
	guest_write(ring, "\0\0\0", 4);
	return ring;
}

int guest_end_ring(struct ring *ring) {
	pipe_close(&ring->to_host);
	if (ring->thread != 0) {
		pthread_join(ring->thread, NULL);
		ring->thread = 0;
	}
	return ring->result;
}

bool guest_wait_lost(struct guest *guest) {
	struct timespec deadline;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += AWAIT_MS / 1000;
	pthread_mutex_lock(&guest->lock);
	while (guest->lost_count == 0 &&
		pthread_cond_timedwait(&guest->changed, &guest->lock, &deadline) == 0) {
	}
	bool is_lost = guest->lost_count > 0;
	pthread_mutex_unlock(&guest->lock);
	return is_lost;
}

void guest_stop(struct guest *guest) {
	neep_vk_context_stop(guest->context);
	for (unsigned i = 0; i < guest->ring_count; i++) {
		guest_end_ring(&guest->rings[i]);
		pipe_finish(&guest->rings[i].to_host);
		pipe_finish(&guest->rings[i].to_guest);
	}
	neep_vk_context_destroy(guest->context);
	for (unsigned i = 0; i < guest->blob_count; i++) {
		close(guest->blobs[i].fd);
	}
	pthread_cond_destroy(&guest->changed);
	pthread_mutex_destroy(&guest->lock);
}

void *guest_map_blob(struct guest *guest, uint64_t blob_id, uint64_t size) {
	void *ptr = NULL;
	pthread_mutex_lock(&guest->lock);
	for (unsigned i = 0; i < guest->blob_count && ptr == NULL; i++) {
		if (guest->blobs[i].blob_id == blob_id && guest->blobs[i].size >= size) {
			ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->blobs[i].fd, 0);
		}
	}
	pthread_mutex_unlock(&guest->lock);
	return ptr == MAP_FAILED ? NULL : ptr;
}

void guest_write(struct ring *ring, const void *buf, size_t len) {
	pipe_write(&ring->to_host, buf, len);
}

bool guest_read(struct ring *ring, void *buf, size_t len) {
	while (len > 0) {
		size_t got = pipe_read(&ring->to_guest, buf, len);
		if (got == 0) {
			return false;
		}
		buf = (uint8_t *)buf + got;
		len -= got;
	}
	return true;
}

static size_t pipe_left(struct pipe *pipe) {
	pthread_mutex_lock(&pipe->lock);
	size_t len = pipe->end - pipe->begin;
	pthread_mutex_unlock(&pipe->lock);
	return len;
}

size_t guest_readable(struct ring *ring) {
	return pipe_left(&ring->to_guest);
}

size_t guest_unread(struct ring *ring) {
	return pipe_left(&ring->to_host);
}

struct packet packet_begin(uint32_t opcode) {
	struct packet packet = { 0 };
	command_begin(&packet, opcode);
	put_u32(&packet, 0);
	return packet;
}

void put_bytes(struct packet *packet, const void *buf, size_t len) {
	if (packet->size - packet->len < len) {
		packet->size = (packet->len + len) * 2;
		packet->buf = realloc(packet->buf, packet->size);
		neep_assert(packet->buf != NULL);
	}
	if (len > 0) {
		memcpy(packet->buf + packet->len, buf, len);
	}
	packet->len += len;
}

void put_u32(struct packet *packet, uint32_t value) {
	put_bytes(packet, &value, sizeof(value));
}

void put_u64(struct packet *packet, uint64_t value) {
	put_bytes(packet, &value, sizeof(value));
}

void put_f32(struct packet *packet, float value) {
	put_bytes(packet, &value, sizeof(value));
}

void put_be32(struct packet *packet, uint32_t value) {
	put_u32(packet, htobe32(value));
}

void put_be64(struct packet *packet, uint64_t value) {
	put_u64(packet, htobe64(value));
}

void put_string(struct packet *packet, const char *text) {
	put_be32(packet, (uint32_t)strlen(text));
	put_bytes(packet, text, strlen(text));
}

void put_head(struct packet *packet, uint32_t s_type) {
	put_u32(packet, s_type);
	put_be32(packet, 0);
}

void put_link(struct packet *packet, uint32_t s_type, uint32_t size) {
	put_be32(packet, size);
	put_u32(packet, s_type);
	put_head(packet, s_type);
}

void put_absent(struct packet *packet) {
	put_be64(packet, 0);
}

void put_present(struct packet *packet) {
	put_be64(packet, 0x7f1234567890);
}

static void set_u32(struct packet *packet, size_t offset, uint32_t value) {
	memcpy(packet->buf + offset, &value, sizeof(value));
}

void packet_seal(struct packet *packet, uint32_t seqno) {
	set_u32(packet, PACKET_LEN_AT, (uint32_t)packet->len);
	set_u32(packet, PACKET_SEQNO_AT, seqno);
}

uint32_t packet_seqno(struct ring *ring) {
	return atomic_fetch_add(&ring->guest->seqno, 1) + 1;
}

void packet_send_as(struct ring *ring, struct packet *packet, uint32_t seqno) {
	packet_seal(packet, seqno);
	guest_write(ring, packet->buf, packet->len);
	free(packet->buf);
	*packet = (struct packet){ 0 };
}

void packet_send(struct ring *ring, struct packet *packet) {
	packet_send_as(ring, packet, packet_seqno(ring));
}

void command_begin(struct packet *payload, uint32_t opcode) {
	payload->start = payload->len;
	put_u32(payload, opcode);
	put_u32(payload, 0);
}

void command_end(struct packet *payload) {
	set_u32(payload, payload->start + PACKET_LEN_AT, (uint32_t)(payload->len - payload->start));
}

uint32_t get_u32(struct ring *ring) {
	uint32_t value = 0;
	guest_read(ring, &value, sizeof(value));
	return value;
}

uint64_t get_u64(struct ring *ring) {
	uint64_t value = 0;
	guest_read(ring, &value, sizeof(value));
	return value;
}

int32_t get_result(struct ring *ring) {
	int32_t value = INT32_MIN;
	guest_read(ring, &value, sizeof(value));
	return value;
}
