#!/bin/bash
# Runs the programs of tests/vulkan on the host's Vulkan and through neep, compares what they write byte for byte, and prints
# TAP. What a program says it cannot do through neep, although it can without, is a failure unless tests/vulkan/not-offered
# names and explains it.
set -u
cd "$(dirname "$0")/.." || exit 1

usage() {
    cat <<END
usage: scripts/check-vulkan.sh BUILD [OPTION]... [PROGRAM...]
  BUILD           the build folder; PROGRAM is one of its tests/vulkan/vk-PROGRAM (default: all)
  --mesa SUITE    the Mesa of that release, in a tree of scripts/mesa-tree.sh (default: trixie; host: this machine's own)
  --wrapper TEXT  what the programs run under (default: BUILD/src/cli/neep run --)
  --native        run them without it only
  --keep FOLDER   where the results go and stay (default: a folder that is removed)
END
}

die() {
    echo "check-vulkan: $*" >&2
    exit 1
}

TIME_LIMIT=180
mesa=trixie
build=
wrapper=
native_only=
keep=
programs=()
while [ $# -gt 0 ]; do
    case $1 in
    --mesa) mesa=${2?$1 needs a value} && shift ;;
    --wrapper) wrapper=${2?$1 needs a value} && shift ;;
    --keep) keep=${2?$1 needs a value} && shift ;;
    --native) native_only=1 ;;
    --help)
        usage
        exit 0
        ;;
    -*)
        usage >&2
        exit 2
        ;;
    *) if [ -z "$build" ]; then build=$1; else programs+=("$1"); fi ;;
    esac
    shift
done
if [ -z "$build" ]; then
    usage >&2
    exit 2
fi
build=$(cd "$build" && pwd) || exit 1
wrapper=${wrapper:-$build/src/cli/neep run --}

enter=()
if [ "$mesa" != host ]; then
    enter=("$(scripts/mesa-tree.sh "$mesa")") || exit 1
fi

out=$keep
if [ -z "$out" ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
fi

if [ ${#programs[@]} = 0 ]; then
    for path in "$build"/tests/vulkan/vk-*; do
        [ -d "$path" ] || [ ! -x "$path" ] || programs+=("${path##*/vk-}")
    done
fi
[ ${#programs[@]} != 0 ] || die "no programs in $build/tests/vulkan (libvulkan-dev and glslang-tools are needed to build them)"

# Runs vk-$2 for at most TIME_LIMIT seconds, under what follows; its files go to $out/$1/$2, its words to $out/$1/$2.log.
run() { # KIND PROGRAM [WRAPPER...]
    local kind=$1 program=$2 start=${EPOCHREALTIME/./}
    shift 2
    mkdir -p "$out/$kind"
    rm -rf "${out:?}/$kind/$program"
    mkdir "$out/$kind/$program"
    timeout --kill-after=5 "$TIME_LIMIT" "${enter[@]}" "$@" "$build/tests/vulkan/vk-$program" "$out/$kind/$program" \
        >"$out/$kind/$program.log" 2>&1
    status=$?
    took=$(((${EPOCHREALTIME/./} - start) / 1000))
}

# Parts that a log says were skipped.
skipped() { # LOG
    sed -n 's/^skip \([^:]*\): .*/\1/p' "$1" | sort
}

# Prints what is wrong between the two runs of a program; nothing: they agree.
differences() { # PROGRAM
    local part
    for part in $(comm -13 <(skipped "$out/native/$1.log") <(skipped "$out/neep/$1.log")); do
        grep -q "^$1 $part " tests/vulkan/not-offered || echo "skipped through neep only: $part"
    done
    # A subject that only neep can do has its own checks, and nothing to be compared with.
    if ! grep -q '^skip all:' "$out/native/$1.log" && ! grep -q '^skip all:' "$out/neep/$1.log"; then
        diff -r "$out/native/$1" "$out/neep/$1" 2>&1 | head -n 20
    fi
}

# " # SKIP REASON" where a run could not do its subject at all. What must not be offered was tested by that.
skip_note() { # LOG PROGRAM
    if grep -q "^$2 all " tests/vulkan/not-offered; then
        sed -n 's/^skip all:\(.*\)/ (explained:\1)/p' "$1"
    else
        sed -n 's/^skip all:/ # SKIP/p' "$1"
    fi
}

number=0
failed=0
result() { # ok|not ok NAME [DETAILS]
    number=$((number + 1))
    echo "$1 $number - $2"
    # shellcheck disable=SC2001
    [ -z "${3:-}" ] || echo "$3" | sed 's/^/# /'
    [ "$1" = ok ] || failed=1
}

ended_well() {
    [ "$status" = 0 ] || [ "$status" = 77 ]
}

for program in "${programs[@]}"; do
    name=vulkan_${program}_on_$mesa
    run native "$program"
    native_time=$took
    if ! ended_well; then
        result "not ok" "$name" "without neep it ends with $status:
$(tail -n 20 "$out/native/$program.log")"
    elif [ -n "$native_only" ]; then
        result ok "$name ($native_time ms)$(skip_note "$out/native/$program.log" "$program")"
    else
        # shellcheck disable=SC2086
        run neep "$program" $wrapper
        if ! ended_well; then
            result "not ok" "$name" "through neep it ends with $status:
$(tail -n 20 "$out/neep/$program.log")"
        else
            found=$(differences "$program")
            if [ -z "$found" ]; then
                result ok "$name ($native_time ms, through neep $took ms)$(skip_note "$out/neep/$program.log" "$program")"
            else
                result "not ok" "$name" "$found"
            fi
        fi
    fi
    # The largest of them write 128 MiB each.
    [ -n "$keep" ] || rm -rf "$out/native" "$out/neep"
done
echo "1..$number"
exit $failed
