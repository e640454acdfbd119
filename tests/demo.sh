#!/bin/sh
# demo.sh - what `make demo` shows: a first build, a second that does nothing, one changed line
set -eu
cd "$(dirname "$0")/.."
recipe=build/demo-changed.lua
say() { printf '\n\033[1m%s\033[0m\n' "$1"; }
[ -t 1 ] || say() { printf '\n%s\n' "$1"; }

say '$ ./vbuild recipes/demo.lua'
./vbuild recipes/demo.lua
say '$ ./vbuild recipes/demo.lua        # again: nothing to do'
./vbuild recipes/demo.lua
sed 's/ffn_gate = "q4_k" })/ffn_gate = "q5_k" })/' recipes/demo.lua >"$recipe"
say "\$ diff recipes/demo.lua $recipe"
diff recipes/demo.lua "$recipe" || true
say "\$ ./vbuild --explain $recipe M      # one line changed"
./vbuild --explain "$recipe" M
say '$ ./vbuild inspect outputs/demo-M.gguf | tail -n 12'
./vbuild inspect outputs/demo-M.gguf | tail -n 12
