#!/usr/bin/env python3
"""The generator on a tiny registry: its output is the golden one, and bad inputs are named. TAP.

usage: test_codegen.py [--update]    (--update rewrites the golden files)
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TINY = os.path.join(HERE, 'tiny')
GOLDEN = os.path.join(HERE, 'golden')
GENERATE = os.path.join(HERE, '..', '..', 'codegen', 'generate.py')
COMPARED = ('neep_vk_commands.h', 'neep_vk_commands_0.c', 'neep_vk_commands_1.c', 'neep_vk_commands_2.c', 'neep_vk_dispatch.c', 'neep_vk_links.c',
            'neep_vk_structs.h', 'neep_vk_structs_0.c', 'neep_vk_release.c', 'neep_vk_tables.h')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def generate(out, **inputs):
    """Runs the generator on tiny inputs; each can be replaced by a text."""
    arguments, places = [sys.executable, GENERATE, '--out', out], {}
    for name, file in (('registry', 'vk.xml'), ('wire', 'wire.tsv'), ('handlers', 'handlers.txt'), ('google', 'google.h')):
        places[name] = os.path.join(TINY, file)
        if name in inputs:
            places[name] = os.path.join(os.path.dirname(out), file)
            with open(places[name], 'w', encoding='utf-8') as changed:
                changed.write(inputs[name])
        arguments += [f'--{name}', places[name]]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def generator_writes_the_golden_files():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'out')
        done = generate(out)
        if done.returncode != 0:
            return done.stderr
        for name in COMPARED:
            if '--update' in sys.argv:
                with open(os.path.join(GOLDEN, name + '.txt'), 'w', encoding='utf-8') as file:
                    file.write(read(os.path.join(out, name)))
            if read(os.path.join(out, name)) != read(os.path.join(GOLDEN, name + '.txt')):
                return f'{name} differs: look at it, then run with --update'
    return None


def generator_writes_the_same_twice():
    with tempfile.TemporaryDirectory() as folder:
        texts = []
        for run in ('a', 'b'):
            out = os.path.join(folder, run)
            generate(out)
            texts.append([read(os.path.join(out, name)) for name in sorted(os.listdir(out))])
        return None if texts[0] == texts[1] else 'two runs differ'


def refuses(wanted, **inputs):
    """Fails with that message, a single line, and writes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'out')
        done = generate(out, **inputs)
        if done.returncode == 0:
            return 'it succeeded'
        if wanted not in done.stderr or done.stderr.count('\n') != 1:
            return f'it says: {done.stderr}'
        return 'it wrote files' if os.path.exists(out) else None


def changed(file, old, new):
    text = read(os.path.join(TINY, file))
    assert old in text
    return text.replace(old, new, 1)


def bad(wanted, name, file, old, new):
    return lambda: refuses(wanted, **{name: changed(file, old, new)})


CASES = {
    'generator_writes_the_golden_files': generator_writes_the_golden_files,
    'generator_writes_the_same_twice': generator_writes_the_same_twice,
    'generator_refuses_a_registry_that_is_no_xml':
        lambda: refuses('cannot be read as the Vulkan registry', registry='<registry'),
    'generator_refuses_another_kind_of_xml':
        lambda: refuses('its root is <svg>', registry='<svg/>'),
    'generator_refuses_a_registry_without_structure_types':
        lambda: refuses('has no enum VkStructureType', registry='<registry/>'),
    'generator_refuses_a_member_that_the_registry_lacks':
        bad('VkThingCreateInfo: the registry has no member older', 'registry', 'vk.xml', '<name>older</name>',
            '<name>elder</name>'),
    'generator_refuses_an_unknown_type':
        bad('"u31" is no type', 'wire', 'wire.tsv', 'x:i32', 'x:u31'),
    'generator_refuses_a_struct_without_a_row':
        bad('is a VkPlace, which has no row', 'wire', 'wire.tsv', '[pointCount]VkPoint', '[pointCount]VkPlace'),
    'generator_refuses_a_short_row':
        bad('wire.tsv:5: a row starts with C or S', 'wire', 'wire.tsv', 'S\tVkPoint\t-\t-\t', 'S\tVkPoint\t-\t'),
    'generator_refuses_an_open_bracket':
        bad('a bracket is not closed', 'wire', 'wire.tsv', '(pPoints:[pointCount]VkPoint)', '(pPoints:[pointCount]VkPoint'),
    'generator_refuses_a_struct_that_contains_itself':
        bad('contains itself', 'wire', 'wire.tsv', 'x:i32 y:i32', 'x:VkPoint y:i32'),
    'generator_refuses_a_handler_of_no_command':
        bad('vkCountNothing is no command of the wire', 'handlers', 'handlers.txt', 'vkCountThingsGOOGLE', 'vkCountNothing'),
    'generator_refuses_a_handler_that_stands_twice':
        bad('handlers.txt:3: vkCountThingsGOOGLE stands twice', 'handlers', 'handlers.txt', 'vkCountThingsGOOGLE\n',
            'vkCountThingsGOOGLE\nvkCountThingsGOOGLE\n'),
    'generator_refuses_a_handler_with_an_unknown_mark':
        bad('vkCountThingsGOOGLE may be followed by "passes" alone', 'handlers', 'handlers.txt', 'vkCountThingsGOOGLE\n',
            'vkCountThingsGOOGLE hurries\n'),
    'generator_refuses_a_handler_in_no_section':
        bad('stands in no [section]', 'handlers', 'handlers.txt', '[thing]\n', ''),
}


def main():
    status = 0
    for number, (name, case) in enumerate(CASES.items(), 1):
        why = case()
        print(f'{"ok" if why is None else "not ok"} {number} - {name}')
        if why is not None:
            status = 1
            print('\n'.join('# ' + line for line in why.splitlines()))
    print(f'1..{len(CASES)}')
    return status


sys.exit(main())
