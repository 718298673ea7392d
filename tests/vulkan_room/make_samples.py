#!/usr/bin/env python3
"""Random packets of every command, and what the decoder must make of them: written from the notation of the wire's table alone.

usage: make_samples.py VKGEN_FOLDER vk.xml handlers.txt google.h OUT TABLE...
OUT is a C file, or an empty folder: then seeds for tests/fuzz/fuzz_vk_decoder.c are made.

The encoder here shares nothing with the generator but the registry's reader, which is asked for enums and for C's names. It interprets the
notation; the decoder is compiled from it. What they disagree about shows.
"""

import os
import random
import re
import struct
import sys

sys.path.insert(0, sys.argv[1])
from vkgen import commands, model, registry, structs, wire  # noqa: E402

SIZES = {'u8': 1, 'ch': 1, 'u16': 2, 'u32': 4, 'i32': 4, 'f32': 4, 'be32': 4, 'u64': 8, 'be64': 8, 'raw8': 8, 'rawptr8': 8}
SAMPLES_EACH = 4


class Table:
    """Rows of the table, members as text."""

    def __init__(self, paths):
        self.structs, self.commands, self.links = {}, {}, []
        for path in paths:
            for row in open(path, encoding='utf-8'):
                cells = row.rstrip('\n').split('\t')
                if cells[0] == 'S':
                    self.structs[cells[1]] = (None if cells[2] == '-' else int(cells[2]), members(cells[4]))
                    if cells[3] == 'ext':
                        self.links.append(cells[1])
                elif cells[0] == 'C' and not cells[5].startswith('(never'):
                    self.commands[cells[2]] = (int(cells[1]), cells[4], members(cells[5]), members(cells[6]))


def members(text):
    parts, depth, word = [], 0, ''
    for char in text + ' ':
        depth += {'(': 1, '[': 1, ')': -1, ']': -1}.get(char, 0)
        if char == ' ' and depth == 0:
            parts += [word] if word not in ('', '-') else []
            word = ''
        else:
            word += char
    return parts


def inside(text):
    """What the outermost brackets hold that `text` starts with, and the rest."""
    depth = 0
    for i, char in enumerate(text):
        depth += {'(': 1, '[': 1, ')': -1, ']': -1}.get(char, 0)
        if depth == 0:
            return text[1:i], text[i + 1:]
    raise ValueError(text)


class Bytes:
    def __init__(self):
        self.data, self.patches = bytearray(), []

    def put(self, kind, value):
        if kind == 'f32':
            self.data += struct.pack('<f', value)
        else:
            order = 'big' if kind.startswith('be') else 'little'
            self.data += (value % (1 << 8 * SIZES[kind])).to_bytes(SIZES[kind], order)

    def handle(self, kind):
        self.patches.append((len(self.data), kind))
        self.data += bytes(8)


