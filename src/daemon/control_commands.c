#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rutabaga_gfx/neep_rutabaga.h>

#include "daemon/control_internal.h"
#include "util/fd.h"
#include "util/macros.h"
#include "util/number.h"

#define WORDS_MAX 4
/* Of a word that is shown again. */
#define SHOWN_MAX 32

struct words {
	size_t count;
	char *word[WORDS_MAX];
};

struct command {
	const char *name;
	const char *arguments; // for people
	size_t min_words, max_words;
	void (*run)(struct control_client *client, const struct words *words);
};

/* A client's word, without what could confuse a terminal or a log. */
static const char *shown(const char *word, char out[SHOWN_MAX + 1]) {
	size_t i = 0;
	for (; word[i] != '\0' && i < SHOWN_MAX; i++) {
		bool is_plain = word[i] > ' ' && word[i] <= '~' && word[i] != '"' && word[i] != '\\';
		out[i] = is_plain ? word[i] : '?';
	}
	out[i] = '\0';
	return out;
}

static bool read_scanout(struct control_client *client, const char *word, uint32_t *scanout_id) {
	uint64_t number;
	uint32_t count = client->control->host.scanout_count;
	if (!neep_number_parse(word, &number) || number >= count) {
		char out[SHOWN_MAX + 1];
		control_reply(client, "error \"%s\" is not a scanout; there are 0 to %u", shown(word, out),
			count - 1);
		return false;
	}
	*scanout_id = (uint32_t)number;
	return true;
}

static void run_ping(struct control_client *client, const struct words *words) {
	(void)words;
	control_reply(client, "ok");
}

static void run_stats(struct control_client *client, const struct words *words) {
	(void)words;
	struct neep_device_stats stats;
	neep_device_get_stats(client->control->host.device, &stats);
	control_reply(client,
		"ok {\"commands\":%llu,\"errors\":%llu,\"fences\":%llu,\"resources\":%u,\"contexts\":%u,"
		"\"maps\":%u,\"bytes\":%llu,\"pending\":%u}",
		(unsigned long long)stats.commands, (unsigned long long)stats.errors,
		(unsigned long long)stats.fences, stats.resources, stats.contexts, stats.maps,
		(unsigned long long)stats.bytes, stats.pending);
}

/* In one reply; more are counted. */
#define CONTEXTS_MAX 64
#define CONTEXT_TEXT 224

static size_t describe_context(const struct neep_rutabaga_context_info *info, char *text, size_t size) {
	static const char *const states[] = {
		[NEEP_RUTABAGA_RENDERER_NONE] = "none",
		[NEEP_RUTABAGA_RENDERER_RUNNING] = "running",
		[NEEP_RUTABAGA_RENDERER_LOST] = "lost",
	};
	char name[SHOWN_MAX + 1];
	return (size_t)snprintf(text, size,
		"{\"context\":%u,\"capset\":\"%s\",\"name\":\"%s\",\"renderer\":\"%s\",\"rings\":%u,"
		"\"syncs\":%u}",
		info->ctx_id, info->capset, shown(info->name, name), states[info->renderer], info->rings,
		info->pending_syncs);
}

static void run_contexts(struct control_client *client, const struct words *words) {
	(void)words;
	struct neep_rutabaga_context_info infos[CONTEXTS_MAX];
	char list[CONTEXTS_MAX * CONTEXT_TEXT];
	size_t used = 0;
	int count = neep_rutabaga_get_contexts(client->control->host.rutabaga, infos, CONTEXTS_MAX);
	int told = count < CONTEXTS_MAX ? count : CONTEXTS_MAX;
	list[0] = '\0';
	for (int i = 0; i < told; i++) {
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s", i > 0 ? "," : "");
		used += describe_context(&infos[i], list + used, sizeof(list) - used);
	}
	control_reply(client, "ok {\"contexts\":[%s],\"more\":%d}", list, count - told);
}

static void run_outputs(struct control_client *client, const struct words *words) {
	(void)words;
	struct neep_control_host *host = &client->control->host;
	char list[NEEP_SCANOUTS_MAX * 80];
	size_t used = 0;
	for (uint32_t i = 0; i < host->scanout_count; i++) {
		struct neep_output_info info = neep_sink_output(host->sink, i);
		used += (size_t)snprintf(list + used, sizeof(list) - used,
			"%s{\"scanout\":%u,\"shows\":%s,\"width\":%u,\"height\":%u}", i > 0 ? "," : "", i,
			info.is_enabled ? "true" : "false", info.rect.width, info.rect.height);
	}
	control_reply(client, "ok {\"outputs\":[%s]}", list);
}

