"""The wire's layout of structs that its table does not have, by the rules of the guest's own generator.

Newer guests forward more structs in pNext chains. Their layout follows from the registry: members in order, pointers with a presence
word where they may be NULL.
"""

import re

from .wire import Item, WireStruct

BASE = {'uint8_t': 'u8', 'char': 'ch', 'uint16_t': 'u16', 'uint32_t': 'u32', 'int32_t': 'i32', 'int': 'i32',
        'float': 'f32', 'uint64_t': 'u64', 'int64_t': 'u64', 'size_t': 'be64', 'VkBool32': 'u32', 'VkFlags': 'u32',
        'VkFlags64': 'u64', 'VkDeviceSize': 'u64', 'VkDeviceAddress': 'u64', 'VkSampleMask': 'u32'}

# Extensions of vendors whose drivers are not in Mesa's guest.
VENDORS = re.compile(r'(NV|AMD|AMDX|QCOM|INTEL|ARM|HUAWEI|VALVE|NVX|IMG|SEC|FUCHSIA|GGP|QNX|MSFT|LUNARG|ANDROID|AMDX)$')


class Underivable(Exception):
    """The registry does not say enough, or the wire could not carry it."""


def scalar_of(registry, name):
    """The wire's scalar for a C type, or None."""
    name = registry.canonical(name)
    if name in BASE:
        return BASE[name]
    if name in registry.enums or name.endswith('FlagBits'):
        return 'u32'
    if name.endswith('FlagBits2') or name.endswith('Flags2') or re.search(r'Flags2(KHR|EXT)?$', name):
        return 'u64'
    if name in registry.bitmasks:
        return 'u32'
    return None


def type_of(registry, types, member, item):
    name = registry.canonical(member.type)
    scalar = scalar_of(registry, name)
    if scalar is not None:
        item.kind, item.type = 'scalar', scalar
    elif name in registry.handles and name[2:] in types.handles:
        item.kind, item.type = 'handle', name[2:]
    elif name in registry.structs and not registry.structs[name].is_union:
        if member.is_pointer and not member.is_const:
            raise Underivable(f'{member.name} is filled in by the driver')
        item.kind, item.type = 'struct', types.wire_name(name)
    else:
        raise Underivable(f'{member.name} is a {member.type}')
    return item


def item_of(registry, types, member):
    if member.name == 'pNext':
        return Item('pNext', 'pnext')
    if member.is_bitfield or member.declaration.count('*') > 1 or 'PFN_' in member.type:
        raise Underivable(f'{member.name} is a {member.declaration}')
    item = Item(member.name, '')
    if member.array:
        item.count = str(registry.constants.get(member.array, member.array))
        if not item.is_static or member.is_pointer:
            raise Underivable(f'{member.name} has {member.array} elements')
    if not member.is_pointer:
        return type_of(registry, types, member, item)
    item.is_optional = bool(member.optional) or member.noautovalidity
    if member.length == 'null-terminated':
        item.kind = 'str'
        return item
    if member.type == 'void':
        if not member.length:
            raise Underivable(f'{member.name} points to anything')
        item.kind, item.type, item.count = 'scalar', 'u8', member.length
        return item
    item.count, item.is_pointer = member.length.replace('null-terminated', ''), not member.length
    return type_of(registry, types, member, item)


def derive(registry, types, struct):
    if struct.is_union:
        raise Underivable('it is a union')
    items = [item_of(registry, types, member) for member in struct.members]
    return WireStruct(struct.name, registry.structure_type(struct), True, items)


def is_wanted(registry, struct):
    """Whether a guest may come to forward it."""
    return (struct.extends and struct.name in registry.known and not VENDORS.search(struct.name)
            and 'Video' not in struct.name and registry.structure_type(struct) is not None)