class Sampler:
    """Makes one random packet: the request's bytes, the reply's, and the values that C must see."""

    def __init__(self, table, types, seed):
        self.table, self.types, self.random = table, types, random.Random(seed)
        self.request, self.reply = Bytes(), Bytes()
        self.depth = 0

    # `known` holds the members so far; `path` is how C reaches them, None where it cannot; `out` whether they are an output's.

    def scalar(self, kind, name, known, ctype):
        if name in known.get('forced', {}):
            return known['forced'][name]
        if ctype is not None and ctype.enum:
            values = [v for v in self.types.registry.enums[ctype.enum].values() if v >= 0]
            return self.random.choice(values)
        if kind == 'f32':
            return self.random.randrange(-1000, 1000)
        if name == 'descriptorType':
            return self.random.randrange(11)
        if name == 'rasterizationSamples':
            return self.random.choice([1, 2, 8, 32, 64])
        return self.random.getrandbits(8 * SIZES[kind] - (kind == 'i32'))

    def evaluate(self, text, known):
        text = re.sub(r'\((\w+) == descriptorType\)', lambda m: str(
            self.types.registry.enums['VkDescriptorType']['VK_DESCRIPTOR_TYPE_' + m.group(1)] ==
            known['descriptorType']), text)
        text = text.replace('VK_FRAMEBUFFER_CREATE_IMAGELESS_BIT', '1').replace('||', ' or ').replace('/', '//')
        text = text.lstrip('*').replace('pAllocateInfo->', '')
        return eval(text, {}, {**known.get('outer', {}), **known})

    def counts(self, items):
        """Small numbers for members that are counts."""
        text = ' '.join(items)
        return {n: self.random.choice([0, 1, 2, 3]) for e in re.findall(r'\[([^\]]+)\]', text)
                for n in re.findall(r'[A-Za-z_]\w+', e) if n not in ('rasterizationSamples',)}

    def fields(self, items, struct_name, path, known, out):
        """Encodes members; returns checks."""
        known['forced'] = {k: v * 4 if k == 'codeSize' else v for k, v in self.counts(items).items()}
        known['forced'].update(known.get('given', {}))
        for i, text in enumerate(items):
            if 'strv' in text:
                known['forced'][re.match(r'[^:]+:u32', items[i - 1]).group(0)[:-4]] = self.random.choice([0, 1, 3])
        checks = []
        for i, text in enumerate(items):
            known['before'] = items[i - 1] if i else ''
            checks += self.member(text, struct_name, path, known, out)
        return checks

    def ctype(self, struct_name, name):
        found = self.types.structs.get(struct_name)
        return found.c_types.get(name) if found else None

    def member(self, text, struct_name, path, known, out):
        if text.startswith('?'):
            name, rest = text[1:].split('(', 1)
            content, _ = inside('(' + rest)
            present = content != '=0' and (self.random.random() < 0.7 or name.endswith('Count') or 'DataSize' in name)
            self.request.put('be64', self.random.getrandbits(63) + 1 if present else 0)
            if out:
                self.reply.put('be64', int(present))
            known.setdefault('present', {})[name] = present
            if present:
                return self.member(content, struct_name, path, known, out)
            return [(f'{path}{name}', 'NULL')] if path and content != '=0' else []
        if text.startswith('when['):
            condition, rest = inside(text[4:])
            content, _ = inside(rest)
            if self.evaluate(condition, known):
                return self.member(content, struct_name, path, known, out)
            return []
        if text == 'pNext':
            return self.chain(struct_name, path, out)
        star, name, rest = re.fullmatch(r'(\*?)(\w+):(.*)', text).groups()
        return self.content(name, rest, star, struct_name, path, known, out)

    def content(self, name, rest, star, struct_name, path, known, out):
        number, kind = None, rest
        if rest.startswith('['):
            expression, kind = inside(rest)
            number = self.evaluate(expression, known)
        if kind == 'str':
            return self.string(f'{path}{name}' if path else None)
        if kind == 'strv':
            return self.strings(name, path, known)
        checks = []
        for i in range(1 if number is None else number):
            base = f'((const uint8_t *){path}{name})' if kind == 'u8' and (star or number is not None) else f'{path}{name}'
            at = None if not path else f'{base}[{i}]' if number is not None else f'(*{base})' if star else base
            checks += self.one(kind, name, struct_name, at, known, out, number is not None)
        return checks

    def one(self, kind, name, struct_name, at, known, out, is_element):
        if kind.startswith('H.'):
            return self.handle(kind[2:], at, out, struct_name)
        if kind.startswith('Vk'):
            return self.structure(kind, at, known, out)
        ctype = self.ctype(struct_name, name)
        value = self.scalar(kind, name, known, ctype)
        if not is_element:
            known[name] = value
        self.request.put(kind, value)
        if out:
            # Bytes that nobody has written come back, too.
            comes_back = kind == 'u8' and struct_name not in self.types.structs
            self.put_reply(kind, name, value, known, comes_back)
        if at is None or out or kind.startswith('raw') or name == 'sType' or name.startswith('has') and kind == 'be32':
            return []
        if ctype is not None and ctype.name.startswith('PFN_'):
            return [(at, 'NULL')]
        value = int(value != 0) if ctype is not None and ctype.is_bool else value
        return [(at, c_value(kind, value))]

    def put_reply(self, kind, name, value, known, comes_back):
        """Outputs come back as zeros; counts as they went."""
        self.reply.put(kind, value if comes_back or name in known['forced'] else 0)

    def handle(self, kind, at, out, struct_name):
        if kind == 'in':
            self.request.put('u64', self.random.getrandbits(64))
            return []
        self.request.handle(kind)
        return [(f'(uint64_t){at}', f'NEEP_STUB_HANDLE({model.type_constant(kind)})')] if at else []

    def string(self, at):
        text = ''.join(self.random.choice('abcdefgh') for _ in range(self.random.randrange(6)))
        self.request.put('be32', len(text))
        self.request.data += text.encode()
        return [(at, '"' + text)] if at else []

    def strings(self, name, path, known):
        count = known[re.match(r'\w+', known['before']).group(0)]
        self.request.put('be32', count)
        return [c for i in range(count) for c in self.string(f'{path}{name}[{i}]' if path else None)]

    def structure(self, name, at, known, out):
        s_type, items = self.table.structs[name]
        inner = {'outer': {k: v for k, v in known.items() if isinstance(v, int)}, 'given': {'commandBufferCount': 2}}
        if s_type is not None:
            inner['given']['sType'] = s_type
        checks = self.fields(items, name, f'{at}.' if at else None, inner, out)
        if name == 'VkDescriptorSetAllocateInfo' or name == 'VkCommandBufferAllocateInfo':
            known.update({k: v for k, v in inner.items() if isinstance(v, int)})
        if out and s_type is not None:
            checks = []
        return checks

    def chain(self, root, path, out):
        """Links are heads first, members last link first."""
        number = self.random.choice([0, 0, 1, 2, 3]) if self.depth == 0 else 0
        found = self.types.structs.get(root)
        able = [n for n in self.table.links if self.fits(n, found, out)]
        links = self.random.sample(able, min(number, len(able)))
        for name in links:
            for side in [self.request] + ([self.reply] if out else []):
                side.put('be32', 0xc0ffee if side is self.request else 0)
                if side is self.reply:
                    side.patches.append((len(side.data) - 4, 'size'))
                side.put('u32', self.table.structs[name][0])
                side.put('u32', self.table.structs[name][0])
        self.request.put('be32', 0)
        if out:
            self.reply.put('be32', 0)
        checks = []
        self.depth += 1
        for name in reversed(links):
            items = [t for t in self.table.structs[name][1] if t != 'pNext' and not t.startswith('sType:')]
            checks += self.link(name, items, found, path, out)
        self.depth -= 1
        return checks

    def link(self, name, items, root, path, out):
        link = self.types.structs[name]
        seen = path and not out and not link.is_hidden and root.known is not None and root.known.name in link.extends
        at = f'(({link.c_name} *)find({path}pNext, {link.wire.s_type}u))->' if seen else None
        return self.fields(items, name, at, {}, out)

    def fits(self, name, root, out):
        link = self.types.structs[name]
        may = root is not None and root.known is not None and root.known.name in link.extends
        return link.is_output if out else link.is_link and (may or self.random.random() < 0.02)


