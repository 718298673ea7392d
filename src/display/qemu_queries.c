#include "display/qemu_queries.h"

#include <stdlib.h>
#include <string.h>

#include <linux/virtio_gpu.h>

#include "util/clock.h"
#include "util/macros.h"

/* How long a question waits for the handshake; the guest's boot waits with it. */
#define PATIENCE_NS NEEP_NS_PER_S

struct qemu_query {
	struct neep_gpu_query base;
	struct neep_list link; // qemu_queries.waiting or .asked
	struct qemu_queries *queries;
	struct neep_sink_query *asker;
	bool is_asked;
};

/* Frees `query`, then answers: the asker may ask again at once. */
static void answer(struct qemu_query *query, const void *reply, size_t len) {
	struct neep_sink_query *asker = query->asker;
	neep_list_remove(&query->link);
	free(query);
	asker->sink_private = NULL;
	asker->done(asker, reply, len);
}

static void read_display_info(struct qemu_queries *queries, const void *reply, size_t len) {
	struct virtio_gpu_resp_display_info info;
	if (reply == NULL || len < sizeof(info)) {
		return;
	}
	memcpy(&info, reply, sizeof(info));
	queries->enabled = 0;
	for (uint32_t i = 0; i < NEEP_SCANOUTS_MAX; i++) {
		if (info.pmodes[i].enabled != 0) {
			queries->enabled |= UINT32_C(1) << i;
		}
	}
}

static void query_done(struct neep_gpu_query *base, const void *reply, size_t len) {
	struct qemu_query *query = neep_container_of(base, struct qemu_query, base);
	if (!query->base.is_edid) {
		read_display_info(query->queries, reply, len);
	}
	answer(query, reply, len);
}

static bool is_enabled(const struct qemu_queries *queries, uint32_t scanout_id) {
	return scanout_id < NEEP_SCANOUTS_MAX && (queries->enabled & (UINT32_C(1) << scanout_id)) != 0;
}

static void forward(struct qemu_query *query) {
	struct qemu_queries *queries = query->queries;
	if (query->base.is_edid && !is_enabled(queries, query->base.scanout_id)) {
		answer(query, NULL, 0);
		return;
	}
	neep_list_remove(&query->link);
	neep_list_append(&queries->asked, &query->link);
	query->is_asked = true;
	neep_gpu_socket_query(queries->socket, &query->base);
}

static struct qemu_query *first_of(struct neep_list *list) {
	return neep_list_is_empty(list) ? NULL : neep_container_of(list->next, struct qemu_query, link);
}

static void info_done(struct neep_gpu_query *base, const void *reply, size_t len) {
	struct qemu_queries *queries = neep_container_of(base, struct qemu_queries, info);
	neep_timer_cancel(&queries->patience);
	read_display_info(queries, reply, len);
	queries->has_info = true;
	queries->is_coming = true;
	for (struct qemu_query *query; (query = first_of(&queries->waiting)) != NULL;) {
		forward(query);
	}
}

static void answer_waiting(struct qemu_queries *queries) {
	for (struct qemu_query *query; (query = first_of(&queries->waiting)) != NULL;) {
		answer(query, NULL, 0);
	}
}

static void patience_ends(struct neep_timer *timer) {
	struct qemu_queries *queries = neep_container_of(timer, struct qemu_queries, patience);
	queries->is_coming = false;
	answer_waiting(queries);
}

void qemu_queries_init(struct qemu_queries *queries, struct neep_loop *loop) {
	*queries = (struct qemu_queries){
		.loop = loop,
		.info.done = info_done,
		.patience.fire = patience_ends,
	};
	neep_list_init(&queries->info.link);
	neep_list_init(&queries->waiting);
	neep_list_init(&queries->asked);
}

void qemu_queries_expect(struct qemu_queries *queries) {
	queries->is_coming = true;
	neep_timer_arm(queries->loop, &queries->patience, PATIENCE_NS);
}

void qemu_queries_ready(struct qemu_queries *queries, struct neep_gpu_socket *socket) {
	queries->socket = socket;
	queries->is_coming = true;
	neep_gpu_socket_query(socket, &queries->info);
}

void qemu_queries_lost(struct qemu_queries *queries) {
	neep_timer_cancel(&queries->patience);
	if (queries->socket != NULL && !queries->has_info) {
		neep_gpu_query_cancel(&queries->info);
	}
	/* Whoever asks again from inside an answer gets the next one at once. */
	queries->socket = NULL;
	queries->is_coming = false;
	queries->has_info = false;
	queries->enabled = 0;
	answer_waiting(queries);
	for (struct qemu_query *query; (query = first_of(&queries->asked)) != NULL;) {
		neep_gpu_query_cancel(&query->base);
		answer(query, NULL, 0);
	}
}

void qemu_queries_ask(struct qemu_queries *queries, struct neep_sink_query *asker) {
	struct qemu_query *query = queries->is_coming ? calloc(1, sizeof(*query)) : NULL;
	asker->sink_private = query;
	if (query == NULL) {
		asker->done(asker, NULL, 0);
		return;
	}
	query->base = (struct neep_gpu_query){
		.is_edid = asker->is_edid, .scanout_id = asker->scanout_id, .done = query_done
	};
	neep_list_init(&query->base.link);
	query->queries = queries;
	query->asker = asker;
	neep_list_append(&queries->waiting, &query->link);
	if (queries->has_info) {
		forward(query);
	}
}

void qemu_queries_cancel(struct neep_sink_query *asker) {
	struct qemu_query *query = asker->sink_private;
	if (query == NULL) {
		return;
	}
	asker->sink_private = NULL;
	if (query->is_asked) {
		neep_gpu_query_cancel(&query->base);
	}
	neep_list_remove(&query->link);
	free(query);
}
