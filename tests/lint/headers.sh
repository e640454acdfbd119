#!/bin/sh
# headers.sh - every header compiles alone, and twice
set -eu
cc=${CC:-gcc}
flags="-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c"
# shellcheck disable=SC2046
libs=$(pkg-config --cflags lua5.4 libxxhash libzstd libpcre2-8 2>/dev/null || true)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

# alone HEADER ROOT: does it compile by itself, seen from ROOT?
alone() {
    printf '#include "%s"\n#include "%s"\nint lone;\n' "$1" "$1" |
        $cc $flags -I"$2" $libs - >"$folder/out" 2>&1
}

printf 'size_t n;\n' >"$folder/needs.h"
printf '#include <stddef.h>\nstruct twice {\n    size_t n;\n};\n' >"$folder/twice.h"
{
    printf '#ifndef GOOD_H\n#define GOOD_H\n'
    printf '#include <stddef.h>\nstruct good {\n    size_t n;\n};\n#endif\n'
} >"$folder/good.h"
for case in needs:1 twice:1 good:0; do
    got=0
    alone "${case%:*}.h" "$folder" || got=1
    if [ $got = "${case#*:}" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL headers: self-test '${case%:*}'"
    fi
done
for path in $(find engine -name '*.h' | LC_ALL=C sort); do
    if alone "${path#engine/}" engine; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL headers: $path:1: does not compile alone:"
        head -n 3 "$folder/out"
    fi
done
[ $failed -ne 0 ] || echo "ok headers"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
