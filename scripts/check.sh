#!/bin/bash
# make check: everything in order, each stage with its time; the last line is "N passed, N failed".
# usage: scripts/check.sh [--long]
set -u
cd "$(dirname "$0")/.." || exit 1
long=
[ "${1:-}" = --long ] && long=1

logs=build/check
rm -rf "$logs"
mkdir -p "$logs"
counted=()
broken=0
start=$SECONDS

stage() { # TITLE
    printf '== %s (%d s)\n' "$1" $((SECONDS - start))
}

# A stage that cannot run is a failed case of that name, not a silent gap.
require() { # NAME COMMAND...
    local name=$1
    shift
    if ! "$@" >"$logs/$name.log" 2>&1; then
        tail -n 40 "$logs/$name.log"
        echo "not ok - $name" >"$logs/$name.tap"
        counted+=("$logs/$name.tap")
        broken=1
        return 1
    fi
}

tap() { # NAME COMMAND...: a program that prints TAP
    local name=$1
    shift
    "$@" 2>"$logs/$name.err" | tee "$logs/$name.tap" | grep -vE '^(ok|#|1\.\.|TAP)' || true
    local status=${PIPESTATUS[0]}
    if [ "$status" -ne 0 ] && ! grep -q '^not ok' "$logs/$name.tap"; then
        echo "not ok - $name ended with status $status" >>"$logs/$name.tap"
        tail -n 20 "$logs/$name.err"
    fi
    grep -qE '^(ok|not ok)' "$logs/$name.tap" || echo "not ok - $name ran no case" >>"$logs/$name.tap"
    grep -cE '^ok' "$logs/$name.tap" | sed "s/^/   ok: /"
    grep -A12 -E '^not ok' "$logs/$name.tap" || true
    counted+=("$logs/$name.tap")
}

meson_tests() { # FOLDER ARGS...
    local folder=$1
    shift
    ${prefix:-} meson test -C "$folder" --no-rebuild --print-errorlogs "$@" | grep -vE '^(ninja|$|Full log|Expected Fail|Unexpected)' || true
    cp "$folder/meson-logs/testlog.json" "$logs/$folder.json"
    counted+=("$logs/$folder.json")
}

stage "packages"
scripts/deps.sh build check vm fuzz vulkan wayland || exit 1

stage "style"
tap style scripts/style.sh

stage "build"
CI=1 require build scripts/build.sh build || exit 1

stage "unit and device tests"
meson_tests build ${long:+--setup=long}

stage "the same under ASan and UBSan"
if CI=1 require build-asan scripts/build.sh build-asan -Db_sanitize=address,undefined -Db_lundef=false; then
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 meson_tests build-asan --timeout-multiplier 10
fi

stage "the threads of the driver, the library and the renderer under TSan"
threaded="driver-device driver-frontend driver-queue rutabaga-fence rutabaga-context rutabaga-init rutabaga-resource bench asg-ring renderer-process"
threaded+=" gfxstream-commands gfxstream-failures vulkan-threads"
if CC=clang CI=1 require build-tsan scripts/build.sh build-tsan -Db_sanitize=thread -Db_lundef=false; then
    # TSan knows few memory layouts: without randomisation it gets one of them.
    # shellcheck disable=SC2086
    prefix="setarch -R" meson_tests build-tsan --timeout-multiplier 10 $threaded
fi

stage "fuzzers"
if CC=clang CI=1 require build-fuzz scripts/build.sh build-fuzz -Dfuzz=true -Dtests=true -Db_sanitize=address,undefined -Db_lundef=false; then
    tap fuzz scripts/fuzz.sh build-fuzz "${long:+600}"
fi

stage "guests"
tap bare-guests scripts/check-guests.sh build --bare
tap guests scripts/check-guests.sh build ${long:+--long}

stage "Vulkan programs, with and without neep"
neep_run="$PWD/build/src/cli/neep run --"
for suite in trixie trixie-backports; do
    tap "vulkan-$suite" scripts/check-vulkan.sh build --mesa "$suite"
    if tree=$(scripts/mesa-tree.sh "$suite"); then
        tap "vulkaninfo-$suite" scripts/vulkaninfo-diff.py --enter "$tree" --wrapper "$neep_run"
    fi
done
tap kill scripts/check-kill.sh build
for compositor in sway weston; do
    tap "compositor-$compositor" scripts/check-compositor.sh build --compositor "$compositor"
    tap "compositor-$compositor-newer" scripts/check-compositor.sh build --compositor "$compositor" --mesa trixie-backports
done
tap compositor-proxy scripts/check-compositor.sh build --proxy
tap piglit scripts/check-piglit.sh build ${long:+--all-groups}
tap piglit-newer scripts/check-piglit.sh build --mesa trixie-backports --every 6 ${long:+--long}


stage "Wayland programs, with and without neep"
tap wayland scripts/check-wayland.sh build

stage "a Debian guest with Vulkan and Wayland, by neep vm"
tap whole-vm scripts/check-vm.sh build ${long:+--long}
tap front-ends scripts/check-front-ends.sh build

if [ -n "$long" ]; then
    stage "the same with our library inside a QEMU built for it"
    tap rutabaga-vm scripts/check-vm.sh build --long --front-end rutabaga
fi

read -r passed failed < <(scripts/count-tests.py "${counted[@]}")
printf '== done in %d s\n' $((SECONDS - start))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$broken" -eq 0 ]
