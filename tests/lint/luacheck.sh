#!/bin/sh
# luacheck.sh - the rules, the recipes and the lints are clean Lua 5.4 (.luacheckrc)
set -eu
if ! command -v luacheck >/dev/null; then
    echo "note luacheck: luacheck is not installed: not checked (make deps-test)"
    echo "0 passed, 0 failed"
    exit 0
fi
passed=0
failed=0
folders=
for path in rules recipes tests/lint build.lua; do
    [ ! -e "$path" ] || folders="$folders $path"
done

if printf 'local x = 1\nreturn y\n' | luacheck --filename rules/planted.lua - >/dev/null 2>&1; then
    failed=$((failed + 1))
    echo "FAIL luacheck: self-test: an unused local and an unknown global are not noticed"
else
    passed=$((passed + 1))
fi
# shellcheck disable=SC2086
if out=$(luacheck --codes --no-color --formatter plain $folders 2>&1); then
    passed=$((passed + 1))
    echo "ok luacheck"
else
    failed=$((failed + 1))
    printf '%s\n' "$out" | sed 's/^/FAIL luacheck: /'
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
