#!/bin/sh
# What is written about the programs agrees with them, as TAP. Arguments: source folder, build folder.
set -eu
source=$1
build=$2
number=0
status=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

result() { # NAME FINDINGS
    number=$((number + 1))
    if [ -z "$2" ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        echo "$2" | sed 's/^/# /'
        status=1
    fi
}

difference() { # what stands in one of two sorted files only
    diff "$1" "$2" | grep '^[<>]' || true
}

lint() {
    for page in "$source"/docs/man/*.1; do
        if command -v mandoc >/dev/null; then
            mandoc -Tlint -W warning "$page" 2>&1 || true
        elif command -v groff >/dev/null; then
            groff -mdoc -ww -z -Tascii "$page" 2>&1 || true
        fi
    done
}
result man_pages_are_well_formed "$(lint)"

for program in src/daemon/vhost-user-neep src/renderer/neep-renderer guest/wayland/neep-wayland; do
    [ -x "$build/$program" ] || continue
    "$build/$program" --help | sed -n 's/^  --\([a-z0-9-]*\).*/\1/p' | sort -u >"$work/options"
    grep -hoE 'Fl -[a-z0-9-]+' "$source/docs/man/${program##*/}.1" | sed 's/Fl -//' | sort -u >"$work/written"
    result "every_option_has_its_place_in_the_man_page ${program##*/}" "$(difference "$work/options" "$work/written")"
done

"$build/src/cli/neep" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort >"$work/commands"
sed -n 's/^\.It Cm //p' "$source/docs/man/neep.1" | sort >"$work/written"
result every_command_has_its_place_in_the_man_page "$(difference "$work/commands" "$work/written")"

cat "$source"/src/device/*.c | tr -d '\n\t ' | grep -oE 'NEEP_TRACE[0-9]\([a-z_]+' | sed 's/.*(//' | sort -u >"$work/probes"
sed -n 's/^| `\([a-z_]*\)`.*/\1/p' "$source/docs/tracing.md" | sort >"$work/written"
result every_trace_point_is_written_about "$(difference "$work/probes" "$work/written")"

descriptor() {
    python3 - "$build/data/40-neep-gpu.json" <<'END' 2>&1
import json, os, sys
d = json.load(open(sys.argv[1]))
if d.get("type") != "gpu" or not d.get("description"):
    print("not a descriptor of a GPU:", d)
if not os.path.isabs(d["binary"]) or not d["binary"].endswith("/vhost-user-neep"):
    print("not the path of the program:", d["binary"])
END
}
result descriptor_names_the_program "$(descriptor)"

capabilities() {
    "$build/src/daemon/vhost-user-neep" --print-capabilities | python3 -c '
import json, sys
if json.load(sys.stdin) != {"type": "gpu", "features": []}:
    print("other capabilities than those of this build")' 2>&1
}
result capabilities_are_json "$(capabilities)"

echo "1..$number"
exit $status
