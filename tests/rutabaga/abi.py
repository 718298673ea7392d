#!/usr/bin/env python3
"""Turns abi.tsv into C: a function per release and struct that compares the facts of a published header with ours."""

import sys

NEWEST = "2026-08"


def read(path):
    """Yields (release, kind, name, value, size); a row of both releases comes twice."""
    with open(path, encoding="utf-8") as table:
        for line in table:
            if line.strip() and not line.startswith("#"):
                release, kind, name, value, *size = line.rstrip("\n").split("\t")
                for one in ("0.1.2", NEWEST) if release == "both" else (release,):
                    yield one, kind, name, value, size[0] if size else ""


def group_of(kind, name):
    return "struct " + name.split(".")[0] if kind in ("struct", "member") else "constants" if kind == "dropped" else kind + "s"


def expression(release, kind, name, value, size):
    """What is true where our header says the same."""
    if kind == "constant":
        return f"(uint32_t)({name}) == {value}u"
    if kind == "struct":
        # Older structs are the beginning of ours: their members have rows of their own.
        return f"sizeof(struct {name}) {'==' if release == NEWEST else '>='} {value}"
    if kind == "member":
        struct, member = name.split(".", 1)
        return f"offsetof(struct {struct}, {member}) == {value} && sizeof(((struct {struct} *)NULL)->{member}) == {size}"
    if kind == "callback":
        return f"__builtin_types_compatible_p({name}, {value.replace('(', '(*)(', 1)})"
    if kind == "function":
        return f'__builtin_types_compatible_p(__typeof__({name}), {value}) && is_exported("{name}")'
    raise SystemExit(f"abi.tsv: unknown kind {kind}")


def statements(row):
    kind, name = row[1:3]
    if kind == "dropped":
        return [f"#ifdef {name}", f'\tfact("{name}", false);', "#else", f'\tfact("{name}", true);', "#endif"]
    return [f'\tfact("{name}", {expression(*row)});']


def main(source, target):
    groups = {}
    for row in read(source):
        groups.setdefault(f"{row[0]}: {group_of(*row[1:3])}", []).append(row)
    lines = []
    for number, rows in enumerate(groups.values()):
        lines += [f"static void group_{number}(void) {{", *(line for row in rows for line in statements(row)), "}"]
    lines += ["static const struct group groups[] = {"]
    lines += [f'\t{{ "{title}", group_{number} }},' for number, title in enumerate(groups)]
    lines += ["};", ""]
    with open(target, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
