"""Readers, shapers and writers of structs, and the table of those that may stand in chains."""

from .errors import InputError
from .members import InStruct, Reader, Shaper, Writer
from .model import PLAIN_C, enum_ranges
from .text import Lines


def prototypes(types, struct):
    """(purpose, prototype) of the functions that a struct needs."""
    name, c_name = struct.name, struct.c_name
    found = []
    if struct.is_input and struct.fixed is not None and not struct.has_head:
        if not types.is_flat(struct, True):
            found.append(('load', f'void neep_vk_load_{name}(struct neep_vk_decoder *d, const uint8_t *p, {c_name} *v)'))
    elif struct.is_input and struct.has_head:
        if needs_fields(types, struct):
            found.append(('fields', f'void neep_vk_fields_{name}(struct neep_vk_decoder *d, void *value)'))
        if not struct.is_link or is_member(types, struct):
            found.append(('read', f'void neep_vk_read_{name}(struct neep_vk_decoder *d, {c_name} *v)'))
    elif struct.is_input:
        found.append(('read_plain', f'void neep_vk_read_{name}(struct neep_vk_decoder *d, {c_name} *v)'))
    if struct.is_output:
        found += output_prototypes(types, struct)
    return found


def output_prototypes(types, struct):
    name, c_name = struct.name, struct.c_name
    found = []
    if struct.has_head:
        if needs_fields(types, struct):
            found.append(('shape_fields',
                          f'void neep_vk_shape_fields_{name}(struct neep_vk_decoder *d, void *value, uint64_t *room)'))
            found.append(('put_fields', f'void neep_vk_put_fields_{name}(struct neep_vk_reply *reply, '
                                        'const void *value, const uint64_t *room)'))
        if is_member(types, struct):
            found.append(('shape', f'struct neep_vk_out *neep_vk_shape_{name}(struct neep_vk_decoder *d, {c_name} *v)'))
            found.append(('put', f'void neep_vk_put_{name}(struct neep_vk_reply *reply, const {c_name} *v, '
                                 'const struct neep_vk_out *out)'))
    elif not types.is_flat(struct, False):
        found.append(('put_plain', f'void neep_vk_put_{name}(struct neep_vk_reply *reply, const {c_name} *v)'))
    return found


def needs_fields(types, struct):
    """Whether the members behind pNext are more than the generic code can do."""
    if is_special(struct) or not struct.body:
        return False
    return not struct.is_link or types.link_flat(struct)[0] == 0 or is_member(types, struct)


def is_special(struct):
    """VkGraphicsPipelineCreateInfo: two words come before sType, and later members depend on them."""
    return struct.has_head and struct.items[0].name != 'sType'


def is_member(types, struct):
    """Whether commands or other structs name it, not only chains."""
    if not hasattr(types, 'named'):
        rows = [s.items for s in types.structs.values()]
        rows += [c.request for c in types.wire.commands.values()]
        types.named = {i.type for items in rows for i in items if i.kind == 'struct'}
    return struct.name in types.named


def s_type(struct):
    return f'{struct.wire.s_type}u'


class StructSource:
    def __init__(self, types):
        self.types = types

    def function(self, struct, purpose, prototype):
        out = Lines()
        out.open(prototype)
        if purpose in ('fields', 'shape_fields'):
            self.value(out, struct, '')
        elif purpose == 'put_fields':
            self.value(out, struct, 'const ')
        getattr(self, purpose)(struct, out)
        out.close()
        return unused_out(out.text())

    @staticmethod
    def value(out, struct, const):
        out.add(f'{const}{struct.c_name} *v = value;')

    def load(self, struct, out):
        out.add('(void)d;')
        reader = Reader(self.types, InStruct(self.types, struct), out)
        offset = 0
        for item in struct.items:
            reader.fixed(item, offset)
            offset += self.types.measure_item(item)[0]

    def fields(self, struct, out):
        out.add('const uint8_t *p;')
        Reader(self.types, InStruct(self.types, struct), out).items(struct.body)

    def read(self, struct, out):
        head = f'neep_vk_get_head(d, v, {s_type(struct)}, {struct.root});'
        if not is_special(struct):
            out.add(head)
            if struct.body:
                out.add(f'neep_vk_fields_{struct.name}(d, v);')
            return
        at = [i.kind for i in struct.items].index('pnext')
        out.add('const uint8_t *p;')
        reader = Reader(self.types, InStruct(self.types, struct), out)
        reader.items([i for i in struct.items[:at] if i.name != 'sType'])
        out.add(head)
        reader.items(struct.items[at + 1:])

    def read_plain(self, struct, out):
        out.add('const uint8_t *p;')
        Reader(self.types, InStruct(self.types, struct), out).items(struct.items)

    def shape_fields(self, struct, out):
        out.add('(void)v;', '(void)room;', 'const uint8_t *p;')
        Shaper(self.types, InStruct(self.types, struct), out).items(struct.body)

    def shape(self, struct, out):
        out.add(f'struct neep_vk_out *out = neep_vk_shape_head(d, v, {s_type(struct)}, {struct.root});')
        if struct.body:
            out.open('if (out != NULL)')
            out.add(f'neep_vk_shape_fields_{struct.name}(d, v, out->room);')
            out.close()
        out.add('return out;')

    def put_fields(self, struct, out):
        out.add('(void)room;')
        Writer(self.types, InStruct(self.types, struct), out).items(struct.body)

    def put(self, struct, out):
        out.add(f'neep_vk_put_head(reply, {s_type(struct)}, out);')
        if struct.body:
            out.add(f'neep_vk_put_fields_{struct.name}(reply, v, out->room);')

    def put_plain(self, struct, out):
        Writer(self.types, InStruct(self.types, struct), out).items(struct.items)


