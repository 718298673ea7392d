#!/bin/sh
# The rules that a machine can see, as TAP: formatting, findings of shellcheck, the direction of includes, lengths of functions
# and files.
set -eu
cd "$(dirname "$0")/.."
number=0
status=0

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

sources=$(git ls-files 'src/*.c' 'src/*.h' 'guest/*.c' 'guest/*.h' 'include/*.h' 'tests/*.c' 'tests/*.h')

# Formatters of other releases break other lines: the one of Debian 12 decides.
if clang-format --version | grep -q 'version 14\.'; then
    # shellcheck disable=SC2086
    result formatted_by_clang_format "$(clang-format --dry-run $sources 2>&1 | grep -E 'warning|error' | head -20)"
else
    echo "# formatting is not checked: clang-format is not version 14"
fi

# What other releases of it find differs.
if shellcheck --version 2>/dev/null | grep -q '^version: 0\.9\.'; then
    # shellcheck disable=SC2046
    result scripts_are_free_of_shellcheck_findings "$(shellcheck -f gcc $(git ls-files '*.sh') | head -20)"
else
    echo "# scripts are not checked: shellcheck is not version 0.9"
fi

# A room includes only what stands to its left; the public API stands beside util.
order='util asg worker virtio vhost_user vulkan renderer rutabaga twod gfxstream cross_domain display device daemon driver virtgpu layer wayland bench gauge vkbench wlbench cli'
allowed() { # ROOM -> rooms it may include
    case $1 in
    util) echo util ;;
    asg) echo util asg ;;
    worker) echo util worker ;;
    virtio) echo util virtio ;;
    vhost_user) echo util virtio vhost_user ;;
    rutabaga) echo util rutabaga twod ;;
    twod) echo util rutabaga twod ;;
    vulkan) echo util vulkan ;;
    gfxstream) echo util asg worker rutabaga gfxstream ;;
    cross_domain) echo util rutabaga cross_domain ;;
    display) echo util vhost_user display ;;
    device) echo util virtio display device ;;
    daemon) echo util virtio vhost_user rutabaga display device daemon ;;
    # Of the worker's room only the protocol.
    renderer) echo util asg worker vulkan renderer ;;
    driver) echo util vhost_user driver ;;
    virtgpu) echo util asg vhost_user driver virtgpu ;;
    # Stands in guest/ and is for guests. Of virtgpu's room only what the kernel's headers lack.
    wayland) echo util virtgpu wayland ;;
    layer) echo util layer ;;
    bench) echo util driver bench ;;
    gauge) echo gauge ;;
    vkbench) echo vkbench ;;
    wlbench) echo wlbench ;;
    cli) echo util daemon virtgpu bench cli ;;
    esac
}
wrong=
for room in $order; do
    folder=src/$room
    [ -d "$folder" ] || folder=guest/$room
    [ -d "$folder" ] || continue
    # shellcheck disable=SC2013
    for used in $(grep -hoE '#include "[a-z0-9_]+/' "$folder"/*.[ch] 2>/dev/null | sed 's/.*"//; s,/,,' | sort -u); do
        case " $(allowed "$room") " in
        *" $used "*) ;;
        *) wrong="$wrong$room includes $used
" ;;
        esac
    done
done
result includes_point_one_way "$wrong"

# No function above 80 lines, no file above 1000, headers of the public API up to 300 lines of declarations apart.
# shellcheck disable=SC2086
long=$(ctags --languages=C --kinds-C=f --fields=+ne -f - $sources 2>/dev/null | awk -F'\t' '{
    line = end = 0
    for (i = 4; i <= NF; i++) {
        if ($i ~ /^line:/) line = substr($i, 6)
        if ($i ~ /^end:/) end = substr($i, 5)
    }
    if (end - line + 1 > 80 ) printf "%s:%d %s has %d lines\n", $2, line, $1, end - line + 1
}')
result functions_have_at_most_80_lines "$long"
# shellcheck disable=SC2086
result files_have_at_most_1000_lines "$(wc -l $sources | awk '$1 > 1000 && $2 != "total" { print $2 " has " $1 " lines" }')"

echo "1..$number"
exit $status
