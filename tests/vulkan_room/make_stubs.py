#!/usr/bin/env python3
"""Writes a driver that does nothing, and handlers that do nothing, for tests of the decoder.

usage: make_stubs.py VKGEN_FOLDER vk.xml OUT.c HANDLERS_HEADER...
"""

import re
import sys

sys.path.insert(0, sys.argv[1])
from vkgen import registry, tables, wire  # noqa: E402
from vkgen.wire import Wire  # noqa: E402

HEAD = '''#include "vulkan_room/stubs.h"

struct neep_stub_log neep_stub_log;

static void note(const char *name) {
	neep_stub_log.calls++;
	neep_stub_log.last = name;
}
'''


def parameters(known):
    return ', '.join(p.declaration for p in known.params) or 'void'


def new_handles(reg, known):
    """Lines that fill in the handles that a driver would make."""
    lines = []
    for p in known.params:
        if reg.canonical(p.type) not in reg.handles or not p.is_pointer or p.is_const or '*' in p.length:
            continue
        count = p.length or '1'
        if any(q.name == count and q.is_pointer for q in known.params):
            continue
        lines.append(f'\tfor (uint32_t n = 0; n < {count}; n++) {{')
        lines.append(f'\t\t{p.name}[n] = ({p.type})++neep_stub_log.handles;')
        lines.append('\t}')
    return lines


def driver_stub(reg, known):
    lines = [f'static VKAPI_ATTR {known.result} VKAPI_CALL stub_{known.name}({parameters(known)}) {{']
    lines += [f'\t(void){p.name};' for p in known.params]
    lines += [f'\tnote("{known.name}");'] + new_handles(reg, known)
    if known.result == 'PFN_vkVoidFunction':
        lines.append('\treturn NULL;')
    elif known.result != 'void':
        lines.append(f'\treturn ({known.result})neep_stub_log.result;')
    return '\n'.join(lines + ['}', ''])


def table_stubs(reg, made):
    text = ''
    for level in ('instance', 'device'):
        for _, name, _ in made.members[level]:
            text += driver_stub(reg, reg.commands[name])
        text += f'\nvoid neep_stub_{level}_table(struct neep_vk_{level}_table *table) {{\n'
        for member, name, _ in made.members[level]:
            text += f'\ttable->{member} = stub_{name};\n'
        text += '}\n\n'
    return text


def handler_stubs(path):
    with open(path, encoding='utf-8') as file:
        text = re.sub(r'/\*.*?\*/|//[^\n]*', '', file.read(), flags=re.DOTALL)
    for result, name, args in re.findall(r'^(\w+)\s+(neep_vk_[A-Z]\w+)\(([^)]*)\);', text, re.MULTILINE):
        yield f'__attribute__((weak)) {result} {name}({args}) {{\n'
        for arg in args.split(','):
            yield f'\t(void){re.findall(r"[a-zA-Z_0-9]+", arg)[-1]};\n'
        yield f'\tnote("{name}");\n'
        yield '}\n' if result == 'void' else f'\treturn ({result})neep_stub_log.result;\n}}\n'


def main():
    _, _, xml, out, *headers = sys.argv
    reg = registry.load(xml)
    made = tables.Tables(reg, wire.load([p for p in headers if p.endswith('.tsv')]) or Wire())
    headers = [h for h in headers if h.endswith('.h')]
    with open(out, 'w', encoding='utf-8') as file:
        file.write(''.join(f'#include "vulkan/{h.rsplit("/", 1)[-1]}"\n' for h in headers))
        file.write(HEAD + table_stubs(reg, made))
        for header in headers:
            file.write(''.join(handler_stubs(header)))


main()
