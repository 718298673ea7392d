"""One function per command: read the parameters, call a handler or the driver, write the reply."""

import re

from .errors import InputError
from .members import Reader, fixed_size, load_scalar, put_scalar
from .model import PLAIN_C, CType, need_of, type_constant
from .structs import StructSource, unused_out
from .text import Lines
from .wire import SCALARS

# Handles of commands that the registry does not have: 0 where a guest may say so.
OPTIONAL_PARAMETERS = {('vkQueueSubmitAsyncGOOGLE', 'fence'), ('vkQueueSubmitAsync2GOOGLE', 'fence'),
                       ('vkFreeMemorySyncGOOGLE', 'memory'),
                       ('vkUpdateDescriptorSetWithTemplateSized2GOOGLE', 'pBufferViews')}

# What may be null only where the device has null descriptors.
NULL_DESCRIPTORS = {('vkCmdBindVertexBuffers', 'pBuffers'), ('vkCmdBindVertexBuffers2', 'pBuffers')}

# Without these the guest waits for ever for what they would have done: the device is told lost.
MUST_RUN = {'vkQueueSubmitAsyncGOOGLE', 'vkQueueSubmitAsync2GOOGLE'}

DISPATCH = ('Instance', 'PhysicalDevice', 'Device', 'Queue')


class Handlers:
    """codegen/handlers.txt: which commands are written by hand, and where."""

    def __init__(self, path):
        self.sections = {}      # command -> section
        self.passing = set()    # commands that go before late submissions
        section = None
        with open(path, encoding='utf-8') as file:
            for number, row in enumerate(file, 1):
                row = row.strip()
                if row.startswith('[') and row.endswith(']'):
                    section = row[1:-1]
                elif row and not row.startswith('#'):
                    self.add(path, number, section, row)

    def add(self, path, number, section, row):
        name, *marks = row.split()
        if marks not in ([], ['passes']):
            raise InputError(f'{path}:{number}: {name} may be followed by "passes" alone')
        if marks:
            self.passing.add(name)
        if section is None or name in self.sections:
            why = 'stands twice' if name in self.sections else 'stands in no [section]'
            raise InputError(f'{path}:{number}: {name} {why}')
        self.sections[name] = section

    def files(self):
        return sorted(set(self.sections.values()) - {'refused', 'ignored'})


class Parameters:
    """Members are parameters: locals of the function."""

    def __init__(self, types, command):
        self.types, self.command = types, command

    def lhs(self, item):
        return item.name

    def c_type(self, item):
        return self.command.c_types[item.name]

    def expression(self, text):
        """What a parameter points to is a local too."""
        return text.lstrip('*').replace('pAllocateInfo->', 'pAllocateInfo_value.')


class Command:
    def __init__(self, types, handlers, row):
        self.types, self.row = types, row
        self.known = types.registry.command(row.name)
        self.section = handlers.sections.get(row.name)
        self.is_recorded = 'cmdbuf' in row.flags
        self.outputs = {i.name for i in row.reply if i.kind != 'ret'}
        self.result = next((i.type for i in row.reply if i.kind == 'ret' or i.name == 'ret'), None)
        params = {p.name: p for p in self.known.params} if self.known else {}
        self.c_types = {i.name: self.c_type(params, i) for i in row.request}
        self.first = self.find_first()

    @property
    def is_refused(self):
        return self.section == 'refused' or self.section is None and self.known is None

    @property
    def is_handled(self):
        return self.section not in (None, 'refused', 'ignored')

    @property
    def is_ignored(self):
        return self.section == 'ignored'

    @property
    def is_destroy(self):
        return self.section is None and self.row.name.startswith('vkDestroy') and len(self.row.request) == 3

    def c_type(self, params, item):
        member = params.get(item.name)
        if member is None:
            c_type = CType(PLAIN_C.get(item.type, ''))
            if item.kind == 'struct':
                c_type.name = self.types.structs[item.type].c_name
            if (self.row.name, item.name) in OPTIONAL_PARAMETERS:
                c_type.need = 'NEEP_VK_LENIENT' if item.count else 'NEEP_VK_OPTIONAL'
            return c_type
        c_type = self.types.c_type_of(member, item)
        if item.kind == 'handle':
            is_null = (self.row.name, item.name) in NULL_DESCRIPTORS
            c_type.need = 'neep_vk_null_need(d)' if is_null else need_of(member, item)
        return c_type

    def find_first(self):
        item = self.row.request[0] if self.row.request else None
        if item is not None and item.kind == 'handle' and item.type in DISPATCH and not self.is_recorded:
            return item
        return None


