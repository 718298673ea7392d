#!/usr/bin/env python3
"""Sizes of the structs that may stand in the chain of VkDeviceCreateInfo, as lines of a C table, from Khronos' registry.

usage: sizes.py CODEGEN VK_XML OUTPUT
"""
import sys


def main():
    sys.path.insert(0, sys.argv[1])
    from vkgen import registry
    known = registry.load(sys.argv[2])
    with open(sys.argv[3], 'w', encoding='utf-8') as file:
        for name, struct in sorted(known.structs.items()):
            number = known.structure_type(struct)
            if 'VkDeviceCreateInfo' in struct.extends and name in known.known and number is not None:
                file.write(f'{{ {number}, sizeof({name}) }},\n')


if __name__ == '__main__':
    main()
