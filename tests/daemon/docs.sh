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

neep() { # WORDS, at one space each
    # shellcheck disable=SC2086
    "$build/src/cli/neep" $1 --help
}
neep "" | sed -n 's/^  \([a-z]*\) .*/\1/p' >"$work/commands"
while read -r command; do # "bench vulkan" and the like stand in the usage of their command
    neep "$command" | sed -n "s/^ *neep \($command [a-z]*\) \[.*/\1/p"
done <"$work/commands" >"$work/subcommands"
sort "$work/commands" "$work/subcommands" >"$work/all"
page=$source/docs/man/neep.1
sed -n 's/^\.It Cm //p' "$page" | sort >"$work/written"
result every_command_has_its_place_in_the_man_page "$(difference "$work/all" "$work/written")"

options_written() { # COMMAND HOW: in the synopsis, or each with its paragraph
    awk -v command="$1" -v how="$2" '
        /^\.Sh / { part = $2; is_here = 0 }
        part == "SYNOPSIS" && /^\.Nm/ { is_here = 0 }
        part == "SYNOPSIS" && $0 == ".Cm " command { is_here = 1 }
        part == "DESCRIPTION" && /^\.It Cm / { is_here = $0 == ".It Cm " command }
        is_here && (part == "SYNOPSIS" || /^\.It Fl /) && part == how' "$page" |
        grep -oE 'Fl -[a-z0-9-]+' | sed 's/Fl -//' | sort -u
}
while read -r command; do
    neep "$command" | sed -nE 's/^(Usage:.* )? {0,6}--([a-z0-9-]+).*/\2/p' | grep -v '^help$' | sort -u >"$work/options"
    options_written "$command" SYNOPSIS >"$work/written"
    findings=$(difference "$work/options" "$work/written")
    # A control socket alone is explained at the top of the page.
    options_written "$command" DESCRIPTION >"$work/written"
    if [ "$(cat "$work/options")" != control ]; then
        findings=$findings$(difference "$work/options" "$work/written")
    fi
    result "every_option_has_its_place_in_the_man_page neep $command" "$findings"
done <"$work/all"

cat "$source"/src/device/*.c | tr -d '\n\t ' | grep -oE 'NEEP_TRACE[0-9]\([a-z_]+' | sed 's/.*(//' | sort -u >"$work/probes"
# shellcheck disable=SC2016
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
