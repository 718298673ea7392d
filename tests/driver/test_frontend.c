/* The front-end and its window against a scripted back-end that errs, dawdles, and talks back. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/frontend.h"
#include "driver/window.h"
#include "support/await.h"
#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/macros.h"

#define BIT(n) (UINT64_C(1) << (n))
#define PAGE   UINT64_C(4096)
#define WINDOW (UINT64_C(1) << 20)

/* ---- the window alone ---- */

static int window_memfd(void) {
	int fd = neep_memfd_create("blob", 4 * PAGE);
	assert_true(fd >= 0);
	return fd;
}

static struct neep_vhost_user_shmem_map map_of(uint64_t offset, uint64_t len) {
	return (struct neep_vhost_user_shmem_map){
		.shmem_id = 1,
		.shm_offset = offset,
		.len = len,
		.flags = NEEP_VHOST_USER_SHMEM_RW,
	};
}

static int map(struct neep_window *window, struct neep_vhost_user_shmem_map request) {
	return neep_window_map(window, &request, window_memfd());
}

static int unmap(struct neep_window *window, struct neep_vhost_user_shmem_map request) {
	return neep_window_unmap(window, &request);
}

static void window_refuses_what_qemu_refuses(void **state) {
	(void)state;
	struct neep_window window;
	neep_window_init(&window);
	assert_int_equal(map(&window, map_of(0, PAGE)), -ENOENT);
	assert_int_equal(neep_window_reserve(&window, 1, WINDOW), 0);
	assert_int_equal(map(&window, map_of(PAGE, 2 * PAGE)), 0);
	assert_int_equal(map(&window, map_of(PAGE, 2 * PAGE)), -EEXIST);
	assert_int_equal(map(&window, map_of(0, 2 * PAGE)), -EEXIST);
	assert_int_equal(map(&window, map_of(2 * PAGE, PAGE)), -EEXIST);
	assert_int_equal(map(&window, map_of(0, 0)), -EINVAL);
	assert_int_equal(map(&window, map_of(0, 100)), -EINVAL);
	assert_int_equal(map(&window, map_of(512, PAGE)), -EINVAL);
	assert_int_equal(map(&window, map_of(WINDOW, PAGE)), -ERANGE);
	assert_int_equal(map(&window, map_of(UINT64_MAX - PAGE + 1, PAGE)), -ERANGE);
	assert_int_equal(map(&window, map_of(8 * PAGE, 5 * PAGE)), -ERANGE); // longer than the file
	struct neep_vhost_user_shmem_map other_id = map_of(0, PAGE);
	other_id.shmem_id = 2;
	assert_int_equal(map(&window, other_id), -ENOENT);
	struct neep_vhost_user_shmem_map no_fd = map_of(0, PAGE);
	assert_int_equal(neep_window_map(&window, &no_fd, -1), -EBADF);
	assert_int_equal(unmap(&window, map_of(PAGE, PAGE)), -ENOENT); // a part
	assert_int_equal(unmap(&window, map_of(PAGE, 2 * PAGE)), 0);
	assert_int_equal(unmap(&window, map_of(PAGE, 2 * PAGE)), -ENOENT);
	assert_int_equal(map(&window, map_of(0, 2 * PAGE)), 0);
	assert_int_equal(window.live, 1);
	neep_window_finish(&window);
}

static void window_shows_the_file_until_it_is_unmapped(void **state) {
	(void)state;
	struct neep_window window;
	neep_window_init(&window);
	assert_int_equal(neep_window_reserve(&window, 1, WINDOW), 0);
	int fd = window_memfd();
	assert_int_equal(pwrite(fd, "neep", 4, 4096), 4);
	struct neep_vhost_user_shmem_map request = map_of(8 * PAGE, PAGE);
	request.fd_offset = PAGE;
	assert_int_equal(neep_window_map(&window, &request, fd), 0);
	assert_memory_equal((char *)window.host + 8 * PAGE, "neep", 4);
	assert_ptr_equal(neep_window_pending(&window)->link.next, &window.maps);
	neep_window_clear(&window);
	assert_int_equal(window.live, 0);
	assert_null(neep_window_pending(&window)); // it was never told of
	unsigned char resident;
	assert_int_equal(mincore((char *)window.host + 8 * PAGE, PAGE, &resident), 0); // still reserved
	neep_window_finish(&window);
}

/* ---- a scripted back-end ---- */