static void run_resize(struct control_client *client, const struct words *words) {
	struct neep_control_host *host = &client->control->host;
	uint32_t scanout_id, width, height;
	if (neep_sink_has_query(host->sink)) {
		control_reply(client, "error the outputs are QEMU's here; resize its window");
		return;
	}
	if (!read_scanout(client, words->word[1], &scanout_id)) {
		return;
	}
	if (!neep_mode_parse(words->word[2], &width, &height) ||
		neep_device_set_output(host->device, scanout_id, width, height) < 0) {
		char out[SHOWN_MAX + 1];
		control_reply(client,
			"error \"%s\" is not a mode: WIDTHxHEIGHT, each 32 to 8192, or 0x0 for off",
			shown(words->word[2], out));
		return;
	}
	control_reply(client, "ok");
}

void control_drop_png(struct control_client *client) {
	neep_png_end(client->png);
	client->png = NULL;
	neep_close_fd(&client->png_fd);
	neep_task_cancel(&client->png_task);
}

static void png_run(struct neep_task *task) {
	struct control_client *client = neep_container_of(task, struct control_client, png_task);
	int result = neep_png_step(client->png);
	if (result > 0) {
		neep_task_queue(client->control->loop, task);
		return;
	}
	control_drop_png(client);
	if (result < 0) {
		control_reply(client, "error cannot write the picture: %s", strerror(-result));
	} else {
		control_reply(client, "ok");
	}
	control_resume(client);
}

static bool another_picture_runs(const struct neep_control *control) {
	neep_list_for_each (client, &control->clients, struct control_client, link) {
		if (client->png != NULL) {
			return true;
		}
	}
	return false;
}

/* Only memory can be written without ever waiting: a pipe may be full, a file's server may be dead. */
static bool is_memory(int fd) {
	return fcntl(fd, F_GET_SEALS) >= 0;
}

static void start_picture(
	struct control_client *client, uint32_t scanout_id, bool with_cursor, int owned_fd) {
	neep_autoclose int fd = owned_fd;
	struct neep_control *control = client->control;
	struct neep_error error;
	struct neep_image *image = neep_sink_snapshot(control->host.sink, scanout_id, with_cursor, &error);
	if (image == NULL) {
		control_reply(client, "error %s", error.text);
		return;
	}
	client->png = neep_png_begin(image, fd);
	neep_image_unref(image);
	if (client->png == NULL) {
		control_reply(client, "error no memory for the picture");
		return;
	}
	client->png_fd = neep_steal_fd(&fd);
	client->png_task.run = png_run;
	neep_task_queue(control->loop, &client->png_task);
}

static void run_screenshot(struct control_client *client, const struct words *words) {
	neep_autoclose int fd = neep_steal_fd(&client->passed_fd);
	uint32_t scanout_id;
	char out[SHOWN_MAX + 1];
	bool with_cursor = words->count > 2;
	if (!read_scanout(client, words->word[1], &scanout_id)) {
		return;
	}
	if (with_cursor && strcmp(words->word[2], "cursor") != 0) {
		control_reply(client, "error \"%s\" is not the word cursor", shown(words->word[2], out));
	} else if (fd < 0 || !is_memory(fd)) {
		control_reply(client, "error send a memfd to write to along with the command");
	} else if (another_picture_runs(client->control)) {
		control_reply(client, "error another picture is being taken; try again");
	} else {
		start_picture(client, scanout_id, with_cursor, neep_steal_fd(&fd));
	}
}

static const struct command commands[] = {
	{ "ping", "", 1, 1, run_ping },
	{ "stats", "", 1, 1, run_stats },
	{ "contexts", "", 1, 1, run_contexts },
	{ "outputs", "", 1, 1, run_outputs },
	{ "resize", " SCANOUT WIDTHxHEIGHT", 3, 3, run_resize },
	{ "screenshot", " SCANOUT [cursor]", 2, 3, run_screenshot },
};

static bool split(char *line, struct words *words) {
	words->count = 0;
	char *rest = NULL;
	for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		if (words->count == WORDS_MAX) {
			return false;
		}
		words->word[words->count++] = word;
	}
	return true;
}

void control_run_line(struct control_client *client, char *line) {
	struct words words;
	bool fits = split(line, &words);
	const char *name = words.count > 0 ? words.word[0] : "";
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands); i++) {
		const struct command *command = &commands[i];
		if (strcmp(name, command->name) != 0) {
			continue;
		}
		if (!fits || words.count < command->min_words || words.count > command->max_words) {
			control_reply(client, "error it is: %s%s", command->name, command->arguments);
			return;
		}
		command->run(client, &words);
		return;
	}
	char out[SHOWN_MAX + 1];
	control_reply(client,
		"error \"%s\" is not a command; there are: ping, stats, contexts, outputs, resize, "
		"screenshot",
		shown(name, out));
}
