"""C statements that read, shape and write members. A member lives in a struct (`v->name`) or is a parameter (`name`)."""

import re

from .errors import InputError
from .model import PLAIN_C, type_constant
from .wire import SCALARS

LOADS = {'u32': 'neep_vk_load32(p + {0})', 'i32': 'neep_vk_load32(p + {0})', 'f32': 'neep_vk_load_float(p + {0})',
         'u64': 'neep_vk_load64(p + {0})', 'u16': 'neep_vk_load16(p + {0})', 'u8': 'p[{0}]', 'ch': 'p[{0}]',
         'be64': 'be64toh(neep_vk_load64(p + {0}))', 'be32': 'be32toh(neep_vk_load32(p + {0}))'}

DESCRIPTOR = re.compile(r'\((\w+) == descriptorType\)')


class InStruct:
    """Members are those of `v`."""

    def __init__(self, types, struct):
        self.types, self.struct = types, struct

    def lhs(self, item):
        return f'v->{item.name}'

    def c_type(self, item):
        return self.struct.c_types[item.name]

    def expression(self, text):
        """A count or a condition of the wire's notation as C."""
        text = DESCRIPTOR.sub(r'v->descriptorType == VK_DESCRIPTOR_TYPE_\1', text)
        names = {i.name for i in self.struct.items}
        return re.sub(r'(?<![\w>])(\w+)\b', lambda m: self.name(m.group(1), names), text)

    def name(self, word, names):
        if word in ('hasRasterization', 'hasTessellation') or word not in names:
            return word
        return f'v->{word}'


def fixed_size(types, item):
    """Bytes of an item that is always there with the same size, or None."""
    if item.is_optional or item.when or item.kind in ('pnext', 'str', 'strv', 'null') or item.is_array:
        return None
    size, is_fixed = types.measure_item(item)
    return size if is_fixed else None


def runs(types, items):
    """Groups neighbours of fixed size: (bytes, [(item, offset)]) or (None, item)."""
    group, offset, result = [], 0, []
    for item in items:
        size = fixed_size(types, item)
        if size is not None:
            group.append((item, offset))
            offset += size
            continue
        if group:
            result.append((offset, group))
        group, offset = [], 0
        result.append((None, item))
    if group:
        result.append((offset, group))
    return result


def load_scalar(item, c_type, at):
    text = LOADS[item.type].format(at)
    if c_type.is_bool:
        return f'{text} != 0'
    if c_type.enum and c_type.is_ignorable:
        return f'({c_type.name})neep_vk_enum_or_zero({text}, &neep_vk_enum_{c_type.enum})'
    if c_type.enum:
        return f'({c_type.name})neep_vk_enum(d, {text}, &neep_vk_enum_{c_type.enum})'
    if c_type.name in ('uint32_t', 'uint64_t', 'float', 'size_t', 'uint8_t', 'uint16_t'):
        return text
    return f'({c_type.name}){text}'


def load_handle(item, c_type, at):
    return f'(Vk{item.type})neep_vk_handle(d, neep_vk_load64(p + {at}), {type_constant(item.type)}, {c_type.need})'


