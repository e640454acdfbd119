# lib.sh - what the end-to-end scripts share; sourced, POSIX sh, run from the root of the tree
#
# VBUILD and VBUILD_DEBUG name the programs (release; debug with fault points). Each case is one
# "ok NAME" or "FAIL NAME" line; `finish` prints "N passed, N failed".
root=$PWD
VBUILD=${VBUILD:-$root/build/release/vbuild}
VBUILD_DEBUG=${VBUILD_DEBUG:-$root/build/debug/vbuild}
VBUILD_CLANG=${VBUILD_CLANG:-$root/build/clang/vbuild}
scratch=$(mktemp -d) || exit 2
trap 'chmod -R u+w "$scratch" 2>/dev/null; rm -rf "$scratch"' EXIT
export HOME="$scratch/home" LC_ALL=C
unset VBUILD_CACHE VBUILD_JOBS VBUILD_MEM VBUILD_ISA VBUILD_FAULT VBUILD_TILE XDG_CACHE_HOME
mkdir "$HOME"
passed=0
failed=0

# ok NAME COMMAND...: a pass when the command succeeds
ok() {
    name=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        passed=$((passed + 1))
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "FAIL $name: $*"
        sed 's/^/    /' "$scratch/said" | tail -n 8
    fi
}

# same NAME WANT GOT
same() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        echo "FAIL $1: want '$2', got '$3'"
    fi
}

# vb ARGUMENTS...: run vbuild in the present folder; its messages in $scratch/err, its account in
# $scratch/out, its JSON lines in $scratch/json, its exit code in $code
vb() {
    "$VBUILD" --json="$scratch/json" "$@" >"$scratch/out" 2>"$scratch/err"
    code=$?
}

# of FIELD: a number or word of the end line of the last vb
of() {
    sed -n '/"e":"end"/s/.*"'"$1"'":"\{0,1\}\([^,"}]*\).*/\1/p' "$scratch/json" | head -n 1
}

# workspace NAME: a new folder with an empty build.lua, which is then the present one
workspace() {
    mkdir -p "$scratch/$1"
    cd "$scratch/$1" || exit 2
    echo 'return {}' >build.lua
}

digest() { # of a file, or of all files below a folder
    find "$@" -type f -exec sha256sum {} + | sort | sha256sum | cut -c1-32
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