struct script {
	pthread_t thread;
	int64_t timeout_ns; // 0: all the time that there is
	int socket;
	int channel;
	uint64_t protocol_features;
	/* What it does when GET_CONFIG comes. */
	void (*on_config)(
		struct script *script, const struct neep_vhost_user_header *request, const void *payload);
	/* Counted. */
	int added, removed, tables;
	uint64_t map_acks[4];
	size_t map_ack_count;
	uint64_t last_region_addr;
};

static bool read_all(int fd, void *buf, size_t len, struct neep_fds *fds) {
	size_t done = 0;
	while (done < len) {
		int64_t got = neep_recv(fd, (char *)buf + done, len - done, fds);
		if (got <= 0) {
			return false;
		}
		done += (size_t)got;
	}
	return true;
}

static void send_reply(int fd, uint32_t request, uint32_t flags, const void *payload, uint32_t size) {
	char buf[sizeof(struct neep_vhost_user_header) + NEEP_VHOST_USER_PAYLOAD_MAX];
	struct neep_vhost_user_header header = { .request = request, .flags = flags, .size = size };
	memcpy(buf, &header, sizeof(header));
	memcpy(buf + sizeof(header), payload, size);
	struct neep_send send = { .buf = buf, .len = sizeof(header) + size };
	neep_send_all(fd, &send);
}

static void answer_u64(struct script *script, uint32_t request, uint64_t value) {
	send_reply(script->socket, request, 5, &value, sizeof(value));
}

static void answer(struct script *script, const struct neep_vhost_user_header *header, const void *payload,
	struct neep_fds *fds) {
	struct neep_vhost_user_shmem_config shmem = { .region_count = 1, .sizes = { [1] = WINDOW } };
	struct neep_vhost_user_mem_region region;
	switch (header->request) {
	case NEEP_VHOST_USER_GET_FEATURES:
		answer_u64(script, header->request, BIT(32) | BIT(30) | BIT(1));
		return;
	case NEEP_VHOST_USER_GET_PROTOCOL_FEATURES:
		answer_u64(script, header->request, script->protocol_features);
		return;
	case NEEP_VHOST_USER_GET_QUEUE_NUM:
		answer_u64(script, header->request, 2);
		return;
	case NEEP_VHOST_USER_GET_MAX_MEM_SLOTS:
		answer_u64(script, header->request, 509);
		return;
	case NEEP_VHOST_USER_GET_SHMEM_CONFIG:
		send_reply(script->socket, header->request, 5, &shmem, sizeof(shmem));
		return;
	case NEEP_VHOST_USER_GET_CONFIG:
		script->on_config(script, header, payload);
		return;
	case NEEP_VHOST_USER_SET_BACKEND_REQ_FD:
		script->channel = neep_fds_take(fds, 0);
		break;
	case NEEP_VHOST_USER_ADD_MEM_REG:
		memcpy(&region, payload, sizeof(region));
		script->last_region_addr = region.region.guest_addr;
		script->added++;
		break;
	case NEEP_VHOST_USER_REM_MEM_REG:
		script->removed++;
		break;
	case NEEP_VHOST_USER_SET_MEM_TABLE:
		script->tables++;
		break;
	default:
		break;
	}
	if ((header->flags & NEEP_VHOST_USER_NEED_REPLY) != 0) {
		answer_u64(script, header->request, 0);
	}
}

static void *run_script(void *data) {
	struct script *script = data;
	struct neep_vhost_user_header header;
	struct neep_fds fds = { 0 };
	char payload[NEEP_VHOST_USER_PAYLOAD_MAX];
	while (read_all(script->socket, &header, sizeof(header), &fds) && header.size <= sizeof(payload) &&
		read_all(script->socket, payload, header.size, &fds)) {
		answer(script, &header, payload, &fds);
		neep_fds_finish(&fds);
	}
	neep_fds_finish(&fds);
	neep_close_fd(&script->socket);
	neep_close_fd(&script->channel);
	return NULL;
}

static void config_as_asked(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	send_reply(script->socket, request->request, 5, payload, request->size);
}