def c_value(kind, value):
    if kind == 'f32':
        return f'{value}.0f'
    return f'{value}{"" if kind == "i32" else "ull"}'


def c_bytes(data):
    return ', '.join(str(b) for b in data) or '0'


def patch_list(patches):
    rows = [f'{{ {at}, {"-1" if kind == "size" else model.type_constant(kind)} }}' for at, kind in patches]
    return ', '.join(rows) or '{ 0, 0 }'


class Source:
    def __init__(self, table, types, handlers):
        self.table, self.types, self.handlers = table, types, handlers
        self.lines, self.rows, self.checks = [], [], []

    def data(self, name, data):
        self.lines.append(f'static const uint8_t {name}[] = {{ {c_bytes(data.data)} }};')
        self.lines.append(f'static const struct neep_sample_patch {name}_patches[] = {{ {patch_list(data.patches)} }};')
        return f'{{ {name}, {len(data.data)}, {name}_patches, {len(data.patches)} }}'

    def sample(self, name, n):
        _, _, request, reply = self.table.commands[name]
        sampler = Sampler(self.table, self.types, f'{name} {n}')
        sides = {re.match(r'[?*]?(\w+)', t).group(1): t for t in reply}
        known = {'forced': sampler.counts(request)}
        for i, text in enumerate(request):
            member = re.match(r'[?*]?(\w+)', text).group(1)
            known['before'] = request[i - 1] if i else ''
            self.parameter(sampler, text, known, member in sides)
        for text in reply:
            if text.startswith('ret:'):
                sampler.reply.put({'i32': 'i32'}.get(text[4:], 'u64'), 0)
        return sampler

    def command(self, name, n):
        opcode, flags = self.table.commands[name][:2]
        sampler = self.sample(name, n)
        request_name, reply_name = f'{name}_{n}_request', f'{name}_{n}_reply'
        self.rows.append(f'\t{{ "{name}", {opcode}u, {"true" if "cmdbuf" in flags else "false"}, '
                         f'{self.data(request_name, sampler.request)}, {self.data(reply_name, sampler.reply)} }},')

    @staticmethod
    def parameter(sampler, text, known, out):
        if out and 'H.in' in text:
            count = Source.slots(sampler, text, known)
            for _ in range(count):
                sampler.reply.patches.append((len(sampler.reply.data), 'Instance'))
                sampler.reply.put('u64', 0)
            return
        sampler.member(text, None, None, known, out)

    @staticmethod
    def slots(sampler, text, known):
        """New handles: how many come back."""
        before = len(sampler.request.data)
        sampler.member(text, None, None, known, False)
        size = len(sampler.request.data) - before
        if text.startswith('?'):
            sampler.reply.put('be64', int(known['present'][re.match(r'\w+', text[1:]).group(0)]))
            size -= 8
        return size // 8

    def structure(self, struct_, prototype, n):
        """A reader's own check."""
        s_type, items = self.table.structs[struct_.name]
        sampler = Sampler(self.table, self.types, f'{struct_.name} {n}')
        checks = sampler.structure(struct_.name, 'v', {}, False)
        name = f'{struct_.name}_{n}'
        data = self.data(name, sampler.request)
        lines = [f'static void check_{name}(struct neep_vk_decoder *d, const uint8_t *p) {{',
                 f'\t{struct_.c_name} v = {{ 0 }};', '\t(void)p;']
        call = re.search(r'neep_vk_(load|read)_\w+', prototype).group(0)
        if '_load_' in call:
            lines.append(f'\t{call}(d, p, &v);')
            lines.append(f'\t(void)neep_vk_take(d, {len(sampler.request.data)});')
        else:
            lines.append(f'\t{call}(d, &v);')
        for at, value in checks:
            if value.startswith('"'):
                lines.append(f'\tCHECK_TEXT({at}, {value}");')
            else:
                lines.append(f'\tCHECK({at}, {value});')
        self.checks.append('\n'.join(lines + ['}', '']))
        self.checks.append(f'static const struct neep_sample_struct row_{name} = {{ "{struct_.name}", {data}, check_{name} }};')
        return f'\t&row_{name},'


