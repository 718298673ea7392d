"""The wire joined with the registry: for each struct its C name and types, its sizes, and in which directions it travels."""

import re
from dataclasses import dataclass, field

from . import derive
from .errors import InputError
from .wire import SCALARS, Item

PLAIN_C = {'u8': 'uint8_t', 'ch': 'char', 'u16': 'uint16_t', 'u32': 'uint32_t', 'i32': 'int32_t', 'f32': 'float',
           'be32': 'uint32_t', 'u64': 'uint64_t', 'be64': 'size_t', 'raw8': 'uint64_t', 'rawptr8': 'uint64_t'}

# Structs with pointers, file descriptors or names of the guest's, which no driver may see.
NEVER_FOR_DRIVERS = {'VkDeviceDeviceMemoryReportCreateInfoEXT', 'VkAllocationCallbacks', 'VkNativeBufferANDROID',
                     'VkImportMemoryFdInfoKHR', 'VkDebugUtilsObjectNameInfoEXT'}

# Unions whose first member, the one on the wire, is as large as any.
WHOLE_UNIONS = {'VkClearColorValue', 'VkClearValue'}

# Handles in these are ignored in some cases, and then the guest sends what is left of old ones.
LENIENT_STRUCTS = {'VkDescriptorImageInfo', 'VkDescriptorBufferInfo', 'VkCommandBufferInheritanceInfo'}
# Ignored for push descriptors only, of which no guest is told.
NEEDED_MEMBERS = {('VkWriteDescriptorSet', 'dstSet')}

# Where the registry says too little: what a driver would follow must be there, what it ignores need not.
NEEDS = {
    ('VkWriteDescriptorSet', 'dstSet'): 'd->command_buffer != NULL ? NEEP_VK_LENIENT : NEEP_VK_REQUIRED',
    ('VkDescriptorSetLayoutBinding', 'pImmutableSamplers'):
        'v->descriptorType == VK_DESCRIPTOR_TYPE_SAMPLER || '
        'v->descriptorType == VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER ? NEEP_VK_REQUIRED : NEEP_VK_LENIENT',
    ('VkFramebufferCreateInfo', 'pAttachments'): 'NEEP_VK_REQUIRED',
    ('VkBindImageMemoryInfo', 'memory'): 'NEEP_VK_REQUIRED',
    ('VkGraphicsPipelineCreateInfo', 'layout'): 'NEEP_VK_OPTIONAL',
}

# Roots of structs that are not in the registry.
GOOGLE_EXTENDS = {
    'VkImportColorBufferGOOGLE': ('VkMemoryAllocateInfo',),
    'VkImportBufferGOOGLE': ('VkMemoryAllocateInfo',),
    'VkCreateBlobGOOGLE': ('VkMemoryAllocateInfo',),
}


@dataclass
class CType:
    """How C sees a member."""
    name: str
    enum: str = ''          # check its value
    is_bool: bool = False
    need: str = 'NEEP_VK_REQUIRED'
    is_ignorable: bool = False  # Vulkan does not say that it is always valid
    is_const: bool = True       # the driver does not write what it points to


@dataclass
class Struct:
    name: str               # the wire's
    c_name: str
    wire: object
    known: object           # of the registry, or None
    is_hidden: bool = False
    extends: tuple = ()
    may_repeat: bool = False
    c_types: dict = field(default_factory=dict)
    is_input: bool = False
    is_output: bool = False
    is_link: bool = False
    fixed: int = None       # bytes on the wire, if always the same
    smallest: int = 0       # bytes on the wire
    root: int = 0           # number as a root of chains

    @property
    def items(self):
        return self.wire.items

    @property
    def has_head(self):
        return any(item.kind == 'pnext' for item in self.items)

    @property
    def body(self):
        """Members behind sType and pNext."""
        return [item for item in self.items if item.kind != 'pnext' and item.name != 'sType'] \
            if self.has_head else self.items

    @property
    def c_declared(self):
        return self.known is not None or self.c_name == self.name