static struct neep_frontend *start_script(struct script *script) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	script->socket = pair[0];
	script->channel = -1;
	if (script->protocol_features == 0) {
		script->protocol_features = UINT64_MAX;
	}
	if (script->on_config == NULL) {
		script->on_config = config_as_asked;
	}
	assert_int_equal(pthread_create(&script->thread, NULL, run_script, script), 0);
	struct neep_frontend_options options = {
		.features = BIT(32),
		.protocol_features =
			BIT(NEEP_VHOST_USER_PROTOCOL_F_MQ) | BIT(NEEP_VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			BIT(NEEP_VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(NEEP_VHOST_USER_PROTOCOL_F_CONFIG) |
			BIT(NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
			BIT(NEEP_VHOST_USER_PROTOCOL_F_SHMEM),
		.echo_maps = true,
		.timeout_ns = script->timeout_ns != 0 ? script->timeout_ns : AWAIT_NS,
	};
	struct neep_frontend *frontend = neep_frontend_create(pair[1], &options, NULL);
	assert_non_null(frontend);
	return frontend;
}

static void stop_script(struct script *script, struct neep_frontend *frontend) {
	neep_frontend_destroy(frontend);
	pthread_join(script->thread, NULL);
}

/* On a busy machine a back-end may be late before it is to be. */
static struct neep_frontend *start_and_negotiate(struct script *script) {
	const struct script fresh = *script;
	struct neep_frontend *frontend = start_script(script);
	while (neep_frontend_negotiate(frontend, NULL) == -ETIMEDOUT) {
		stop_script(script, frontend);
		*script = fresh;
		frontend = start_script(script);
	}
	assert_false(neep_frontend_is_dead(frontend));
	return frontend;
}

static void negotiation_takes_what_both_want(void **state) {
	(void)state;
	struct script script = { 0 };
	struct neep_frontend *frontend = start_script(&script);
	struct neep_error error = { 0 };
	assert_int_equal(neep_frontend_negotiate(frontend, &error), 0);
	assert_int_equal(neep_frontend_features(frontend), BIT(32) | BIT(30));
	assert_int_equal(neep_frontend_queue_count(frontend), 2);
	assert_int_equal(neep_frontend_mem_slots(frontend), 509);
	assert_false(neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_STATUS));
	assert_int_equal(neep_frontend_window(frontend)->size, WINDOW);
	char config[8];
	assert_int_equal(neep_frontend_get_config(frontend, 4, config, sizeof(config)), 0);
	assert_int_equal(neep_frontend_get_config(frontend, 0, config, 257), -EINVAL);
	stop_script(&script, frontend);
}

static void config_wrong_offset(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	struct neep_vhost_user_config config = { 0 };
	memcpy(&config, payload, request->size);
	config.offset++;
	send_reply(script->socket, request->request, 5, &config, request->size);
}

static void config_wrong_flags(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	send_reply(script->socket, request->request, 1, payload, request->size);
}

static void config_wrong_request(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	send_reply(script->socket, NEEP_VHOST_USER_GET_FEATURES, 5, payload, request->size);
}

static void config_too_long(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	(void)payload;
	static const char zeros[1000];
	send_reply(script->socket, request->request, 5, zeros, sizeof(zeros));
}

static void config_half(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	struct neep_vhost_user_header header = {
		.request = request->request, .flags = 5, .size = request->size
	};
	struct neep_send send = { .buf = &header, .len = sizeof(header) };
	(void)payload;
	neep_send_all(script->socket, &send);
}

static void config_silent(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	(void)script;
	(void)request;
	(void)payload;
}

static void config_hangs_up(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	(void)request;
	(void)payload;
	shutdown(script->socket, SHUT_RDWR);
}

static void replies_that_break_the_protocol_are_errors(void **state) {
	(void)state;
	static const struct {
		void (*on_config)(struct script *, const struct neep_vhost_user_header *, const void *);
		int result;
		bool is_dead;
	} cases[] = {
		{ config_wrong_offset, -EPROTO, false },
		{ config_wrong_flags, -EPROTO, true },
		{ config_wrong_request, -EPROTO, true },
		{ config_too_long, -EPROTO, true },
		{ config_half, -ETIMEDOUT, true },
		{ config_silent, -ETIMEDOUT, true },
		{ config_hangs_up, -EPIPE, true },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		struct script script = { .on_config = cases[i].on_config,
			.timeout_ns = cases[i].result == -ETIMEDOUT ? 300 * NEEP_NS_PER_MS : 0 };
		struct neep_frontend *frontend = start_and_negotiate(&script);
		char config[16];
		assert_int_equal(
			neep_frontend_get_config(frontend, 0, config, sizeof(config)), cases[i].result);
		assert_int_equal(neep_frontend_is_dead(frontend), cases[i].is_dead);
		if (cases[i].is_dead) {
			assert_int_equal(
				neep_frontend_get_config(frontend, 0, config, sizeof(config)), -EPIPE);
		}
		stop_script(&script, frontend);
	}
}

/* ---- a back-end that asks while it is asked ---- */

static void ask_channel(struct script *script, uint32_t request, uint64_t offset, int fd) {
	struct {
		struct neep_vhost_user_header header;
		struct neep_vhost_user_shmem_map map;
	} message = {
		.header = { .request = request, .flags = 0x9, .size = sizeof(message.map) },
		.map = map_of(offset, PAGE),
	};
	struct neep_send send = {
		.buf = &message,
		.len = sizeof(message),
		.fds = &fd,
		.fd_count = fd >= 0 ? 1 : 0,
	};
	neep_send_all(script->channel, &send);
	struct {
		struct neep_vhost_user_header header;
		uint64_t value;
	} __attribute__((packed)) ack = { 0 };
	struct neep_fds none = { 0 };
	/* Without its answer this back-end answers nothing: the deadlock that the front-end must not fall into. */
	if (read_all(script->channel, &ack, sizeof(ack), &none) && ack.header.flags == 5) {
		script->map_acks[script->map_ack_count++] = ack.value;
	}
}

static void config_after_maps(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	int fd = window_memfd();
	ask_channel(script, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 0, fd);
	ask_channel(script, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 0, fd);
	ask_channel(script, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 2 * PAGE, fd);
	ask_channel(script, NEEP_VHOST_USER_BACKEND_SHMEM_UNMAP, 0, -1);
	neep_close_fd(&fd);
	config_as_asked(script, request, payload);
}

static struct neep_guest_memory *small_memory(void) {
	struct neep_guest_layout layout = { .size = 16 * PAGE, .region_count = 1 };
	struct neep_guest_memory *memory = neep_guest_memory_create(&layout, NULL);
	assert_non_null(memory);
	return memory;
}

static void run_maps(struct script *script) {
	struct neep_guest_memory *memory = small_memory();
	struct neep_frontend *frontend = start_script(script);
	assert_int_equal(neep_frontend_negotiate(frontend, NULL), 0);
	assert_int_equal(neep_frontend_set_memory(frontend, memory), 0);
	char config[16];
	assert_int_equal(neep_frontend_get_config(frontend, 0, config, sizeof(config)), 0);
	assert_int_equal(neep_frontend_window(frontend)->live, 1);
	/* An exchange that has come back means that what was sent before it was seen. */
	script->on_config = config_as_asked;
	assert_int_equal(neep_frontend_get_config(frontend, 0, config, sizeof(config)), 0);
	assert_int_equal(script->map_ack_count, 4);
	assert_int_equal(script->map_acks[0], 0);
	assert_int_equal(script->map_acks[1], 1); // overlap
	assert_int_equal(script->map_acks[2], 0);
	assert_int_equal(script->map_acks[3], 0);
	stop_script(script, frontend);
	neep_guest_memory_destroy(memory);
}

static void maps_are_served_while_a_reply_is_awaited(void **state) {
	(void)state;
	struct script script = { .on_config = config_after_maps };
	run_maps(&script);
	/* RAM, and the one map that was still there after the exchange. */
	assert_int_equal(script.added, 2);
	assert_int_equal(script.removed, 0);
	assert_int_equal(script.last_region_addr, NEEP_WINDOW_GUEST_ADDR + 2 * PAGE);
}

static void maps_are_echoed_as_a_table_without_slots(void **state) {
	(void)state;
	struct script script = {
		.on_config = config_after_maps,
		.protocol_features = ~BIT(NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS),
	};
	run_maps(&script);
	assert_int_equal(script.added, 0);
	assert_int_equal(script.tables, 2);
}

static void config_one_map(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	int fd = window_memfd();
	ask_channel(script, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 0, fd);
	neep_close_fd(&fd);
	config_as_asked(script, request, payload);
}

static void cleared_window_is_told_with_the_next_memory_message(void **state) {
	(void)state;
	struct script script = { .on_config = config_one_map };
	struct neep_guest_memory *memory = small_memory();
	struct neep_frontend *frontend = start_script(&script);
	char config[16];
	assert_int_equal(neep_frontend_negotiate(frontend, NULL), 0);
	assert_int_equal(neep_frontend_set_memory(frontend, memory), 0);
	assert_int_equal(neep_frontend_get_config(frontend, 0, config, sizeof(config)), 0);
	assert_int_equal(neep_frontend_window(frontend)->live, 1);
	neep_frontend_clear_window(frontend);
	assert_int_equal(neep_frontend_window(frontend)->live, 0);
	assert_int_equal(neep_frontend_set_memory(frontend, memory), 0);
	stop_script(&script, frontend);
	assert_int_equal(script.added, 2);
	assert_int_equal(script.removed, 1);
	neep_guest_memory_destroy(memory);
}

/* While this process can open nothing. */
static void config_around_a_lost_fd(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	int fd = window_memfd();
	struct rlimit limit = fd_limit_all();
	ask_channel(script, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 0, fd);
	fd_limit_restore(limit);
	ask_channel(script, NEEP_VHOST_USER_BACKEND_SHMEM_MAP, 0, fd);
	neep_close_fd(&fd);
	config_as_asked(script, request, payload);
}

static void map_whose_fd_is_lost_is_refused_alone(void **state) {
	(void)state;
	struct script script = { .on_config = config_around_a_lost_fd };
	struct neep_frontend *frontend = start_script(&script);
	char config[16];
	assert_int_equal(neep_frontend_negotiate(frontend, NULL), 0);
	assert_int_equal(neep_frontend_get_config(frontend, 0, config, sizeof(config)), 0);
	assert_int_equal(neep_frontend_window(frontend)->live, 1);
	script.on_config = config_as_asked;
	assert_int_equal(neep_frontend_get_config(frontend, 0, config, sizeof(config)), 0);
	assert_int_equal(script.map_ack_count, 2);
	assert_int_equal(script.map_acks[0], 1);
	assert_int_equal(script.map_acks[1], 0);
	stop_script(&script, frontend);
}

static void config_after_nonsense(
	struct script *script, const struct neep_vhost_user_header *request, const void *payload) {
	struct neep_vhost_user_header change = { .request = NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE,
		.flags = 1 };
	struct neep_vhost_user_header unknown = { .request = 99, .flags = 1 };
	struct neep_vhost_user_header huge = { .request = 2, .flags = 1, .size = UINT32_MAX };
	struct neep_send sends[] = {
		{ .buf = &change, .len = sizeof(change) },
		{ .buf = &unknown, .len = sizeof(unknown) },
		{ .buf = &change, .len = sizeof(change) },
		{ .buf = &huge, .len = sizeof(huge) },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sends); i++) {
		neep_send_all(script->channel, &sends[i]);
	}
	config_as_asked(script, request, payload);
}