class CommandSource:
    def __init__(self, types, command):
        self.types, self.command, self.out = types, command, Lines()
        self.place = Parameters(types, command)
        self.reader = ParameterReader(types, self.place, self.out, command)

    def text(self):
        out, command = self.out, self.command
        out.open(f'static void run_{command.row.name}(struct neep_vk_decoder *d)')
        out.add('const uint8_t *p;')
        if command.is_refused:
            out.add('neep_vk_missing(d);')
        self.reader.items(command.row.request)
        out.open('if (!neep_vk_decoded(d))')
        out.add('return;')
        out.close()
        self.call()
        self.reply()
        out.close()
        return self.tidy(out.text())

    @staticmethod
    def tidy(text):
        text = unused_out(text)
        if 'reply' in text.replace('neep_vk_begin_reply', '').replace('struct neep_vk_reply *reply = &d->reply;', ''):
            return text
        return text.replace('\tstruct neep_vk_reply *reply = &d->reply;\n', '')

    def call(self):
        command = self.command
        for item in command.row.request:
            if item.is_optional and self.reader.count_of(item) is not None:
                self.out.open(f'if (!has_{item.name})')
                self.out.add(f'neep_vk_refuse(d, VK_ERROR_UNKNOWN, "no {item.name}");')
                self.out.close()
        if command.is_refused or command.is_ignored:
            self.no_call()
        elif command.is_handled:
            self.call_handler()
        elif command.is_destroy:
            self.destroy()
        else:
            self.call_driver()

    def used(self):
        """Parameters that nothing is done with."""
        for name in self.reader.locals:
            self.out.add(f'(void){name};')

    def no_call(self):
        self.used()
        if self.command.result == 'i32':
            self.out.add('int32_t ret = d->refusal;')
        elif self.command.result:
            self.out.add('uint64_t ret = 0;')

    def result_declaration(self):
        if self.command.result == 'i32':
            return 'int32_t ret = d->refusal;'
        return 'uint64_t ret = 0;' if self.command.result else None

    def destroy(self):
        first, second = self.command.row.request[:2]
        self.out.open('if (d->refusal == 0)')
        self.out.add(f'neep_vk_object_destroy(d->table, {second.name});')
        self.out.close()
        self.out.add(f'(void){first.name};')

    def arguments(self):
        items = self.command.row.request
        return [i for i in items if i.kind != 'null']

    def call_handler(self):
        out, command = self.out, self.command
        names = ['&d->call'] + (['d->command_buffer'] if command.is_recorded else [])
        names += [self.reader.argument(i) for i in self.arguments()]
        call = f'neep_{"vk_" + command.row.name[2:]}({", ".join(names)});'
        declaration = self.result_declaration()
        if declaration:
            out.add(declaration)
        out.open('if (d->refusal == 0)')
        out.add(f'ret = {call}' if declaration else call)
        out.close()
        if command.row.name in MUST_RUN:
            out.open('if (d->refusal != 0)')
            out.add('neep_vk_note_lost(d, VK_ERROR_DEVICE_LOST);')
            out.close()

    def driver_arguments(self):
        names = []
        if self.command.is_recorded:
            names.append('(VkCommandBuffer)d->command_buffer->handle')
        for item in self.command.row.request:
            if item is self.command.first:
                names.append(f'(Vk{item.type}){item.name}->handle')
            else:
                names.append('NULL' if item.kind == 'null' else self.reader.argument(item))
        return names

    def function(self):
        member, first = self.command.row.name[2:], self.command.first
        pfn = f'PFN_{self.command.known.name}'
        if self.command.is_recorded or first is not None and first.type in ('Device', 'Queue'):
            return f'{pfn} fn = ({pfn})neep_vk_device_fn(d, offsetof(struct neep_vk_device_table, {member}));'
        if first is not None and first.type == 'PhysicalDevice':
            return f'{pfn} fn = ({pfn})neep_vk_instance_fn(d, {first.name}, ' \
                   f'offsetof(struct neep_vk_instance_table, {member}));'
        raise InputError(f'{self.command.row.name}: nothing to call it on: list it in handlers.txt')

    def call_driver(self):
        out, command = self.out, self.command
        may_lose = command.first is not None and command.first.type != 'PhysicalDevice' and \
            'VK_ERROR_DEVICE_LOST' in command.known.errors
        if may_lose:
            out.add('(void)neep_vk_is_lost(d);')
        out.add(self.function())
        declaration = self.result_declaration()
        if declaration:
            out.add(declaration)
        out.open('if (fn != NULL)')
        call = f'fn({", ".join(self.driver_arguments())});'
        if not declaration:
            out.add(call)
        else:
            out.add(f'ret = {call}')
            if command.result == 'i32' and may_lose:
                out.add('neep_vk_note_lost(d, ret);')
            self.add_new()
        out.close()
        if command.first is not None and not any(command.first.name in n for n in self.driver_arguments()):
            out.add(f'(void){command.first.name};')

    def add_new(self):
        out = self.out
        for item in self.command.row.reply:
            if item.kind != 'handle':
                continue
            if item.count:
                # A driver that fails leaves 0 for those that it did not make.
                self.add_handles(item, item.count, f'{item.name}_handles', item.name)
                continue
            out.open('if (ret >= 0)')
            self.add_handles(item, '1', f'&{item.name}_handle', f'&{item.name}')
            out.close()

    def add_handles(self, item, count, handles, ids):
        out = self.out
        out.add(f'const struct neep_vk_new what = {{ {type_constant(item.type)}, {self.command.first.name}, '
                f'neep_vk_release_{item.type} }};')
        out.add(f'int32_t added = neep_vk_add_new(d, &what, {self.place.expression(count)}, {handles}, {ids});')
        out.open('if (added < 0)')
        out.add('ret = added;')
        out.close()

    def reply(self):
        out, command = self.out, self.command
        if not command.row.reply:
            return
        out.add('struct neep_vk_reply *reply = &d->reply;')
        out.add(f'neep_vk_begin_reply(d, {"ret" if command.result == "i32" else "d->refusal"});')
        for item in command.row.reply:
            self.put(item)

    def put(self, item):
        out = self.out
        if item.name == 'ret':
            out.add('neep_vk_put_raw32(reply, (uint32_t)ret);' if item.type == 'i32' else 'neep_vk_put_u64(reply, ret);')
            return
        request = next(i for i in self.command.row.request if i.name == item.name)
        if item.is_optional:
            out.add(f'neep_vk_put_presence(reply, {self.reader.presence(request)});')
            out.open(f'if ({self.reader.presence(request)})')
        self.put_content(item)
        if item.is_optional:
            out.close()

    def counted_array(self, item):
        return next((i for i in self.command.row.request if i.count == f'*{item.name}'), None)

    def put_content(self, item):
        out = self.out
        array = self.counted_array(item)
        if array is not None:
            kind = 'count_be64' if item.type == 'be64' else 'count'
            presence = self.reader.presence(array)
            out.add(f'told = neep_vk_put_{kind}(reply, {item.name}, {presence} ? {item.name}_room : UINT32_MAX);')
        elif item.kind == 'handle':
            self.put_handles(item)
        elif item.count:
            self.put_array(item)
        elif item.kind == 'struct':
            self.put_struct(self.types.structs[item.type], f'&{item.name}_value', f'{item.name}_out')
        else:
            out.add(put_scalar(item, item.name))

    def reply_count(self, item):
        return 'told' if item.count.startswith('*') else self.place.expression(item.count)

    def put_handles(self, item):
        if not item.count:
            self.out.add(f'neep_vk_put_raw64(reply, {item.name});')
            return
        self.out.add(f'neep_vk_put_raw(reply, {item.name}, {self.reply_count(item)} * sizeof(*{item.name}));')

    def put_array(self, item):
        struct = self.types.structs.get(item.type)
        count = self.reply_count(item)
        if struct is None:
            self.out.add(f'neep_vk_put(reply, {item.name}, {count} * sizeof(*{item.name}));')
        elif self.types.is_flat(struct, False):
            self.out.add(f'neep_vk_put(reply, {item.name}, {count} * {struct.fixed});')
        else:
            self.out.open(f'for (uint64_t i = 0; i < {count}; i++)')
            self.put_struct(struct, f'&{item.name}[i]', f'{item.name}_outs[i]')
            self.out.close()

    def put_struct(self, struct, value, chain):
        if struct.has_head:
            self.out.add(f'neep_vk_put_{struct.name}(reply, {value}, {chain});')
        elif self.types.is_flat(struct, False):
            self.out.add(f'neep_vk_put(reply, {value}, {struct.fixed});')
        else:
            self.out.add(f'neep_vk_put_{struct.name}(reply, {value});')


