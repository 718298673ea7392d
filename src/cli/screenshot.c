#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/fd.h"

#define SCANOUT_WORD_MAX 16

struct screenshot {
	const char *control;
	const char *scanout;
	const char *file; // "-": standard output
	bool with_cursor;
};

static const char help[] = "Usage: neep screenshot [OPTION]... FILE\n"
			   "Writes what a scanout shows to FILE as PNG; - is the standard output.\n"
			   "  --control PATH     the device's control socket\n"
			   "  --scanout N        which scanout (default 0)\n"
			   "  --cursor           draw the cursor too\n"
			   "  --output, -o FILE  the same as FILE";

/* Returns -1 to go on, or an exit code. */
static int read_words(struct screenshot *shot, int argc, char **argv) {
	static const struct option options[] = {
		{ "control", required_argument, NULL, 'c' },
		{ "cursor", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ "output", required_argument, NULL, 'o' },
		{ "scanout", required_argument, NULL, 's' },
		{ 0 },
	};
	for (int value; (value = getopt_long(argc, argv, ":o:", options, NULL)) >= 0;) {
		switch (value) {
		case 'c':
			shot->control = optarg;
			break;
		case 'p':
			shot->with_cursor = true;
			break;
		case 'h':
			puts(help);
			return CLI_OK;
		case 'o':
			shot->file = optarg;
			break;
		case 's':
			shot->scanout = optarg;
			break;
		default:
			return cli_bad_option(argv[0], value, argv);
		}
	}
	if (shot->file == NULL && optind < argc) {
		shot->file = argv[optind++];
	}
	if (optind < argc) {
		return cli_usage(argv[0], "\"%s\" is one word too many", argv[optind]);
	}
	return -1;
}

static int copy_all(int from, int to) {
	char buf[65536];
	off_t offset = 0;
	for (;;) {
		ssize_t got = pread(from, buf, sizeof(buf), offset);
		if (got <= 0) {
			return got < 0 ? -errno : 0;
		}
		for (ssize_t done = 0; done < got;) {
			ssize_t written = write(to, buf + done, (size_t)(got - done));
			if (written < 0 && errno != EINTR) {
				return -errno;
			}
			done += written > 0 ? written : 0;
		}
		offset += got;
	}
}

/* Under another name first: whoever watches FILE sees a whole picture or none. */
static int copy_to_file(int from, const char *file) {
	size_t size = strlen(file) + sizeof(".XXXXXX");
	char *name = malloc(size);
	if (name == NULL) {
		return -ENOMEM;
	}
	snprintf(name, size, "%s.XXXXXX", file);
	neep_autoclose int to = mkostemp(name, O_CLOEXEC);
	int result = to < 0 ? -errno : copy_all(from, to);
	if (result == 0) {
		mode_t mask = umask(0);
		umask(mask);
		result = fchmod(to, 0666 & ~mask) < 0 || rename(name, file) < 0 ? -errno : 0;
	}
	if (result < 0 && to >= 0) {
		unlink(name);
	}
	free(name);
	return result;
}

static int take(const struct screenshot *shot, const char *command) {
	char line[SCANOUT_WORD_MAX + 32];
	char answer[CLI_ANSWER_MAX];
	struct neep_error error;
	/* Memory, because the device writes to nothing that could make it wait. */
	neep_autoclose int memory = memfd_create("screenshot", MFD_CLOEXEC);
	if (memory < 0) {
		return cli_fail(command, "no memory for the picture: %s", strerror(errno));
	}
	snprintf(line, sizeof(line), "screenshot %.*s%s\n", SCANOUT_WORD_MAX, shot->scanout,
		shot->with_cursor ? " cursor" : "");
	if (cli_control(shot->control, line, memory, answer, &error) < 0) {
		return cli_fail(command, "%s", error.text);
	}
	bool is_stdout = strcmp(shot->file, "-") == 0;
	int result = is_stdout ? copy_all(memory, STDOUT_FILENO) : copy_to_file(memory, shot->file);
	if (result < 0) {
		return cli_fail(command, "cannot write %s: %s", shot->file, strerror(-result));
	}
	return CLI_OK;
}

int cli_screenshot(int argc, char **argv) {
	struct screenshot shot = { .scanout = "0" };
	opterr = 0;
	int code = read_words(&shot, argc, argv);
	if (code >= 0) {
		return code;
	}
	if (shot.control == NULL) {
		return cli_usage(argv[0], "give --control PATH, the device's control socket");
	}
	if (shot.file == NULL) {
		return cli_usage(argv[0], "name the file to write, or - for the standard output");
	}
	return take(&shot, argv[0]);
}
