"""Function tables of the driver: one member per command, whatever it was called before it became core."""

from .text import Lines
from .derive import VENDORS

# They belong to no instance: whoever needs one asks the loader for it.
OF_THE_LOADER = ('vkGetInstanceProcAddr', 'vkEnumerateInstanceVersion', 'vkEnumerateInstanceExtensionProperties',
                 'vkEnumerateInstanceLayerProperties', 'vkCreateInstance')
OF_DEVICES = ('VkDevice', 'VkQueue', 'VkCommandBuffer')


class Tables:
    def __init__(self, registry, wire):
        self.members = {'instance': [], 'device': []}     # (member, PFN's command, names)
        of_wire = {}
        for name in wire.commands:
            known = registry.command(name)
            if known is not None and not wire.commands[name].status.startswith('alias'):
                of_wire[known.name] = name
        for known in registry.commands.values():
            if known.name in registry.known and known.name not in OF_THE_LOADER:
                self.add(registry, known, of_wire.get(known.name))

    def add(self, registry, known, wire_name):
        if wire_name is None and VENDORS.search(known.name):
            return
        name = wire_name or known.name
        names = registry.names_of_command(known.name)
        self.members[self.level(known)].append((name[2:], known.name, names))

    @staticmethod
    def level(known):
        return 'device' if known.params[0].type in OF_DEVICES and known.name != 'vkGetDeviceProcAddr' else 'instance'

    def declarations(self):
        lines = Lines()
        for level, members in self.members.items():
            lines.open(f'struct neep_vk_{level}_table')
            for member, known, _ in members:
                lines.add(f'PFN_{known} {member};')
            lines.close('};')
            lines.add('')
        lines.add('/* Fill a table: NULL where the driver has nothing. */')
        lines.add('void neep_vk_instance_table_load(',
                  '\tstruct neep_vk_instance_table *table, PFN_vkGetInstanceProcAddr get, VkInstance instance);')
        lines.add('void neep_vk_device_table_load(',
                  '\tstruct neep_vk_device_table *table, PFN_vkGetDeviceProcAddr get, VkDevice device);')
        return lines.text()

    def definitions(self):
        lines = Lines()
        lines.add('/* The names of each member, the core one first, each list ended by an empty one. */')
        for level, members in self.members.items():
            lines.add(f'static const char *const {level}_names[] = {{')
            lines.indent += 1
            lines.add(*['"' + ''.join(name + r'\0' for name in names) + '",' for _, _, names in members])
            lines.close('};')
        lines.add(*LOADERS.split('\n'))
        return lines.text()


LOADERS = '''
typedef PFN_vkVoidFunction (*get_fn)(const void *owner, neep_vk_get get, const char *name);

static PFN_vkVoidFunction from_instance(const void *owner, neep_vk_get get, const char *name) {
	VkInstance instance = *(const VkInstance *)owner;
	return ((PFN_vkGetInstanceProcAddr)get)(instance, name);
}

static PFN_vkVoidFunction from_device(const void *owner, neep_vk_get get, const char *name) {
	VkDevice device = *(const VkDevice *)owner;
	return ((PFN_vkGetDeviceProcAddr)get)(device, name);
}

struct source {
	get_fn find;
	const void *owner;
	neep_vk_get get;
};

static PFN_vkVoidFunction find_any(const struct source *source, const char *names) {
	for (const char *name = names; *name != 0; name += strlen(name) + 1) {
		PFN_vkVoidFunction fn = source->find(source->owner, source->get, name);
		if (fn != NULL) {
			return fn;
		}
	}
	return NULL;
}

static void load(void *table, const struct source *source, const char *const *names, size_t count) {
	for (size_t i = 0; i < count; i++) {
		PFN_vkVoidFunction fn = find_any(source, names[i]);
		memcpy((char *)table + i * sizeof(fn), &fn, sizeof(fn));
	}
}

void neep_vk_instance_table_load(
	struct neep_vk_instance_table *table, PFN_vkGetInstanceProcAddr get, VkInstance instance) {
	const struct source source = { from_instance, &instance, (neep_vk_get)get };
	load(table, &source, instance_names, sizeof(instance_names) / sizeof(instance_names[0]));
}

void neep_vk_device_table_load(
	struct neep_vk_device_table *table, PFN_vkGetDeviceProcAddr get, VkDevice device) {
	const struct source source = { from_device, &device, (neep_vk_get)get };
	load(table, &source, device_names, sizeof(device_names) / sizeof(device_names[0]));
}'''.replace('typedef PFN', 'typedef void (*neep_vk_get)(void);\ntypedef PFN', 1)