def unused_out(text):
    """Drops what was declared in case."""
    if 'p = neep_vk_take' not in text:
        text = text.replace('\tconst uint8_t *p;\n', '')
    return text


def own_struct(types, struct):
    """A C struct for one that the build's headers do not have."""
    lines = Lines()
    lines.open(struct.c_name)
    for item in struct.items:
        if item.kind == 'pnext':
            lines.add('void *pNext;')
        elif item.type != 'be32':
            lines.add(own_member(types, item) + ';')
    lines.close('};')
    return lines.text()


def own_member(types, item):
    if item.name == 'sType':
        return 'VkStructureType sType'
    if item.kind == 'str':
        return f'const char *{item.name}'
    if item.kind == 'strv':
        return f'const char *const *{item.name}'
    name = {'handle': f'Vk{item.type}', 'struct': types.structs[item.type].c_name if item.kind == 'struct' else ''}.get(
        item.kind) or PLAIN_C[item.type]
    if item.is_static:
        return f'{name} {item.name}[{item.count}]'
    if item.is_optional and item.count:
        return f'{name} *{item.name}'
    if item.is_pointer or item.count or item.is_optional:
        return f'const {name} *{item.name}'
    return f'{name} {item.name}'


def own_structs(types):
    """In an order that C takes."""
    done, texts = set(), []

    def visit(struct):
        if struct.name in done or not struct.c_name.startswith('struct '):
            return
        done.add(struct.name)
        for item in struct.items:
            if item.kind == 'struct':
                visit(types.structs[item.type])
        texts.append(own_struct(types, struct))

    for struct in types.structs.values():
        if struct.is_input or struct.is_output:
            visit(struct)
    return texts


def functions(types):
    """[(prototype, definition)] of all structs."""
    maker, found = StructSource(types), []
    for struct in types.structs.values():
        for purpose, prototype in prototypes(types, struct):
            try:
                found.append((prototype, maker.function(struct, purpose, prototype)))
            except InputError as error:
                raise InputError(f'{struct.name}: {error}') from error
    return found


def size_checks(types):
    """What the flat copies rest on, checked by the compiler."""
    checks = []
    for struct in types.structs.values():
        for_input = struct.is_input and types.is_flat(struct, True)
        if struct.c_declared and (for_input or struct.is_output and types.is_flat(struct, False)):
            checks.append(f'_Static_assert(sizeof({struct.c_name}) == {struct.fixed}, "as on the wire");')
    return checks


def enum_tables(types):
    declared, defined = [], []
    for name in sorted(types.enums):
        ranges = enum_ranges(types.registry.enums[name].values())
        refusal = 'VK_ERROR_FORMAT_NOT_SUPPORTED' if name == 'VkFormat' else 'VK_ERROR_FEATURE_NOT_PRESENT'
        pairs = ', '.join('{ %du, %du }' % tuple(r) for r in ranges)
        declared.append(f'extern const struct neep_vk_enum neep_vk_enum_{name};')
        defined.append(f'static const uint32_t ranges_{name}[][2] = {{ {pairs} }};')
        defined.append(f'const struct neep_vk_enum neep_vk_enum_{name} = {{ "{name}", {refusal}, {len(ranges)}, '
                       f'ranges_{name} }};')
    return declared, defined


def link_row(types, struct):
    flat, is_bools = types.link_flat(struct)
    fields = {'.s_type': s_type(struct), '.size': f'sizeof({struct.c_name})', '.name': f'"{struct.name}"',
              '.parents': f'parents_{struct.name}'}
    if flat:
        fields['.flat'] = str(flat)
        fields['.is_bools'] = 'true' if is_bools else 'false'
    if struct.is_hidden:
        fields['.is_hidden'] = 'true'
    if struct.may_repeat:
        fields['.may_repeat'] = 'true'
    if not flat and not struct.body:
        fields['.read'], fields['.shape'], fields['.put'] = 'read_nothing', 'shape_nothing', 'put_nothing'
    elif not flat:
        if struct.is_input:
            fields['.read'] = f'neep_vk_fields_{struct.name}'
        if struct.is_output:
            fields['.shape'] = f'neep_vk_shape_fields_{struct.name}'
            fields['.put'] = f'neep_vk_put_fields_{struct.name}'
    return '\t{ ' + ', '.join(f'{k} = {v}' for k, v in fields.items()) + ' },'


def link_table(types):
    lines = [] if not any(not s.body for s in types.links()) else ['static void read_nothing(struct neep_vk_decoder *d, void *value) {', '\t(void)d;', '\t(void)value;', '}',
             'static void shape_nothing(struct neep_vk_decoder *d, void *value, uint64_t *room) {', '\t(void)d;',
             '\t(void)value;', '\t(void)room;', '}',
             'static void put_nothing(struct neep_vk_reply *reply, const void *value, const uint64_t *room) {',
             '\t(void)reply;', '\t(void)value;', '\t(void)room;', '}']
    for struct in types.links():
        roots = [types.structs[types.wire_names[r]].root for r in struct.extends if r in types.wire_names]
        numbers = ''.join(f'{root}, ' for root in sorted(set(roots)) if root)
        lines.append(f'static const uint16_t parents_{struct.name}[] = {{ {numbers}0 }};')
    lines.append('const struct neep_vk_link neep_vk_links[] = {')
    lines += [link_row(types, struct) for struct in types.links()]
    lines += ['};', f'const uint32_t neep_vk_link_count = {len(types.links())};']
    return lines
