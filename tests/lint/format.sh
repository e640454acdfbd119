#!/bin/sh
# format.sh - C is as clang-format 14 leaves it (.clang-format); another version differs in places
set -eu
tool=${CLANG_FORMAT:-clang-format-14}
if ! command -v "$tool" >/dev/null; then
    echo "note format: $tool is not installed: not checked (make deps-test)"
    echo "0 passed, 0 failed"
    exit 0
fi
passed=0
failed=0
check() { "$tool" --dry-run -Werror "$@" 2>&1; }

if printf 'int  f( void );\n' |
    "$tool" --dry-run -Werror --assume-filename=engine/base/a.c 2>/dev/null; then
    failed=$((failed + 1))
    echo "FAIL format: self-test: bad format is not noticed"
else
    passed=$((passed + 1))
fi
list=$(find engine tests/unit tests/fuzz -name '*.[ch]' | LC_ALL=C sort)
# shellcheck disable=SC2086
if out=$(check $list); then
    passed=$((passed + 1))
    echo "ok format"
else
    failed=$((failed + 1))
    printf '%s\n' "$out" | sed -n 's/^\([^ ]*\):\([0-9]*\):[0-9]*: error:.*/\1 \2/p' |
        awk '!($1 in n) { order[++k] = $1; line[$1] = $2 } { n[$1]++ }
            END { for (i = 1; i <= k; i++) { f = order[i]
                printf "FAIL format: %s:%s: %d places; run clang-format-14 -i %s\n",
                    f, line[f], n[f], f } }'
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
