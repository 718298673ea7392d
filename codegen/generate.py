#!/usr/bin/env python3
"""Writes the Vulkan decoder in C.

usage: generate.py --registry vk.xml --wire TABLE... --handlers handlers.txt --google google.h --out FOLDER

The table of the wire (gfxstream-vk-wire.tsv) is the truth about layouts. The registry gives C types, aliases and who may extend whom; what
it does not know is decoded all the same, and kept from the driver. Output is written only when everything was understood.
"""

import argparse
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from vkgen import commands, derive, extensions, model, registry, structs, tables, wire  # noqa: E402
from vkgen.errors import InputError  # noqa: E402
from vkgen.text import header, source  # noqa: E402

STRUCT_FILES = 3
COMMAND_FILES = 3


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--registry', required=True)
    parser.add_argument('--wire', required=True, nargs='+')
    parser.add_argument('--handlers', required=True)
    parser.add_argument('--google', required=True, help="header with the structs that Khronos' headers lack")
    parser.add_argument('--out', required=True)
    return parser.parse_args()


def google_names(path):
    with open(path, encoding='utf-8') as file:
        return set(re.findall(r'^typedef struct (\w+)', file.read(), re.MULTILINE))


def cut(parts, number):
    """Into `number` runs of about the same length."""
    total, runs, run, length = sum(map(len, parts)), [], [], 0
    for part in parts:
        run.append(part)
        length += len(part)
        if length >= total / number and len(runs) < number - 1:
            runs.append(run)
            run, length = [], 0
    return runs + [run] + [[]] * (number - len(runs) - 1)


class Output:
    def __init__(self):
        self.files = {}

    def write(self, folder):
        os.makedirs(folder, exist_ok=True)
        for name, text in self.files.items():
            with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
                file.write(text)


def emit_tables(output, reg, table):
    made = tables.Tables(reg, table)
    output.files['neep_vk_tables.h'] = header(
        'neep_vk_tables.h', ['"vulkan/google.h"'], made.declarations())
    output.files['neep_vk_tables.c'] = source(
        ['"neep_vk_tables.h"', '<string.h>'], made.definitions())


def emit_release(output, reg, table):
    declared, defined = commands.release_source(reg, table)
    note = '/* What destroys the driver\'s objects: for struct neep_vk_object_params.release. */'
    output.files['neep_vk_release.h'] = header(
        'neep_vk_release.h', ['"vulkan/object.h"'], '\n'.join([note] + declared))
    output.files['neep_vk_release.c'] = source(['"neep_vk_release.h"', '"vulkan/device.h"'], defined)


def emit_extensions(output, reg, table, handlers):
    names = extensions.carried(reg, table, handlers)
    output.files['neep_vk_extensions.h'] = header('neep_vk_extensions.h', [], extensions.DECLARATION)
    output.files['neep_vk_extensions.c'] = source(
        ['"neep_vk_extensions.h"', '<stdlib.h>', '<string.h>'], extensions.definition(names))


def emit_structs(output, types):
    found = structs.functions(types)
    declared, defined = structs.enum_tables(types)
    body = structs.own_structs(types) + [p + ';' for p, _ in found]
    output.files['neep_vk_structs.h'] = header('neep_vk_structs.h', ['"vulkan/marshal.h"'], '\n'.join(body + declared))
    for i, run in enumerate(cut([text for _, text in found], STRUCT_FILES)):
        output.files[f'neep_vk_structs_{i}.c'] = source(['"neep_vk_structs.h"'], '\n'.join(run))
    output.files['neep_vk_links.c'] = source(
        ['"neep_vk_structs.h"'], '\n'.join(structs.size_checks(types) + defined + structs.link_table(types)))


def command_rows(table):
    """Each command once, with the opcodes of its old names too."""
    rows = {}
    for row in table.commands.values():
        target = row.status.split('->')[1] if row.status.startswith('alias->') else row.name
        rows.setdefault(target, []).append(row)
    return rows


