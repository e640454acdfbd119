#!/bin/sh
# install.sh - the peers that tests/peers and bench compare with, once for each set of versions
#
# A Python environment (mergekit, torch, transformers, ...), two real models, and llama.cpp's
# tools, built with their default flags. What is there already is left alone; a stopped run is begun again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/where.sh"
say() { echo "peers: $1"; }

# A set is complete when its stamp is there; the stamp is made last.
if [ ! -e "$peer_venv/complete" ]; then
    say "installing Python packages into $peer_venv"
    rm -rf "$peer_venv"
    mkdir -p "$peers"
    python3 -m venv "$peer_venv"
    # torch alone and first: what comes after takes the version that is there.
    # shellcheck disable=SC2086
    set -- $peer_pins
    "$peer_venv/bin/pip" install -q "$1"
    shift
    "$peer_venv/bin/pip" install -q "$@"
    "$peer_venv/bin/pip" install -q cmake setuptools wheel scikit-build-core ninja
    touch "$peer_venv/complete"
fi

if [ ! -e "$peer_weights/complete" ]; then
    say "installing real weights into $peer_weights"
    rm -rf "$peer_weights"
    # shellcheck disable=SC2086
    "$peer_venv/bin/pip" install -q --no-deps --target "$peer_weights" $peer_weight_pins
    touch "$peer_weights/complete"
fi

llama=$peers/llama-$peer_llama
if [ ! -e "$llama/complete" ]; then
    say "building llama.cpp's tools in $llama (ten minutes and more)"
    rm -rf "$llama"
    mkdir -p "$llama/archive" "$llama/source"
    PATH=$peer_venv/bin:$PATH
    pip download -q --no-deps --no-build-isolation --no-binary llama-cpp-python \
        -d "$llama/archive" "llama-cpp-python==$peer_llama"
    tar -xzf "$llama"/archive/*.tar.gz -C "$llama/source" --strip-components=1
    # shellcheck disable=SC2086
    {
        cmake -S "$peer_source" -B "$llama/build" &&
            nice -n 10 cmake --build "$llama/build" -j"$(nproc)" --target $peer_tools
    } >"$llama/build.log" 2>&1 || {
        tail -n 20 "$llama/build.log" >&2
        exit 1
    }
    find "$llama/build" -name '*.o' -delete
    rm -rf "$llama/archive"
    touch "$llama/complete"
fi
say "ready in $peers"
