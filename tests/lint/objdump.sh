#!/bin/sh
# objdump.sh B - no object that decides output bytes fuses, estimates, or calls a libm that may
#
#   objdump.sh [BUILD_FOLDER]  checks its engine/kernel, engine/op and engine/base/fmath objects
#                              (default build/release), after a self-test that it would notice
#
# Fused multiply-adds live in kernel/fused*.c alone (merge.linear is defined by one). Of libm only
# functions with one right answer may be called: sqrt, floor and kin.
set -eu

fused='\b(vfn?m(add|sub)[0-9a-z]*|fn?m(add|sub)|fml[as])\b'
estimate='\bv?(rcp|rsqrt)(14|28)?[ps][sd]\b|\bfr(ecp|sqrt)[es]\b'
x87='\b(fld[1lptz]?[a-z0-9]*|fstp?[slt]?|fadd[a-z]*|fmul[a-z]*|fdiv[a-z]*)\b.*%st'
# Base names; each with or without f or l at the end.
libm='acos|acosh|asin|asinh|atan|atan2|atanh|cbrt|cos|cosh|erf|erfc|exp|exp10|exp2|expm1|hypot'
libm="$libm|lgamma|log|log10|log1p|log2|pow|sin|sincos|sinh|tan|tanh|tgamma"
libm="$libm|c(abs|exp|log|pow|sqrt)"

may_fuse() { # OBJECT
    case $1 in */kernel/fused*.o) ;; *) return 1 ;; esac
}

# check OBJECT: prints what is wrong with it; false if anything is.
check() {
    good=0
    wrong="$estimate|$x87"
    may_fuse "$1" || wrong="$wrong|$fused"
    found=$(objdump -d --no-show-raw-insn "$1" | sed -n 's/^[^\t]*\t//p' |
        grep -E -i "$wrong" | sort | uniq -c | head -n 5)
    if [ -n "$found" ]; then
        printf '%s: instructions whose rounding is not the written one:\n%s\n' "$1" "$found"
        good=1
    fi
    undefined=$(nm -u "$1" | awk '{print $NF}' | sed 's/@.*//')
    found=$(echo "$undefined" | grep -E "^($libm)[fl]?(_finite)?$" || true)
    if [ -n "$found" ]; then
        printf '%s: calls libm for %s: use base/fmath.h\n' "$1" "$(echo $found)"
        good=1
    fi
    if ! may_fuse "$1" && echo "$undefined" | grep -E -q '^fma[fl]?$'; then
        printf '%s: calls fma: only what a definition asks for may, through kernel/fused.h\n' "$1"
        good=1
    fi
    return $good
}

compile() { # NAME TEXT FLAGS...
    printf '%s\n' "$2" >"$folder/$1.c"
    name=$1
    shift 2
    "${CC:-gcc}" -O2 "$@" -c -o "$folder/$name.o" "$folder/$name.c" 2>"$folder/out"
}
refuses() { # NAME WHAT
    if check "$folder/$1.o" >"$folder/out"; then
        echo "objdump.sh: misses $2"
        return 1
    fi
}
accepts() {
    if ! check "$folder/$1.o" >"$folder/out"; then
        echo "objdump.sh: refuses $2"
        return 1
    fi
}

self_test() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    mkdir "$folder/kernel"
    sum='(double a, double b, double c) { return a * b + c; }'
    compile plain "double f$sum" -ffp-contract=off && accepts plain "plain code" || return 1
    compile libm 'double pow(double, double); double f(double a) { return pow(a, a); }' &&
        refuses libm "a call of pow" || return 1
    compile fma 'double fma(double, double, double); double f(double a) { return fma(a, a, a); }' &&
        refuses fma "a call of fma" || return 1
    cp "$folder/fma.o" "$folder/kernel/fused.o"
    accepts kernel/fused "the fma of fused.o" || return 1
    # Where the compiler can make the instruction, it must be seen.
    if compile fused "double f$sum" -mfma -ffp-contract=fast; then
        refuses fused "a fused multiply-add" || return 1
        compile kernel/fused_avx2 "double f$sum" -mfma -ffp-contract=fast
        accepts kernel/fused_avx2 "the fused multiply-add of fused_avx2.o" || return 1
    fi
}

build=${1:-build/release}
passed=0
failed=0
if self_test; then
    passed=1
else
    failed=1
    echo "FAIL objdump: self-test"
fi
for object in "$build"/engine/kernel/*.o "$build"/engine/op/*.o "$build"/engine/base/fmath.o; do
    [ -e "$object" ] || continue
    if check "$object"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL objdump: $object"
    fi
done
if [ $((passed + failed)) -lt 3 ]; then
    failed=$((failed + 1))
    echo "FAIL objdump: no objects under $build: build first"
fi
[ $failed -ne 0 ] || echo "ok objdump"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
