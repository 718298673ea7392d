#!/bin/sh
# The shared library has its soname, and exports every function of the two headers and nothing else.
set -eu
lib=$1
include=$(dirname "$0")/../../include/rutabaga_gfx
readelf -d "$lib" | grep -q 'SONAME.*\[librutabaga_gfx_ffi\.so\.0\]'
declared=$(grep -ohE '\b(neep_)?rutabaga_[a-z0-9_]+\(' "$include"/*.h | grep -vE 'callback' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$lib" | awk '{ print $3 }' | sort -u)
if [ "$declared" != "$exported" ]; then
	echo "declared and exported functions differ:"
	printf '%s\n' "$declared" > "${TMPDIR:-/tmp}/declared.$$"
	printf '%s\n' "$exported" | diff "${TMPDIR:-/tmp}/declared.$$" - || true
	rm -f "${TMPDIR:-/tmp}/declared.$$"
	exit 1
fi
