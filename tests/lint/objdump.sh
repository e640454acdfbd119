#!/bin/sh
# objdump.sh B - no object that decides output bytes fuses, estimates, or calls a libm that may
#
#   objdump.sh BUILD_FOLDER    checks its engine/kernel, engine/op and engine/base/fmath objects
#   objdump.sh --self-test     checks that it would notice
#
# Fused multiply-adds live in kernel/fma.o alone (merge.linear is defined by one); whoever needs
# one calls it. Of libm only functions with one right answer may be called: sqrt, floor and kin.
set -eu

fused='\b(vfn?m(add|sub)[0-9a-z]*|fn?m(add|sub)|fml[as])\b'
estimate='\bv?(rcp|rsqrt)(14|28)?[ps][sd]\b|\bfr(ecp|sqrt)[es]\b'
x87='\b(fld[1lptz]?[a-z0-9]*|fstp?[slt]?|fadd[a-z]*|fmul[a-z]*|fdiv[a-z]*)\b.*%st'
# Base names; each with or without f or l at the end.
libm='acos|acosh|asin|asinh|atan|atan2|atanh|cbrt|cos|cosh|erf|erfc|exp|exp10|exp2|expm1|hypot'
libm="$libm|lgamma|log|log10|log1p|log2|pow|sin|sincos|sinh|tan|tanh|tgamma|c(abs|exp|log|pow|sqrt)"

# check OBJECT: prints what is wrong with it; false if anything is.
check() {
    good=0
    allow='^$'
    case $1 in */kernel/fma.o) allow=$fused ;; esac
    found=$(objdump -d --no-show-raw-insn "$1" | cut -f2- |
        grep -E -i "$fused|$estimate|$x87" | grep -E -v "$allow" | sort | uniq -c | head -n 5)
    if [ -n "$found" ]; then
        printf '%s: instructions whose rounding is not the written one:\n%s\n' "$1" "$found"
        good=1
    fi
    found=$(nm -u "$1" | awk '{print $NF}' | sed 's/@.*//' | grep -E "^($libm)[fl]?(_finite)?$" || true)
    if [ -n "$found" ]; then
        printf '%s: calls libm for %s: use base/fmath.h\n' "$1" "$(echo $found)"
        good=1
    fi
    case $1 in */kernel/fma.o | */op/op_merge_linear.o) return $good ;; esac
    if nm -u "$1" | grep -E -q '\bfma[fl]?(@.*)?$'; then
        printf '%s: calls fma: only what a definition asks for may, through kernel/fma.h\n' "$1"
        good=1
    fi
    return $good
}

self_test() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    mkdir "$folder/kernel"
    echo 'double f(double a, double b, double c) { return a * b + c; }' >"$folder/plain.c"
    echo 'double pow(double, double); double f(double a) { return pow(a, a); }' >"$folder/libm.c"
    echo 'double fma(double, double, double); double f(double a) { return fma(a, a, a); }' \
        >"$folder/fma.c"
    cc=${CC:-gcc}
    for name in plain libm fma; do
        "$cc" -O2 -ffp-contract=off -c -o "$folder/$name.o" "$folder/$name.c"
    done
    check "$folder/plain.o" >"$folder/out" || { echo "objdump.sh: refuses plain code"; return 1; }
    ! check "$folder/libm.o" >"$folder/out" || { echo "objdump.sh: misses a call of pow"; return 1; }
    ! check "$folder/fma.o" >"$folder/out" || { echo "objdump.sh: misses a call of fma"; return 1; }
    cp "$folder/fma.o" "$folder/kernel/fma.o"
    check "$folder/kernel/fma.o" >"$folder/out" || { echo "objdump.sh: refuses fma.o"; return 1; }
    if "$cc" -O2 -mfma -ffp-contract=fast -c -o "$folder/fused.o" "$folder/plain.c" 2>"$folder/out"; then
        ! check "$folder/fused.o" >"$folder/out" || { echo "objdump.sh: misses an FMA"; return 1; }
    fi
}

if [ "${1:-}" = --self-test ]; then
    self_test
    exit
fi
build=${1:?usage: objdump.sh BUILD_FOLDER, or --self-test}
count=0
status=0
for object in "$build"/engine/kernel/*.o "$build"/engine/op/*.o "$build"/engine/base/fmath.o; do
    [ -e "$object" ] || continue
    count=$((count + 1))
    check "$object" || status=1
done
if [ "$count" -lt 2 ]; then
    echo "objdump.sh: no objects under $build: build first"
    exit 1
fi
exit $status
