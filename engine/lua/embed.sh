#!/bin/sh
# embed.sh RULES_DIR: print a C file that holds every .lua file below it (embed.h)
set -eu
LC_ALL=C
export LC_ALL
cd "$1"
echo '/* made from rules/ by engine/lua/embed.sh */'
echo '#include "lua/embed.h"'
n=0
list=$(find . -name '*.lua' -type f | sed 's|^\./||; s|\.lua$||' | sort)
for name in $list; do
    echo "static const unsigned char text_$n[] = {"
    od -An -v -tx1 "$name.lua" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo '0};'
    n=$((n + 1))
done
echo 'const struct embedded embedded_rules[] = {'
n=0
for name in $list; do
    echo "    {\"$name\", (const char *)text_$n, sizeof(text_$n) - 1},"
    n=$((n + 1))
done
echo '};'
echo "const size_t embedded_rules_count = $n;"