class Reader:
    """Reads the members of input structs, and input parameters alike."""

    def __init__(self, types, place, out):
        self.types, self.place, self.out = types, place, out

    def items(self, items):
        for size, group in runs(self.types, items):
            if size is None:
                self.variable(group)
            else:
                self.run(size, group)

    def take(self, size):
        self.out.add(f'p = neep_vk_take(d, {size});')
        self.out.open('if (p == NULL)')
        self.out.add('return;')
        self.out.close()

    def run(self, size, group):
        self.take(size)
        for item, offset in group:
            self.fixed(item, offset)

    def enum(self, c_type):
        if c_type.enum:
            self.types.enums.add(c_type.enum)

    def fixed(self, item, at):
        c_type, lhs, out = self.place.c_type(item), self.place.lhs(item), self.out
        self.enum(c_type)
        if item.kind == 'scalar' and item.is_static:
            out.add(f'memcpy({lhs}, p + {at}, {int(item.count) * SCALARS[item.type]});')
        elif item.kind == 'scalar' and item.is_pointer:
            self.pointed_scalar(item, c_type, lhs, at)
        elif item.kind == 'scalar' and item.name in ('hasRasterization', 'hasTessellation'):
            out.add(f'const bool {item.name} = neep_vk_load32(p + {at}) != 0;')
        elif item.kind == 'scalar' and c_type.name.startswith('PFN_'):
            out.add(f'{lhs} = NULL;')
        elif item.kind == 'scalar' and item.type.startswith('raw'):
            pass
        elif item.kind == 'scalar':
            out.add(f'{lhs} = {load_scalar(item, c_type, at)};')
        elif item.kind == 'handle':
            out.add(f'{lhs} = {load_handle(item, c_type, at)};')
        elif item.kind == 'struct':
            self.fixed_struct(item, lhs, at)
        else:
            raise InputError(f'{item.name}: a {item.kind} cannot stand here')

    def pointed_scalar(self, item, c_type, lhs, at):
        name = c_type.name
        self.out.add(f'{name} *{item.name} = neep_vk_alloc(d, sizeof(*{item.name}));')
        self.out.open(f'if ({item.name} != NULL)')
        value = f'neep_vk_load{"64" if SCALARS[item.type] == 8 else "32"}(p + {at})' if item.type != 'u8' else f'p[{at}]'
        self.out.add(f'*{item.name} = ({name}){value};')
        self.out.close()
        self.out.add(f'{lhs} = {item.name};')

    def fixed_struct(self, item, lhs, at):
        struct = self.types.structs[item.type]
        if item.is_pointer:
            self.out.add(f'{struct.c_name} *{item.name} = neep_vk_alloc(d, sizeof(*{item.name}));')
            self.out.open(f'if ({item.name} != NULL)')
            self.load(struct, item.name, at)
            self.out.close()
            self.out.add(f'{lhs} = {item.name};')
        elif item.is_static:
            self.out.open(f'for (uint32_t i = 0; i < {item.count}; i++)')
            self.load(struct, f'&{lhs}[i]', f'{at} + i * {struct.fixed}')
            self.out.close()
        else:
            self.load(struct, f'&{lhs}', at)

    def load(self, struct, target, at):
        if self.types.is_flat(struct, True):
            self.out.add(f'memcpy({target}, p + {at}, {struct.fixed});')
        else:
            self.out.add(f'neep_vk_load_{struct.name}(d, p + {at}, {target});')

    def variable(self, item):
        if item.kind == 'null':
            self.out.add('neep_vk_get_allocator(d);')
        elif item.kind == 'pnext':
            raise InputError('pNext cannot stand here')
        elif item.is_optional:
            self.out.open('if (neep_vk_present(d))')
            self.conditional(item)
            self.out.close()
        else:
            self.conditional(item)

    def conditional(self, item):
        if item.when:
            self.out.open(f'if ({self.place.expression(item.when)})')
            self.content(item)
            self.out.close()
        else:
            self.content(item)

    def content(self, item):
        lhs = self.place.lhs(item)
        if item.kind == 'str':
            self.out.add(f'{lhs} = neep_vk_get_string(d);')
        elif item.kind == 'strv':
            self.out.add(f'{lhs} = neep_vk_get_strings(d, {self.place.expression(self.count_before(item))});')
        elif item.is_array:
            self.array(item, lhs)
        elif item.kind == 'struct':
            self.struct(item, lhs)
        else:
            size = self.types.element(item)[0]
            self.take(size)
            self.fixed(item, 0)

    def count_before(self, item):
        """Of an array of strings: the member before it, by the registry."""
        items = self.place.struct.items
        return items[items.index(item) - 1].name

    def struct(self, item, lhs):
        struct = self.types.structs[item.type]
        if item.is_pointer:
            self.out.add(f'{struct.c_name} *{item.name} = neep_vk_alloc(d, sizeof(*{item.name}));')
            self.out.open(f'if ({item.name} != NULL)')
            self.read(struct, item.name)
            self.out.close()
            self.out.add(f'{lhs} = {item.name};')
        elif item.is_static:
            self.out.open(f'for (uint32_t i = 0; i < {item.count}; i++)')
            self.read(struct, f'&{lhs}[i]')
            self.out.close()
        else:
            self.read(struct, f'&{lhs}')

    def read(self, struct, target):
        """Of any size: what `target` points to."""
        if struct.fixed is None:
            self.out.add(f'neep_vk_read_{struct.name}(d, {target});')
            return
        self.take(struct.fixed)
        self.load(struct, target, 0)

    def array(self, item, lhs):
        count = self.place.expression(item.count)
        c_type = self.place.c_type(item)
        self.enum(c_type)
        if item.kind == 'handle':
            self.out.add(f'{lhs} = neep_vk_get_handles(d, {count}, {type_constant(item.type)}, {c_type.need});')
        elif item.kind == 'scalar':
            self.scalar_array(item, c_type, lhs, count)
        else:
            self.struct_array(item, c_type, lhs, count)

    def scalar_array(self, item, c_type, lhs, count):
        size = SCALARS[item.type]
        cast = f'(const {c_type.name} *)' if c_type.enum else ''
        if item.type == 'be64':
            raise InputError(f'{item.name}: arrays of big-endian numbers are not known')
        if c_type.is_bool:
            self.out.add(f'{lhs} = neep_vk_get_bools(d, {count});')
        elif c_type.enum:
            self.out.add(f'{lhs} = {cast}neep_vk_get_enums(d, {count}, &neep_vk_enum_{c_type.enum});')
        elif c_type.is_const:
            self.out.add(f'{lhs} = neep_vk_get_flat(d, {count}, {size}, {size});')
        else:
            self.out.add(f'{lhs} = neep_vk_get_copy(d, {count}, {size});')

    def struct_array(self, item, c_type, lhs, count):
        struct = self.types.structs[item.type]
        c_name = struct.c_name
        if self.types.is_flat(struct, True):
            align = self.types.alignment(struct)
            call = f'neep_vk_get_flat(d, {count}, {struct.fixed}, {align})' if c_type.is_const else \
                f'neep_vk_get_copy(d, {count}, {struct.fixed})'
            self.out.add(f'{lhs} = {call};')
            return
        name = item.name + '_array'
        self.out.add(f'{c_name} *{name} = neep_vk_get_array(d, {count}, sizeof(*{name}), {struct.smallest});')
        self.out.open(f'for (uint32_t i = 0; {name} != NULL && i < {count}; i++)')
        self.read(struct, f'&{name}[i]')
        self.out.close()
        self.out.add(f'{lhs} = {name};')


