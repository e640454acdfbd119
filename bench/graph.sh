#!/bin/bash
# graph.sh [N...] - CPU of a build that does nothing (by its snapshot, and with the recipe
# evaluated) and of one with a single change, against ninja on a graph of as many edges, in one
# run. Least of RUNS (9): the machine only ever adds.
set -u
cd "$(dirname "$0")/.." || exit 2
ninja=${NINJA:-/usr/bin/ninja} # not a Python shim of that name
[ -x "$ninja" ] || { echo "$ninja is missing: make deps-test" >&2; exit 1; }
vbuild=$PWD/vbuild recipe=$PWD/bench/graph.lua runs=${RUNS:-9}
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
export TIMEFORMAT='%U %S'

least() { # COMMAND...: the least user + system seconds, in ms
    for _ in $(seq "$runs"); do
        { time "$@" >/dev/null 2>&1; } 2>&1
    done | awk '{ t = 1000 * ($1 + $2); if (NR == 1 || t < m) m = t } END { printf "%.1f", m }'
}

least_change() { # COMMAND..., with a step number as its last word: each run is a change
    for i in $(seq "$runs"); do
        { time "$@" "$i" >/dev/null 2>&1; } 2>&1
    done | awk '{ t = 1000 * ($1 + $2); if (NR == 1 || t < m) m = t } END { printf "%.1f", m }'
}

ninja_world() { # N edges over N / 2 sources, groups of 50 and one end, as gen_graph of the spec
    mkdir -p ninja/src && cd ninja || exit 2
    awk -v n="$1" 'BEGIN {
        print "rule make\n  command = : > $out"
        for (i = 0; i < n; i++) printf "build out/%d: make src/%d\n", i, i / 2
    }' >build.ninja
    seq 0 $((($1 + 1) / 2)) | sed 's|^|src/|' | xargs touch
    "$ninja" -j2 >/dev/null
    cd ..
}
ninja_change() { touch ninja/src/7; "$ninja" -C ninja; }
vbuild_change() { "$vbuild" -q -D n="$1" -D gain="1.$2" "$recipe"; }

printf '%8s %23s %21s %23s\n' nodes 'no-op ms (ninja)' 'evaluated ms' 'one change ms (ninja)'
for n in "${@:-1000 10000 100000}"; do
    for k in $n; do
        rm -rf "${dir:?}"/* && cd "$dir" || exit 2
        echo 'return {}' >build.lua
        "$vbuild" -q -D n="$k" "$recipe" || exit 1
        ninja_world "$k"
        noop=$(least "$vbuild" -q -D n="$k" "$recipe") ninja_noop=$(least "$ninja" -C ninja)
        full=$(least "$vbuild" --no-snapshot -q -D n="$k" "$recipe")
        change=$(least_change vbuild_change "$k") ninja_changed=$(least ninja_change)
        awk -v k="$k" -v a="$noop" -v b="$ninja_noop" -v f="$full" -v c="$change" \
            -v d="$ninja_changed" 'BEGIN {
                printf "%8d %8.1f (%6.1f) %5.3fx %13.1f %5.2fx %8.1f (%6.1f) %5.2fx\n",
                    k, a, b, a / b, f, f / b, c, d, c / d
            }'
    done
done
