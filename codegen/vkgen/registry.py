"""Khronos' registry (vk.xml), as much of it as the decoder needs: C types, parents, aliases, who extends whom.

Only what vulkan_core.h declares counts: no platforms, no beta extensions.
"""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from .errors import InputError

ALIAS_SUFFIXES = ('', 'KHR', 'EXT')


@dataclass
class Member:
    """A member of a struct or a parameter of a command."""
    name: str
    type: str
    declaration: str        # as C has it, without the name's array part
    is_pointer: bool
    is_const: bool
    length: str             # the len attribute, or ''
    array: str              # [n] of a static array, or ''
    optional: tuple         # of 'true'/'false', outermost first; () if the attribute is absent
    noautovalidity: bool
    value: str              # the one that sType has
    is_bitfield: bool


@dataclass
class Struct:
    name: str
    members: list
    extends: tuple
    is_union: bool
    may_repeat: bool


@dataclass
class Command:
    name: str
    result: str
    params: list
    errors: tuple


@dataclass
class Registry:
    structs: dict = field(default_factory=dict)
    commands: dict = field(default_factory=dict)
    handles: dict = field(default_factory=dict)     # name -> parent
    enums: dict = field(default_factory=dict)       # name -> {constant: value}
    bitmasks: set = field(default_factory=set)
    aliases: dict = field(default_factory=dict)     # of types and commands
    known: set = field(default_factory=set)         # names that vulkan_core.h declares
    constants: dict = field(default_factory=dict)   # API constants that are numbers
    device_extensions: dict = field(default_factory=dict)   # name -> commands that it brings in any case

    def canonical(self, name):
        while name in self.aliases:
            name = self.aliases[name]
        return name

    def is_known(self, name):
        return self.canonical(name) in self.known or name in self.known

    def struct(self, name):
        """The known struct of that name, or of the name it had before it became core."""
        for suffix in ALIAS_SUFFIXES:
            canonical = self.canonical(name + suffix)
            if canonical in self.structs and canonical in self.known:
                return self.structs[canonical]
        return None

    def command(self, name):
        for suffix in ALIAS_SUFFIXES:
            canonical = self.canonical(name + suffix)
            if canonical in self.commands and canonical in self.known:
                return self.commands[canonical]
        return None

    def names_of_command(self, canonical):
        """The core name first, then what it was called before."""
        others = [alias for alias in self.aliases if alias in self.known and self.canonical(alias) == canonical]
        return [canonical] + sorted(others)

    def structure_type(self, struct):
        for member in struct.members:
            if member.name == 'sType' and member.value:
                return self.enums['VkStructureType'].get(member.value.split(',')[0])
        return None


def is_vulkan(element, attribute='api'):
    value = element.get(attribute)
    return value is None or 'vulkan' in value.split(',')


def parse_member(element):
    declaration = ''.join(part for child in [element] for part in text_without_comments(child))
    name = element.findtext('name')
    after = declaration.split(name, 1)[1] if name else ''
    array = re.findall(r'\[([^\]]+)\]', after)
    return Member(
        name=name, type=element.findtext('type'), declaration=' '.join(declaration.split()),
        is_pointer='*' in declaration, is_const='const' in declaration,
        length=element.get('altlen') or element.get('len') or '', array=array[0] if array else '',
        optional=tuple((element.get('optional') or '').split(',')) if element.get('optional') else (),
        noautovalidity=element.get('noautovalidity') == 'true', value=element.get('values') or '',
        is_bitfield=':' in after)


def text_without_comments(element):
    yield element.text or ''
    for child in element:
        if child.tag != 'comment':
            yield ''.join(child.itertext())
        yield child.tail or ''


def read_types(root, registry):
    for element in root.findall('types/type'):
        name, category = element.get('name') or element.findtext('name'), element.get('category')
        if not is_vulkan(element) or name is None:
            continue
        if element.get('alias'):
            registry.aliases[name] = element.get('alias')
        elif category in ('struct', 'union'):
            members = [parse_member(m) for m in element.findall('member') if is_vulkan(m)]
            extends = tuple(filter(None, (element.get('structextends') or '').split(',')))
            registry.structs[name] = Struct(name, members, extends, category == 'union',
                                            element.get('allowduplicate') == 'true')
        elif category == 'handle':
            registry.handles[name] = element.get('parent')
        elif category == 'bitmask':
            registry.bitmasks.add(name)


