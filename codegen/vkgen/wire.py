"""The table of the wire: its rows, and the notation of members that its legend explains."""

import re
from dataclasses import dataclass, field

from .errors import InputError

SCALARS = {'u8': 1, 'ch': 1, 'u16': 2, 'u32': 4, 'i32': 4, 'f32': 4, 'be32': 4, 'u64': 8, 'be64': 8, 'raw8': 8,
           'rawptr8': 8}


@dataclass
class Item:
    """A member, in the order of the wire."""
    name: str
    kind: str               # scalar, handle, slot, str, strv, struct, pnext, null or ret
    type: str = ''          # of SCALARS, a handle's without Vk, or a struct's name
    is_pointer: bool = False    # to one
    count: str = ''         # of an array: a number (then the array is in place) or an expression
    is_optional: bool = False   # a presence word comes first
    when: str = ''          # the content is there only if

    @property
    def is_static(self):
        return self.count.isdigit()

    @property
    def is_array(self):
        return bool(self.count) and not self.is_static


@dataclass
class WireStruct:
    name: str
    s_type: int             # None: it has none
    is_forwarded: bool      # in chains
    items: list


@dataclass
class WireCommand:
    opcode: int
    name: str
    status: str
    flags: set
    request: list
    reply: list


@dataclass
class Wire:
    structs: dict = field(default_factory=dict)
    commands: dict = field(default_factory=dict)


def split_top(text):
    """Splits at spaces outside of brackets."""
    parts, depth, current = [], 0, ''
    for char in text:
        depth += (char in '([') - (char in ')]')
        if char == ' ' and depth == 0:
            parts.append(current)
            current = ''
        else:
            current += char
    return [part for part in parts + [current] if part]


def closing(text, start):
    """The index of the bracket that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in '([') - (text[i] in ')]')
        if depth == 0:
            return i
    raise ValueError('a bracket is not closed')


def parse_type(item, text):
    if text in SCALARS:
        item.kind, item.type = 'scalar', text
    elif text in ('str', 'strv'):
        item.kind = text
    elif text == 'H.in':
        item.kind = 'slot'
    elif text.startswith('H.'):
        item.kind, item.type = 'handle', text[2:]
    elif re.fullmatch(r'Vk\w+', text):
        item.kind, item.type = 'struct', text
    else:
        raise ValueError(f'"{text}" is no type')
    return item


def parse_item(text):
    if text == 'pNext':
        return Item('pNext', 'pnext')
    if text.startswith('?'):
        end = text.index('(')
        inner = text[end + 1:closing(text, end)]
        item = Item(text[1:end], 'null') if inner == '=0' else parse_item(inner)
        item.is_optional = True
        return item
    if text.startswith('when['):
        end = closing(text, 4)
        item = parse_item(text[end + 2:closing(text, end + 1)])
        item.when = text[5:end]
        return item
    is_pointer = text.startswith('*')
    name, rest = text[is_pointer:].split(':', 1)
    item = Item(name, '', is_pointer=is_pointer)
    if rest.startswith('['):
        end = closing(rest, 0)
        item.count, rest = rest[1:end], rest[end + 1:]
    return parse_type(item, rest)


def parse_items(text):
    return [] if text == '-' else [parse_item(part) for part in split_top(text)]


def parse_command(cells):
    opcode, name, status, flags, request, reply = cells
    return WireCommand(int(opcode), name, status, set(flags.split(',')) - {'-'}, parse_items(request),
                       parse_items(reply))


def parse_struct(cells):
    name, s_type, forwarded, items = cells
    return WireStruct(name, None if s_type == '-' else int(s_type), forwarded == 'ext', parse_items(items))


def parse_row(wire, row):
    cells = row.split('\t')
    if cells[0] == 'C' and len(cells) == 7:
        if not cells[5].startswith('(never'):
            command = parse_command(cells[1:])
            wire.commands[command.name] = command
    elif cells[0] == 'S' and len(cells) == 5:
        struct = parse_struct(cells[1:])
        wire.structs[struct.name] = struct
    else:
        raise ValueError('a row starts with C or S and has 7 or 5 cells')


def load(paths):
    wire = Wire()
    for path in paths:
        with open(path, encoding='utf-8') as file:
            for line, row in enumerate(file, 1):
                if row.startswith('#') or not row.strip():
                    continue
                try:
                    parse_row(wire, row.rstrip('\n'))
                except ValueError as error:
                    raise InputError(f'{path}:{line}: {error}') from error
    check_references(wire)
    return wire


def check_references(wire):
    rows = [(s.name, s.items) for s in wire.structs.values()]
    rows += [(c.name, c.request + c.reply) for c in wire.commands.values()]
    for name, items in rows:
        for item in items:
            if item.kind == 'struct' and item.type not in wire.structs:
                raise InputError(f'{name}: {item.name} is a {item.type}, which has no row')