class Types:
    """All structs, by the wire's name."""

    def __init__(self, registry, wire, google_names):
        self.registry = registry
        self.wire = wire
        self.structs = {}
        self.wire_names = {}
        self.enums = set()
        self.google_names = google_names
        self.handles = handles_of(wire)
        for row in wire.structs.values():
            self.add(row, self.find_known(row))
        self.add_derived()
        self.measure()
        self.walk_directions()
        self.number_roots()

    def find_known(self, row):
        known = self.registry.struct(row.name)
        if row.s_type:
            known = self.by_structure_type.get(row.s_type)
        return known

    @property
    def by_structure_type(self):
        if not hasattr(self, '_by_structure_type'):
            registry = self.registry
            self._by_structure_type = {
                registry.structure_type(s): s for s in registry.structs.values() if s.name in registry.known}
        return self._by_structure_type

    def add(self, row, known):
        c_name = known.name if known else row.name if row.name in self.google_names \
            else f'struct neep_vk_wire_{row.name}'
        struct = Struct(row.name, c_name, row, known)
        struct.is_hidden = row.name in NEVER_FOR_DRIVERS or c_name.startswith('struct ')
        struct.extends = known.extends if known else GOOGLE_EXTENDS.get(row.name, ())
        struct.may_repeat = bool(known and known.may_repeat)
        struct.is_link = row.is_forwarded
        struct.c_types = {item.name: self.c_type(struct, item) for item in row.items}
        self.structs[row.name] = struct
        if known:
            self.wire_names[known.name] = row.name

    def wire_name(self, c_name):
        """Of a struct that a derived one contains; derives that first."""
        if c_name not in self.wire_names:
            known = self.registry.structs[c_name]
            row = derive.derive(self.registry, self, known)
            row.is_forwarded = False
            self.add(row, known)
        return self.wire_names[c_name]

    def add_derived(self):
        for known in list(self.registry.structs.values()):
            if known.name in self.wire_names or not derive.is_wanted(self.registry, known):
                continue
            try:
                self.add(derive.derive(self.registry, self, known), known)
            except derive.Underivable:
                pass

    def c_type(self, struct, item):
        members = {m.name: m for m in struct.known.members} if struct.known else {}
        if item.name not in members:
            if struct.known and item.kind != 'scalar' or struct.known and item.type != 'be32':
                raise InputError(f'{struct.name}: the registry has no member {item.name}')
            return CType(PLAIN_C.get(item.type, ''), is_const=not (item.is_optional and item.count))
        c_type = self.c_type_of(members[item.name], item)
        if item.kind == 'handle' and struct.name in LENIENT_STRUCTS:
            c_type.need = 'NEEP_VK_LENIENT'
        if (struct.name, item.name) in NEEDED_MEMBERS:
            c_type.need = 'NEEP_VK_REQUIRED'
        return c_type

    def c_type_of(self, member, item):
        name = self.registry.canonical(member.type)
        c_type = CType(member.type if member.type != 'void' else 'uint8_t')
        if item.kind == 'handle':
            c_type.need = need_of(member, item)
        if item.kind == 'scalar' and name in self.registry.enums and item.type in ('u32', 'i32'):
            c_type.enum = name
            c_type.is_ignorable = member.noautovalidity
        c_type.is_bool = name == 'VkBool32'
        c_type.is_const = member.is_const
        return c_type

    def measure(self):
        for struct in self.structs.values():
            self.measure_struct(struct, ())

    def measure_struct(self, struct, path):
        if struct.smallest:
            return
        if struct.name in path:
            raise InputError(f'{struct.name}: contains itself')
        smallest, is_fixed = 0, True
        for item in struct.items:
            low, fixed = self.measure_item(item, path + (struct.name,))
            smallest += low
            is_fixed &= fixed
        struct.smallest = smallest
        struct.fixed = smallest if is_fixed else None

    def measure_item(self, item, path=()):
        """(smallest bytes, whether always)."""
        if item.is_optional:
            return 8, item.kind == 'null'
        if item.when or item.is_array:
            return 0, False
        if item.kind in ('pnext', 'str', 'strv'):
            return 4, False
        size, is_fixed = self.element(item, path)
        if item.is_static:
            return size * int(item.count), is_fixed
        return size, is_fixed

    def element(self, item, path=()):
        """(smallest bytes of one, whether always)."""
        if item.kind == 'scalar':
            return SCALARS[item.type], True
        if item.kind == 'struct':
            struct = self.structs[item.type]
            self.measure_struct(struct, path)
            return struct.smallest, struct.fixed is not None
        return 8, True

    def walk_directions(self):
        for command in self.wire.commands.values():
            outputs = {item.name for item in command.reply}
            for item in command.request:
                self.mark(item, item.name in outputs)
        self.mark_links()

    def mark(self, item, is_output):
        if item.kind != 'struct':
            return
        struct = self.structs[item.type]
        if is_output and struct.is_output or not is_output and struct.is_input:
            return
        struct.is_output |= is_output
        struct.is_input |= not is_output
        for member in struct.items:
            self.mark(member, is_output)

    def mark_links(self):
        """Links travel as the roots that they extend do."""
        for struct in list(self.structs.values()):
            if not struct.is_link:
                continue
            roots = [self.structs[self.wire_names[r]] for r in struct.extends if r in self.wire_names]
            is_input = any(r.is_input for r in roots)
            is_output = any(r.is_output for r in roots)
            if struct.known is None and not roots:
                # Nothing says where it belongs.
                is_input, is_output = True, self.can_be_output(struct)
            for flag, wanted in ((False, is_input), (True, is_output)):
                if wanted:
                    self.mark(Item('', 'struct', struct.name), flag)
            struct.is_link = is_input or is_output

    @staticmethod
    def can_be_output(struct):
        return all(i.kind in ('scalar', 'pnext') and not i.is_pointer for i in struct.items)

    def number_roots(self):
        names = {r for s in self.structs.values() if s.is_link for r in s.extends}
        number = 0
        for struct in self.structs.values():
            if struct.known and struct.known.name in names and struct.has_head:
                number += 1
                struct.root = number

    def links(self):
        """Sorted by sType."""
        links = [s for s in self.structs.values() if s.is_link and (s.is_input or s.is_output)]
        return sorted(links, key=lambda s: s.wire.s_type)

    def is_flat(self, struct, is_input):
        """Whether C has the struct as the wire has it, and nothing needs to be looked at."""
        return not struct.has_head and struct.fixed is not None and self.flat_size(struct, is_input) == struct.fixed

    def flat_size(self, struct, is_input, allow_bools=False):
        """Bytes of the body that C and the wire have alike, or 0: then they differ. What ends the struct is padding."""
        if struct.known and struct.known.is_union and struct.name not in WHOLE_UNIONS:
            return 0
        offset, alignment = 0, 1
        for item in struct.body:
            size, align = self.flat_item(struct, item, is_input, allow_bools)
            if size == 0 or offset % align != 0:
                return 0
            offset += size
            alignment = max(alignment, align)
        if not struct.has_head and offset % alignment != 0:
            return 0
        return offset

    def flat_item(self, struct, item, is_input, allow_bools):
        c_type = struct.c_types[item.name]
        if item.is_optional or item.when or item.is_pointer or item.is_array:
            return 0, 1
        if is_input and (c_type.enum or c_type.is_bool and not allow_bools):
            return 0, 1
        number = int(item.count) if item.count else 1
        if item.kind == 'scalar' and item.type in ('u8', 'ch', 'u16', 'u32', 'i32', 'f32', 'u64'):
            size = SCALARS[item.type]
            return size * number, size
        if item.kind == 'struct':
            inner = self.structs[item.type]
            size = self.flat_size(inner, is_input)
            if not inner.has_head and size and size == inner.fixed:
                return size * number, self.alignment(inner)
        return 0, 1

    def alignment(self, struct):
        return max((self.alignment(self.structs[i.type]) if i.kind == 'struct' else SCALARS[i.type])
                   for i in struct.items)

    def link_flat(self, struct):
        """(bytes, made of VkBool32) if the generic code does for the body of a link."""
        if not struct.body:
            return 0, False
        all_bools = all(struct.c_types[i.name].is_bool and not i.count for i in struct.body)
        if all_bools:
            return self.flat_size(struct, True, allow_bools=True), True
        return self.flat_size(struct, struct.is_input), False


def handles_of(wire):
    """Types of handles that the guest can have."""
    rows = [s.items for s in wire.structs.values()] + [c.request + c.reply for c in wire.commands.values()]
    return {item.type for items in rows for item in items if item.kind == 'handle'}


def need_of(member, item):
    """How much a handle must be there."""
    if member.noautovalidity:
        return 'NEEP_VK_LENIENT'
    is_array = bool(item.count) and not item.is_static
    optional = member.optional[-1:] if not is_array else member.optional[1:2]
    return 'NEEP_VK_OPTIONAL' if optional == ('true',) else 'NEEP_VK_REQUIRED'


def type_constant(handle):
    """enum neep_vk_type of a handle of the wire."""
    return 'NEEP_VK_' + re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', handle).upper()


def enum_ranges(values):
    """[first, number - 1] of the non-negative values, the longest first."""
    ranges = []
    for value in sorted({v for v in values if v >= 0}):
        if ranges and value == ranges[-1][0] + ranges[-1][1] + 1:
            ranges[-1][1] += 1
        else:
            ranges.append([value, 0])
    return sorted(ranges, key=lambda r: (-r[1], r[0]))