class Shaper:
    """Passes over the members of an output struct; keeps counts, and makes room for the arrays."""

    def __init__(self, types, place, out):
        self.types, self.place, self.out = types, place, out
        self.rooms = 0

    def items(self, items):
        counts = {i.count for i in items if i.is_array}
        for size, group in runs(self.types, items):
            if size is None:
                self.variable(group)
                continue
            kept = [(i, at) for i, at in group if i.name in counts]
            if not kept:
                self.out.add(f'(void)neep_vk_take(d, {size});')
                continue
            Reader(self.types, self.place, self.out).take(size)
            for item, at in kept:
                self.out.add(f'{self.place.lhs(item)} = {load_scalar(item, self.place.c_type(item), at)};')
                self.out.add(f'room[{self.rooms}] = {self.place.lhs(item)};')
                self.rooms += 1
                if self.rooms > 2:
                    raise InputError(f'{item.name}: struct neep_vk_out has room for two counts')

    def variable(self, item):
        if item.is_optional:
            self.out.open('if (neep_vk_present(d))')
        if item.is_array and item.kind in ('scalar', 'struct'):
            self.array(item)
        elif item.kind == 'scalar':
            self.out.add(f'(void)neep_vk_take(d, {SCALARS[item.type]});')
        else:
            raise InputError(f'{item.name}: cannot be in an output struct')
        if item.is_optional:
            self.out.close()

    def array(self, item):
        """Present arrays have room for what the request says; absent ones for anything, as only the count is wanted."""
        size = self.types.element(item)[0]
        count, lhs = self.place.expression(item.count), self.place.lhs(item)
        c_size = size if item.kind == 'scalar' else f'sizeof(*{lhs})'
        self.out.add(f'{lhs} = neep_vk_get_room(d, {count}, {c_size}, {size});')


def put_scalar(item, lhs):
    size = SCALARS[item.type]
    if item.type in ('raw8', 'rawptr8'):
        return 'neep_vk_put_zeros(reply, 8);'
    if item.type == 'be64':
        return f'neep_vk_put_be64(reply, {lhs});'
    return f'neep_vk_put(reply, &{lhs}, {size});'


class Writer:
    """Writes the members of an output struct."""

    def __init__(self, types, place, out):
        self.types, self.place, self.out = types, place, out

    def items(self, items):
        arrays = {i.count: i for i in items if i.is_array}
        rooms = 0
        for item in items:
            if item.name in arrays:
                self.count(item, arrays[item.name], rooms)
                rooms += 1
            else:
                self.item(item)

    def count(self, item, array, room):
        lhs = self.place.lhs(array)
        kind = 'count_be64' if item.type == 'be64' else 'count'
        self.out.add(f'const uint64_t {item.name} = neep_vk_put_{kind}(reply, {self.place.lhs(item)}, '
                     f'{lhs} != NULL ? room[{room}] : UINT32_MAX);')

    def item(self, item):
        lhs = self.place.lhs(item)
        if item.is_optional:
            self.out.add(f'neep_vk_put_presence(reply, {lhs} != NULL);')
            self.out.open(f'if ({lhs} != NULL)')
        if item.count:
            self.array(item, lhs, item.count)
        elif item.kind == 'struct':
            self.struct(self.types.structs[item.type], f'&{lhs}')
        else:
            self.out.add(put_scalar(item, f'*{lhs}' if item.is_pointer else lhs))
        if item.is_optional:
            self.out.close()

    def array(self, item, lhs, count):
        struct = self.types.structs.get(item.type)
        if item.type.startswith('raw'):
            self.out.add(f'neep_vk_put_zeros(reply, 8 * {count});')
        elif struct is None:
            self.out.add(f'neep_vk_put(reply, {lhs}, {SCALARS[item.type]} * {count});')
        elif self.types.is_flat(struct, False):
            self.out.add(f'neep_vk_put(reply, {lhs}, {struct.fixed} * {count});')
        else:
            self.out.open(f'for (uint32_t i = 0; i < {count}; i++)')
            self.struct(struct, f'&{lhs}[i]')
            self.out.close()

    def struct(self, struct, target):
        if struct.has_head:
            raise InputError(f'{struct.name}: cannot be inside an output struct')
        if self.types.is_flat(struct, False):
            self.out.add(f'neep_vk_put(reply, {target}, {struct.fixed});')
        else:
            self.out.add(f'neep_vk_put_{struct.name}(reply, {target});')
