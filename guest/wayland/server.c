#include "wayland/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "util/acceptor.h"
#include "util/fd.h"
#include "util/log.h"
#include "wayland/client.h"
#include "wayland/listen.h"

/* Each takes 64 KiB off each client that has left. */
#define DRAIN_TURNS 64

struct neep_wl_server {
	struct neep_loop *loop;
	const struct neep_wl_options *options;
	struct neep_wl_policy policy;
	struct neep_wl_hidden hidden;
	struct neep_wl_listen listen;
	struct neep_acceptor acceptor;
	struct neep_list clients; // neep_wl_client.link
	struct neep_log_limit log_limit;
};

static struct neep_wl_host *make_host(void *data, const struct neep_wl_host_listener *listener,
	void *listener_data, struct neep_error *error) {
	struct neep_wl_server *server = data;
	const struct neep_wl_options *options = server->options;
	struct neep_wl_host *host = options->host_socket != NULL
					    ? neep_wl_host_socket_create(server->loop, options->host_socket,
						      listener, listener_data, error)
					    : neep_wl_host_virtgpu_create(server->loop, options->device,
						      listener, listener_data, error);
	if (host != NULL) {
		host->copies_all = options->copies_all;
	}
	return host;
}

static void client_ended(void *data, struct neep_wl_client *client) {
	(void)data;
	neep_log("wayland", NEEP_LOG_INFO, "%s: gone", client->name);
	neep_wl_client_destroy(client);
}

static void add_client(struct neep_wl_server *server, int owned_fd) {
	struct neep_error error = { .code = 0 };
	struct neep_wl_client_params params = {
		.loop = server->loop,
		.policy = &server->policy,
		.make_host = make_host,
		.make_host_data = server,
		.ended = { .ended = client_ended, .data = server },
	};
	struct neep_wl_client *client = neep_wl_client_create(owned_fd, &params, &error);
	if (client == NULL) {
		neep_log_guest(&server->log_limit, "wayland", "a client was turned away: %s", error.text);
		return;
	}
	neep_list_append(&server->clients, &client->link);
	neep_log("wayland", NEEP_LOG_INFO, "%s: connected", client->name);
}

static void accepted(struct neep_acceptor *acceptor, int owned_fd) {
	add_client(neep_container_of(acceptor, struct neep_wl_server, acceptor), owned_fd);
}

/* The proxy as its own host would connect to itself until there are no files left. */
static bool is_own_host(const struct neep_wl_server *server) {
	const struct neep_wl_listen *listen = &server->listen;
	const char *own = listen->path[0] != '\0' ? listen->path : listen->display;
	struct stat host_file, own_file;
	return server->options->host_socket != NULL && stat(server->options->host_socket, &host_file) == 0 &&
	       stat(own, &own_file) == 0 && host_file.st_dev == own_file.st_dev &&
	       host_file.st_ino == own_file.st_ino;
}

static int start(struct neep_wl_server *server, struct neep_error *error) {
	if (is_own_host(server)) {
		return neep_error_set(error, 0, "--host-socket %s: is where this proxy's own clients connect",
			server->options->host_socket);
	}
	int result = neep_acceptor_start(server->loop, &server->acceptor, server->listen.fd);
	return result < 0 ? neep_error_set(error, -result, "the socket %s", server->listen.display) : 0;
}

struct neep_wl_server *neep_wl_server_create(
	struct neep_loop *loop, const struct neep_wl_options *options, struct neep_error *error) {
	struct neep_wl_server *server = calloc(1, sizeof(*server));
	if (server == NULL) {
		neep_error_set(error, ENOMEM, "the server");
		return NULL;
	}
	server->loop = loop;
	server->options = options;
	server->policy = options->policy;
	server->policy.hidden = &server->hidden;
	server->acceptor.accepted = accepted;
	neep_list_init(&server->clients);
	if (neep_wl_listen_start(&server->listen, options->socket, error) < 0) {
		free(server);
		return NULL;
	}
	if (start(server, error) < 0) {
		neep_wl_server_destroy(server);
		return NULL;
	}
	return server;
}

void neep_wl_server_drain(struct neep_wl_server *server) {
	for (int turn = 0; turn < DRAIN_TURNS && !neep_list_is_empty(&server->clients); turn++) {
		neep_loop_step(server->loop, 0);
	}
}

void neep_wl_server_destroy(struct neep_wl_server *server) {
	if (server == NULL) {
		return;
	}
	neep_list_for_each_safe (client, &server->clients, struct neep_wl_client, link) {
		neep_wl_client_destroy(client);
	}
	neep_acceptor_stop(&server->acceptor);
	neep_wl_listen_finish(&server->listen);
	free(server);
}

const char *neep_wl_server_display(const struct neep_wl_server *server) {
	return server->listen.display;
}