def emit_commands(output, types, handlers, table):
    rows = command_rows(table)
    unknown = set(handlers.sections) - set(table.commands) - {'vkMapMemory', 'vkUnmapMemory'}
    if unknown:
        raise InputError(f'handlers.txt: {sorted(unknown)[0]} is no command of the wire')
    texts, entries = [], []
    for name, same in rows.items():
        command = commands.Command(types, handlers, table.commands[name])
        texts.append(commands.CommandSource(types, command).text())
        entries += [(row.opcode, row, name) for row in same]
    includes = ['"neep_vk_commands.h"', '"neep_vk_release.h"', '"neep_vk_structs.h"']
    includes += [f'"vulkan/handlers_{section}.h"' for section in handlers.files()]
    for i, run in enumerate(cut(texts, COMMAND_FILES)):
        text = '\n'.join(run).replace('static void run_', 'void neep_vk_run_')
        output.files[f'neep_vk_commands_{i}.c'] = source(includes, text)
    emit_dispatch(output, rows, sorted(entries, key=lambda e: e[0]), handlers.passing)


def emit_dispatch(output, rows, entries, passing):
    old = {opcode: (row, name) for opcode, row, name in entries if opcode < OLD_END}
    new = [(opcode, row, name) for opcode, row, name in entries if opcode >= OLD_END]
    first, last = min(old), max(old)
    lines = ['const struct neep_vk_command neep_vk_old_commands[] = {']
    lines += [f'\t[{opcode - first}] = {command_row(opcode, row, name, passing)},' for opcode, (row, name) in old.items()]
    lines += ['};', '', 'static const struct neep_vk_command new_commands[] = {']
    lines += [f'\t{command_row(opcode, row, name, passing)},' for opcode, row, name in new]
    lines += ['};', FIND_NEW]
    output.files['neep_vk_dispatch.c'] = source(['"neep_vk_commands.h"'], '\n'.join(lines))
    prototypes = [f'void neep_vk_run_{name}(struct neep_vk_decoder *d);' for name in rows]
    output.files['neep_vk_commands.h'] = header('neep_vk_commands.h', ['"vulkan/decoder.h"'],
                                                '\n'.join(prototypes) + FIND % {'first': first, 'last': last})


def command_row(opcode, row, name, passing):
    flags = [flag for flag, is_set in (('NEEP_VK_IS_RELAXED', 'relaxed' in row.flags),
                                       ('NEEP_VK_IS_RECORDED', 'cmdbuf' in row.flags),
                                       ('NEEP_VK_PASSES', name in passing)) if is_set]
    return f'{{ {opcode}u, {" | ".join(flags) or 0}, "{row.name}", neep_vk_run_{name} }}'


# Below are the old opcodes, which are dense.
OLD_END = 30000

FIND = '''

extern const struct neep_vk_command neep_vk_old_commands[];
const struct neep_vk_command *neep_vk_new_command_find(uint32_t opcode);

/* NULL for an opcode that is not known. */
static inline const struct neep_vk_command *neep_vk_command_find(uint32_t opcode) {
	if (opcode - %(first)du > %(last)du - %(first)du) {
		return neep_vk_new_command_find(opcode);
	}
	const struct neep_vk_command *command = &neep_vk_old_commands[opcode - %(first)du];
	return command->run != NULL ? command : NULL;
}
'''

FIND_NEW = '''
const struct neep_vk_command *neep_vk_new_command_find(uint32_t opcode) {
	uint32_t low = 0;
	uint32_t high = sizeof(new_commands) / sizeof(new_commands[0]);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (new_commands[middle].opcode < opcode) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < sizeof(new_commands) / sizeof(new_commands[0]) && new_commands[low].opcode == opcode
		       ? &new_commands[low]
		       : NULL;
}'''


def main():
    arguments = parse_arguments()
    try:
        reg = registry.load(arguments.registry)
        table = wire.load(arguments.wire)
        handlers = commands.Handlers(arguments.handlers)
        types = model.Types(reg, table, google_names(arguments.google))
        output = Output()
        emit_tables(output, reg, table)
        emit_release(output, reg, table)
        emit_commands(output, types, handlers, table)
        emit_structs(output, types)
        emit_extensions(output, reg, table, handlers)
    except (InputError, derive.Underivable, OSError) as error:
        sys.exit(f'generate.py: {error}')
    output.write(arguments.out)


if __name__ == '__main__':
    main()
