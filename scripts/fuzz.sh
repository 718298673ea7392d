#!/bin/sh
# Runs every fuzz target of a build folder for a short fixed time over its seeds, as TAP.
# usage: scripts/fuzz.sh FOLDER [SECONDS EACH]
set -eu
cd "$(dirname "$0")/.."
folder=$1
seconds=${2:-20}
number=0
status=0
for target in "$folder"/tests/fuzz/fuzz_*; do
    [ -f "$target" ] || continue
    [ -x "$target" ] || continue
    name=$(basename "$target")
    case $name in *.p) continue ;; esac
    number=$((number + 1))
    work=$(mktemp -d)
    if "$target" -max_total_time="${seconds:-20}" -timeout=60 -rss_limit_mb=2048 -artifact_prefix="$folder/" \
        -print_final_stats=1 "$work" "tests/fuzz/corpus/${name#fuzz_}" >"$folder/$name.log" 2>&1; then
        runs=$(sed -n 's/.*number_of_executed_units: //p' "$folder/$name.log")
        echo "ok $number - $name (${runs:-?} inputs in $seconds s)"
    else
        echo "not ok $number - $name"
        tail -n 40 "$folder/$name.log" | sed 's/^/# /'
        status=1
    fi
    rm -rf "$work"
done
[ "$number" -gt 0 ] || { echo "not ok - no fuzz target was built"; status=1; }
echo "1..$number"
exit $status