def parse_command(element):
    proto = element.find('proto')
    params = [parse_member(p) for p in element.findall('param') if is_vulkan(p)]
    errors = tuple(filter(None, (element.get('errorcodes') or '').split(',')))
    return Command(proto.findtext('name'), proto.findtext('type'), params, errors)


def read_commands(root, registry):
    for element in root.findall('commands/command'):
        if not is_vulkan(element):
            continue
        if element.get('alias'):
            registry.aliases[element.get('name')] = element.get('alias')
        else:
            command = parse_command(element)
            registry.commands[command.name] = command


def number(text):
    return int(text.rstrip('ULul'), 0)


def extension_value(element, extension_number):
    if element.get('value') is not None:
        return number(element.get('value'))
    offset = int(element.get('offset'))
    value = 1000000000 + (int(element.get('extnumber') or extension_number) - 1) * 1000 + offset
    return -value if element.get('dir') == '-' else value


def read_enums(root, registry):
    for block in root.findall('enums'):
        if block.get('type') == 'enum':
            values = registry.enums.setdefault(block.get('name'), {})
            for element in block.findall('enum'):
                if element.get('value') is not None and is_vulkan(element):
                    values[element.get('name')] = number(element.get('value'))
        elif block.get('name') == 'API Constants':
            for element in block.findall('enum'):
                if re.fullmatch(r'\d+', element.get('value') or ''):
                    registry.constants[element.get('name')] = int(element.get('value'))


def read_requirement(require, registry, extension_number):
    for element in require.findall('enum'):
        base = element.get('extends')
        if base in registry.enums and element.get('alias') is None:
            registry.enums[base][element.get('name')] = extension_value(element, extension_number)
    for element in require.findall('type') + require.findall('command'):
        registry.known.add(element.get('name'))


def is_unconditional(require):
    return not any(require.get(attribute) for attribute in ('feature', 'extension', 'depends'))


def read_device_extension(extension, registry):
    requirements = filter(is_unconditional, filter(is_vulkan, extension.findall('require')))
    registry.device_extensions[extension.get('name')] = [
        command.get('name') for require in requirements for command in require.findall('command')]


def read_features(root, registry):
    for feature in root.findall('feature'):
        if is_vulkan(feature):
            for require in filter(is_vulkan, feature.findall('require')):
                read_requirement(require, registry, None)
    for extension in root.findall('extensions/extension'):
        if is_vulkan(extension, 'supported') and extension.get('platform') is None:
            for require in filter(is_vulkan, extension.findall('require')):
                read_requirement(require, registry, extension.get('number'))
            if extension.get('type') == 'device':
                read_device_extension(extension, registry)


def read_aliases_of_values(root, registry):
    """Old names of enumerants, which `values` attributes may use."""
    for element in root.iter('enum'):
        base, alias = element.get('extends'), element.get('alias')
        for values in [registry.enums[base]] if base in registry.enums else []:
            if alias in values:
                values[element.get('name')] = values[alias]


def close_known(registry):
    """Aliases are declared together with what they stand for."""
    for name in list(registry.known):
        registry.known.add(registry.canonical(name))


def load(path):
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f'{path}: cannot be read as the Vulkan registry: {error}') from error
    if root.tag != 'registry':
        raise InputError(f'{path}: is not the Vulkan registry: its root is <{root.tag}>, not <registry>')
    registry = Registry()
    read_types(root, registry)
    read_commands(root, registry)
    read_enums(root, registry)
    if 'VkStructureType' not in registry.enums:
        raise InputError(f'{path}: has no enum VkStructureType')
    read_features(root, registry)
    read_aliases_of_values(root, registry)
    close_known(registry)
    return registry
