#!/bin/bash
# all.sh - everything that `make test` runs, in the order in which failures are cheapest
#
# Builds: release (what users run), debug (fault points), san (ASan and UBSan), clang (the same
# bytes from another compiler). The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 2
jobs=$(nproc)
build() { # MODE FOLDER TARGET...
    mode=$1 folder=$2
    shift 2
    make --no-print-directory -s -j"$jobs" MODE="$mode" B="$folder" "$@" || exit 1
}
build release build/release vbuild units
build debug build/debug build/debug/vbuild units
build san build/san build/san/vbuild units fuzz
CC=clang-14 build release build/clang build/clang/vbuild
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

list=
for mode in release debug san; do
    for t in build/$mode/tests/unit/*/test_*; do
        case $t in *.d | *.o) ;; *) list="$list $t" ;; esac
    done
done
# shellcheck disable=SC2086
exec tests/run.sh tests/lint/*.lua tests/lint/*.sh $list tests/fuzz/replay.sh $(ls tests/e2e/*.sh | grep -v /lib.sh)