class ParameterReader(Reader):
    """As for members, but each becomes a local, and outputs are made room for."""

    def __init__(self, types, place, out, command):
        super().__init__(types, place, out)
        self.command = command
        self.locals = []

    def is_output(self, item):
        return item.name in self.command.outputs

    def items(self, items):
        self.declare_tops(items)
        super().items(items)

    def count_of(self, item):
        return next((i for i in self.command.row.request if i.count == f'*{item.name}'), None)

    def declare_tops(self, items):
        """What is only set under a condition, or looked at by the reply."""
        for item in items:
            if item.kind == 'null':
                continue
            if self.count_of(item) is not None:
                self.declare_count(item)
            elif item.is_optional or item.kind == 'str' or self.is_output(item) and item.is_array:
                self.declare_conditional(item)

    def declare_count(self, item):
        kind = 'size_t' if item.type == 'be64' else 'uint32_t'
        self.out.add(f'{kind} {item.name} = 0;', f'uint64_t {item.name}_room = 0;', 'uint64_t told = 0;')
        if item.is_optional:
            self.out.add(f'bool has_{item.name} = false;')
        self.locals += [item.name, f'{item.name}_room', 'told']

    def declare_conditional(self, item):
        out, struct = self.out, self.types.structs.get(item.type)
        c_name = self.c_name(item)
        out.add(f'{c_name}{item.name} = NULL;')
        self.locals.append(item.name)
        if self.is_output(item) and struct is not None and struct.has_head:
            out.add(f'struct neep_vk_out **{item.name}_outs = NULL;')
            self.locals.append(f'{item.name}_outs')
        if self.is_output(item) and item.kind == 'slot' and not self.command.is_handled:
            out.add(f'void *{item.name}_handles = NULL;')
            self.locals.append(f'{item.name}_handles')

    def c_name(self, item):
        """The type of a pointer, with what C puts before the name."""
        c_type = self.place.c_type(item)
        if item.kind == 'str':
            return 'char *'
        if item.kind == 'slot':
            return 'uint64_t *'
        if item.kind == 'handle':
            return 'struct neep_vk_object *const *' if self.command.is_handled else f'const Vk{item.type} *'
        name = self.types.structs[item.type].c_name if item.kind == 'struct' else c_type.name
        return f'{name} *' if self.is_output(item) else f'const {name} *'

    def presence(self, item):
        return f'has_{item.name}' if self.count_of(item) is not None else f'({item.name} != NULL)'

    def argument(self, item):
        """What the call is given."""
        count = self.count_of(item)
        if count is not None:
            return f'&{item.name}'
        if self.is_output(item):
            return self.output_argument(item)
        if item.is_pointer and not item.is_optional and item.kind == 'struct':
            return f'&{item.name}_value'
        return item.name

    def output_argument(self, item):
        if item.is_array or item.is_optional:
            return f'{item.name}_handles' if item.kind == 'slot' and not self.command.is_handled else item.name
        if item.kind == 'slot':
            return f'&{item.name}' if self.command.is_handled else f'&{item.name}_handle'
        return f'&{item.name}_value' if item.kind == 'struct' else f'&{item.name}'

    # Of fixed size.

    def fixed(self, item, at):
        name, out = item.name, self.out
        c_type = self.place.c_type(item)
        self.enum(c_type)
        if self.is_output(item):
            self.fixed_output(item, at)
        elif item.kind == 'handle':
            self.fixed_handle(item, c_type, at)
        elif item.kind == 'struct':
            self.fixed_parameter_struct(item, at)
        elif item.kind == 'slot':
            raise InputError(f'{name}: a slot that the reply does not have')
        elif item.is_static:
            out.add(f'{c_type.name} {name}[{item.count}];')
            out.add(f'memcpy({name}, p + {at}, sizeof({name}));')
            self.locals.append(name)
        elif item.is_pointer:
            # Bytes that stand for anything: only commands that are refused have them.
            pass
        else:
            out.add(f'{self.scalar_name(c_type)} {name} = {load_scalar(item, c_type, at)};')
            self.locals.append(name)

    @staticmethod
    def scalar_name(c_type):
        return c_type.name

    def fixed_handle(self, item, c_type, at):
        name, constant = item.name, type_constant(item.type)
        load = f'neep_vk_load64(p + {at})'
        self.locals.append(name)
        if self.command.is_refused or self.command.is_ignored:
            self.out.add(f'uint64_t {name} = {load};')
        elif item is self.command.first:
            self.out.add(f'struct neep_vk_object *{name} = neep_vk_first(d, {load}, {constant});')
        elif self.command.is_handled or self.command.is_destroy:
            self.out.add(f'struct neep_vk_object *{name} = neep_vk_object(d, {load}, {constant}, {c_type.need});')
        else:
            self.out.add(f'Vk{item.type} {name} = (Vk{item.type})neep_vk_handle(d, {load}, {constant}, {c_type.need});')

    def fixed_parameter_struct(self, item, at):
        struct = self.types.structs[item.type]
        self.out.add(f'{struct.c_name} {item.name}_value = {{ 0 }};')
        self.locals.append(f'{item.name}_value')
        self.load(struct, f'&{item.name}_value', at)

    def fixed_output(self, item, at):
        name, out = item.name, self.out
        if item.kind == 'slot':
            out.add(f'uint64_t {name} = 0;')
            self.locals.append(name)
            if not self.command.is_handled:
                handle = self.slot_type(item)
                out.add(f'Vk{handle} {name}_handle = VK_NULL_HANDLE;')
                self.locals.append(f'{name}_handle')
        elif item.kind == 'struct':
            out.add(f'{self.types.structs[item.type].c_name} {name}_value = {{ 0 }};')
            self.locals.append(f'{name}_value')
        elif self.count_of(item) is not None:
            self.count(item, at)
        else:
            out.add(f'{self.place.c_type(item).name} {name} = 0;')
            self.locals.append(name)

    def count(self, item, at):
        self.out.add(f'{item.name} = {load_scalar(item, CType("size_t"), at)};')
        self.out.add(f'{item.name}_room = {item.name};')

    def slot_type(self, item):
        return next(i.type for i in self.command.row.reply if i.name == item.name)

    # Of any size.

    def conditional(self, item):
        """The presence word, if any, was non-zero."""
        if item.is_optional and self.count_of(item) is not None:
            self.out.add(f'has_{item.name} = true;')
            self.take(SCALARS[item.type])
            self.count(item, 0)
        elif self.is_output(item):
            self.output(item)
        elif item.is_optional or item.kind == 'str' or item.kind == 'strv':
            super().conditional(item)
        else:
            self.local(item)

    def local(self, item):
        name, struct = item.name, self.types.structs.get(item.type)
        if item.is_array:
            self.out.add(f'{self.c_name(item)}{name};')
            self.locals.append(name)
            self.array(item, name)
        else:
            self.out.add(f'{struct.c_name} {name}_value = {{ 0 }};')
            self.locals.append(f'{name}_value')
            self.read(struct, f'&{name}_value')

    def array(self, item, lhs):
        if item.kind == 'handle' and self.command.is_handled:
            need = self.place.c_type(item).need
            self.out.add(f'{lhs} = neep_vk_get_objects(d, {self.place.expression(item.count)}, {type_constant(item.type)}, {need});')
        elif item.kind == 'scalar' and item.type == 'u8':
            self.out.add(f'{lhs} = neep_vk_get_bytes(d, {self.place.expression(item.count)});')
        else:
            super().array(item, lhs)

    def output(self, item):
        name, out, struct = item.name, self.out, self.types.structs.get(item.type)
        if not item.is_array:
            if struct is not None:
                out.add(f'{struct.c_name} {name}_value = {{ 0 }};')
                out.add(f'struct neep_vk_out *{name}_out = neep_vk_shape_{struct.name}(d, &{name}_value);')
                self.locals += [f'{name}_value', f'{name}_out']
                return
            out.add(f'{name} = neep_vk_get_room(d, 1, sizeof(*{name}), {SCALARS.get(item.type, 8)});')
            return
        count = self.place.expression(item.count)
        size = self.types.element(item)[0]
        if struct is None or struct.fixed is not None:
            if item.type == 'u8':
                # The guest may look at what the driver has left alone.
                out.add(f'{name} = neep_vk_get_copy(d, {count}, 1);')
            else:
                out.add(f'{name} = neep_vk_get_room(d, {count}, sizeof(*{name}), {size});')
        else:
            self.output_chains(item, struct)
        if item.kind == 'slot' and not self.command.is_handled:
            out.add(f'{name}_handles = neep_vk_call_alloc(&d->call, {count}, sizeof(uint64_t));')

    def output_chains(self, item, struct):
        name, out, count = item.name, self.out, self.place.expression(item.count)
        out.add(f'{name} = neep_vk_get_array(d, {count}, sizeof(*{name}), {struct.smallest});')
        out.add(f'{name}_outs = {name} == NULL ? NULL : neep_vk_get_outs(d, {count});')
        out.open(f'for (uint64_t i = 0; {name}_outs != NULL && i < {count}; i++)')
        out.add(f'{name}_outs[i] = neep_vk_shape_{struct.name}(d, &{name}[i]);')
        out.close()


def release_functions(registry, wire):
    """[(handle, destroying command's member)] for what a device's commands destroy."""
    found = []
    for name in wire.commands:
        match = re.fullmatch(r'vkDestroy(\w+)', name)
        if match and name not in ('vkDestroyInstance', 'vkDestroyDevice') and registry.command(name) and \
                not wire.commands[name].status.startswith('alias'):
            found.append((wire.commands[name].request[1].type, name[2:]))
    return found


def release_source(registry, wire):
    declared, out = [], Lines()
    for handle, member in release_functions(registry, wire):
        declared.append(f'void neep_vk_release_{handle}(struct neep_vk_object *object);')
        out.open(f'void neep_vk_release_{handle}(struct neep_vk_object *object)')
        out.add('struct neep_vk_device *device = object->device;')
        out.open(f'if (device->vk.{member} != NULL)')
        out.add(f'device->vk.{member}((VkDevice)device->base.handle, (Vk{handle})object->handle, NULL);')
        out.close()
        out.close()
        out.add('')
    return declared, out.text()