static void channel_closes_on_a_message_beyond_reason(void **state) {
	(void)state;
	struct script script = { .on_config = config_after_nonsense };
	struct neep_frontend *frontend = start_script(&script);
	char config[16];
	assert_int_equal(neep_frontend_negotiate(frontend, NULL), 0);
	assert_int_equal(neep_frontend_get_config(frontend, 0, config, sizeof(config)), 0);
	assert_int_equal(neep_frontend_serve(frontend), 0);
	assert_int_equal(neep_frontend_config_changes(frontend), 2);
	assert_int_equal(neep_frontend_channel(frontend), -1);
	assert_false(neep_frontend_is_dead(frontend));
	stop_script(&script, frontend);
}

static void connect_names_the_path_it_cannot_reach(void **state) {
	(void)state;
	struct neep_error error = { 0 };
	assert_int_equal(neep_frontend_connect("/nonexistent/neep.sock", 0, &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nonexistent/neep.sock"));
	char path[200];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(neep_frontend_connect(path, 0, &error), -ENAMETOOLONG);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(window_refuses_what_qemu_refuses),
		fd_checked_test(window_shows_the_file_until_it_is_unmapped),
		fd_checked_test(negotiation_takes_what_both_want),
		fd_checked_test(replies_that_break_the_protocol_are_errors),
		fd_checked_test(maps_are_served_while_a_reply_is_awaited),
		fd_checked_test(maps_are_echoed_as_a_table_without_slots),
		fd_checked_test(cleared_window_is_told_with_the_next_memory_message),
		fd_checked_test(map_whose_fd_is_lost_is_refused_alone),
		fd_checked_test(channel_closes_on_a_message_beyond_reason),
		fd_checked_test(connect_names_the_path_it_cannot_reach),
	};
	return cmocka_run_group_tests_name("front-end", tests, NULL, NULL);
}
