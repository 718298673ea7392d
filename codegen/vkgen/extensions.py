"""Device extensions that a guest can be offered: the headers of the build know them, and the wire carries their commands."""

from .text import Lines


def served_commands(registry, wire, handlers):
    known = (registry.command(name) for name in wire.commands if handlers.sections.get(name) != 'refused')
    return {command.name for command in known if command is not None}


def carried(registry, wire, handlers):
    served = served_commands(registry, wire, handlers)
    return sorted(name for name, commands in registry.device_extensions.items()
                  if all(registry.canonical(command) in served for command in commands))


DECLARATION = '''#include <stdbool.h>

/* Whether the structs of a device extension are known and all its commands are served. */
bool neep_vk_extension_is_carried(const char *name);'''

SEARCH = '''
static int compare(const void *key, const void *element) {
	return strcmp(key, *(const char *const *)element);
}

bool neep_vk_extension_is_carried(const char *name) {
	return bsearch(name, carried, sizeof(carried) / sizeof(carried[0]), sizeof(carried[0]), compare) != NULL;
}'''


def definition(names):
    lines = Lines()
    lines.open('static const char *const carried[] =')
    lines.add(*[f'"{name}",' for name in names])
    lines.close('};')
    return lines.text() + SEARCH