TYPES = ('NONE INSTANCE PHYSICAL_DEVICE DEVICE QUEUE COMMAND_POOL COMMAND_BUFFER DEVICE_MEMORY BUFFER BUFFER_VIEW IMAGE '
         'IMAGE_VIEW SAMPLER SAMPLER_YCBCR_CONVERSION SHADER_MODULE PIPELINE_CACHE PIPELINE_LAYOUT PIPELINE RENDER_PASS '
         'FRAMEBUFFER DESCRIPTOR_SET_LAYOUT DESCRIPTOR_POOL DESCRIPTOR_SET DESCRIPTOR_UPDATE_TEMPLATE FENCE SEMAPHORE '
         'EVENT QUERY_POOL PRIVATE_DATA_SLOT').split()


def seed(opcode, request):
    data = bytearray(request.data)
    for at, kind in request.patches:
        data[at:at + 8] = bytes([TYPES.index(model.type_constant(kind)[8:])]) + b'\xf0' * 7
    return struct.pack('<BIH', 0, opcode, len(data)) + data


def write_seeds(source, folder):
    """A few commands in each, the shortest sample of each."""
    seeds = []
    for name, row in source.table.commands.items():
        samples = [seed(row[0], source.sample(name, n).request) for n in range(1, 8)]
        seeds.append(min((s for s in samples), key=lambda s: abs(len(s) - 200)))
    for i in range(0, len(seeds), 8):
        with open(f'{folder}/{i // 8:02}', 'wb') as file:
            file.write(b''.join(s for s in seeds[i:i + 8] if len(s) < 2000))


def main():
    _, _, xml, handlers_path, google, out, *paths = sys.argv
    table = Table(paths)
    names = set(re.findall(r'^typedef struct (\w+)', open(google, encoding='utf-8').read(), re.MULTILINE))
    types = model.Types(registry.load(xml), wire.load(paths), names)
    source = Source(table, types, commands.Handlers(handlers_path))
    if os.path.isdir(out):
        write_seeds(source, out)
        return
    for name in table.commands:
        for n in range(SAMPLES_EACH):
            source.command(name, n)
    struct_rows = []
    for struct_ in types.structs.values():
        for purpose, prototype in structs.prototypes(types, struct_):
            if purpose in ('load', 'read', 'read_plain') and struct_.name in table.structs:
                struct_rows += [source.structure(struct_, prototype, n) for n in range(SAMPLES_EACH)]
    with open(out, 'w', encoding='utf-8') as file:
        file.write('#include "vulkan_room/samples.h"\n')
        file.write('\n'.join(source.lines + source.checks))
        file.write('\nconst struct neep_sample neep_samples[] = {\n' + '\n'.join(source.rows) + '\n};\n')
        file.write(f'const size_t neep_sample_count = {len(source.rows)};\n')
        file.write('const struct neep_sample_struct *const neep_struct_samples[] = {\n' + '\n'.join(struct_rows) + '\n};\n')
        file.write(f'const size_t neep_struct_sample_count = {len(struct_rows)};\n')


main()
