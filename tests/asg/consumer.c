#include "asg/consumer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "util/macros.h"

struct neep_asg_ring *asg_consumer_ring(struct asg_guest *guest, int64_t spin_ns) {
	struct neep_asg_options options = { .spin_ns = spin_ns };
	struct neep_error error;
	struct neep_asg_ring *ring = neep_asg_ring_create(
		fcntl(guest->memory_fd, F_DUPFD_CLOEXEC, 0), ASG_GUEST_SIZE, &options, &error);
	neep_assert(ring != NULL);
	return ring;
}

struct neep_asg_ring *asg_consumer_successor(struct asg_guest *guest) {
	struct neep_asg_options options = { .had_consumer = true };
	struct neep_error error;
	return neep_asg_ring_create(
		fcntl(guest->memory_fd, F_DUPFD_CLOEXEC, 0), ASG_GUEST_SIZE, &options, &error);
}

static int64_t read_all(struct asg_consumer *consumer, void *buf, size_t len) {
	uint8_t *out = buf;
	while (len > 0) {
		int64_t count = neep_asg_ring_read(consumer->ring, out, len);
		if (count < 0) {
			return count;
		}
		neep_assert(count > 0 && (size_t)count <= len);
		consumer->received += (uint64_t)count;
		out += count;
		len -= (size_t)count;
	}
	return 0;
}

static void reserve(struct asg_consumer *consumer, size_t size) {
	if (size > consumer->buf_size) {
		free(consumer->buf);
		consumer->buf = malloc(size);
		consumer->buf_size = size;
		neep_assert(consumer->buf != NULL);
	}
}

static int64_t serve_one(struct asg_consumer *consumer) {
	struct asg_request request;
	int64_t result = read_all(consumer, &request, sizeof(request));
	if (result < 0) {
		return result;
	}
	reserve(consumer, request.payload + (size_t)request.reply + 1);
	consumer->buf[0] = 0;
	result = read_all(consumer, consumer->buf, request.payload);
	uint8_t first = consumer->buf[0];
	if (result < 0 || request.reply == 0) {
		return result;
	}
	for (uint32_t i = 0; i < request.reply; i++) {
		consumer->buf[i] = (uint8_t)(i + first);
	}
	return neep_asg_ring_write(consumer->ring, consumer->buf, request.reply);
}

static void *serve(void *data) {
	struct asg_consumer *consumer = data;
	do {
		consumer->result = serve_one(consumer);
	} while (consumer->result == 0);
	return NULL;
}

void asg_consumer_start(struct asg_consumer *consumer, struct asg_guest *guest, int64_t spin_ns) {
	*consumer = (struct asg_consumer){ .ring = asg_consumer_ring(guest, spin_ns) };
	neep_assert(pthread_create(&consumer->thread, NULL, serve, consumer) == 0);
}

int64_t asg_consumer_join(struct asg_consumer *consumer) {
	pthread_join(consumer->thread, NULL);
	neep_asg_ring_destroy(consumer->ring);
	free(consumer->buf);
	return consumer->result;
}

int64_t asg_consumer_stop(struct asg_consumer *consumer) {
	neep_asg_ring_stop(consumer->ring);
	return asg_consumer_join(consumer);
}
