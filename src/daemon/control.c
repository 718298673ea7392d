#include "daemon/control_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"

/* The longest reply: sixteen outputs. */
#define REPLY_MAX 16384

static void client_destroy(struct control_client *client) {
	control_drop_png(client);
	neep_source_remove(&client->source);
	neep_close_fd(&client->fd);
	neep_close_fd(&client->passed_fd);
	neep_list_remove(&client->link);
	client->control->client_count--;
	free(client);
}

void control_reply(struct control_client *client, const char *format, ...) {
	char reply[REPLY_MAX];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(reply, sizeof(reply) - 1, format, args);
	va_end(args);
	if (len < 0 || len >= (int)sizeof(reply) - 1) {
		len = snprintf(reply, sizeof(reply) - 1, "error the reply is too long");
	}
	reply[len++] = '\n';
	ssize_t sent = send(client->fd, reply, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent != len) {
		client->is_over = true;
	}
}

/* Takes the first complete line out of the buffer, as far as it is free to go on. */
static bool take_line(struct control_client *client, char line[static NEEP_CONTROL_LINE_MAX + 1]) {
	char *end = memchr(client->line, '\n', client->used);
	if (end == NULL || client->png != NULL || client->is_over) {
		return false;
	}
	size_t len = (size_t)(end - client->line);
	memcpy(line, client->line, len);
	line[len] = '\0';
	client->used -= len + 1;
	memmove(client->line, end + 1, client->used);
	return true;
}

/* Returns whether the client is still there. */
static bool run_lines(struct control_client *client) {
	char line[NEEP_CONTROL_LINE_MAX + 1];
	while (take_line(client, line)) {
		control_run_line(client, line);
	}
	if (!client->is_over && client->png == NULL && client->used == sizeof(client->line)) {
		control_reply(client, "error a line has at most %d bytes", NEEP_CONTROL_LINE_MAX);
		client->is_over = true;
	}
	if (client->is_over) {
		client_destroy(client);
		return false;
	}
	return true;
}

static void receive(struct control_client *client) {
	struct neep_fds fds = { 0 };
	size_t room = sizeof(client->line) - client->used;
	int64_t got = neep_recv(client->fd, client->line + client->used, room, &fds);
	if (fds.count > 0) {
		neep_close_fd(&client->passed_fd);
		client->passed_fd = neep_fds_take(&fds, 0);
		neep_fds_finish(&fds);
	}
	if (got > 0) {
		client->used += (size_t)got;
	} else if (got != -EAGAIN) {
		client->is_over = true;
	}
}

static void client_ready(struct neep_source *source, uint32_t events) {
	struct control_client *client = neep_container_of(source, struct control_client, source);
	/* While a picture is on its way only the end of the connection is heard of. */
	if (client->png != NULL) {
		client->is_over = (events & (EPOLLHUP | EPOLLERR)) != 0;
	} else {
		neep_list_remove(&client->link);
		neep_list_append(&client->control->clients, &client->link);
		receive(client);
	}
	if (run_lines(client) && client->png != NULL) {
		neep_source_set_events(&client->source, 0);
	}
}

void control_resume(struct control_client *client) {
	neep_source_set_events(&client->source, EPOLLIN);
	if (run_lines(client) && client->png != NULL) {
		neep_source_set_events(&client->source, 0);
	}
}

static void client_create(struct neep_control *control, int owned_fd) {
	neep_autoclose int fd = owned_fd;
	struct control_client *client = calloc(1, sizeof(*client));
	if (client == NULL) {
		return;
	}
	client->control = control;
	client->passed_fd = -1;
	client->png_fd = -1;
	client->fd = fd;
	client->source = (struct neep_source){ .fd = fd, .ready = client_ready };
	if (neep_source_add(control->loop, &client->source, EPOLLIN) < 0) {
		free(client);
		return;
	}
	neep_steal_fd(&fd);
	neep_list_append(&control->clients, &client->link);
	control->client_count++;
}

static void accepted(struct neep_acceptor *acceptor, int owned_fd) {
	struct neep_control *control = neep_container_of(acceptor, struct neep_control, acceptor);
	if (control->client_count == NEEP_CONTROL_CLIENTS_MAX) {
		client_destroy(neep_container_of(control->clients.next, struct control_client, link));
	}
	client_create(control, owned_fd);
}

struct neep_control *neep_control_create(struct neep_loop *loop, const char *path,
	const struct neep_control_host *host, struct neep_error *error) {
	struct neep_control *control = calloc(1, sizeof(*control));
	if (control == NULL) {
		neep_error_set(error, ENOMEM, "control socket %s", path);
		return NULL;
	}
	control->loop = loop;
	control->host = *host;
	neep_list_init(&control->clients);
	if (neep_listener_open(&control->listener, path, error) < 0) {
		free(control);
		return NULL;
	}
	control->acceptor.accepted = accepted;
	int result = neep_acceptor_start(loop, &control->acceptor, control->listener.fd);
	if (result < 0) {
		neep_error_set(error, -result, "cannot watch %s", path);
		neep_control_destroy(control);
		return NULL;
	}
	return control;
}

void neep_control_destroy(struct neep_control *control) {
	if (control == NULL) {
		return;
	}
	while (control->client_count > 0) {
		client_destroy(neep_container_of(control->clients.next, struct control_client, link));
	}
	neep_acceptor_stop(&control->acceptor);
	neep_listener_close(&control->listener);
	free(control);
}
