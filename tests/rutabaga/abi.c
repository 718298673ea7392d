/* Whether a program compiled against a published rutabaga_gfx_ffi.h means what our library does: names, values and layouts of
 * abi.tsv against our header, and the functions' names against the library given as an argument. Prints TAP. */
#define RUTABAGA_GFX_FFI_UNSTABLE
#include <dlfcn.h>
#include <rutabaga_gfx/rutabaga_gfx_ffi.h>
#include <stddef.h>
#include <stdio.h>

struct group {
	const char *title;
	void (*check)(void);
};

static void *library;
static int facts, wrong;

static bool is_exported(const char *name) {
	return dlsym(library, name) != NULL;
}

static void fact(const char *name, bool holds) {
	facts++;
	wrong += !holds;
	if (!holds) {
		printf("# %s is not as published\n", name);
	}
}

#include "abi_facts.h"

int main(int argc, char **argv) {
	library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	if (library == NULL) {
		printf("Bail out! no library: %s\n", argc == 2 ? dlerror() : "name it");
		return 1;
	}
	int count = sizeof(groups) / sizeof(groups[0]);
	for (int i = 0; i < count; i++) {
		facts = wrong = 0;
		groups[i].check();
		printf("%sok %d - %s (%d facts)\n", wrong > 0 ? "not " : "", i + 1, groups[i].title, facts);
	}
	printf("1..%d\n", count);
	dlclose(library);
	return 0;
}
