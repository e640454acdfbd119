#!/bin/bash
# kernels.sh [TYPE...] - million weights per CPU second of every block type and instruction set
set -u
cd "$(dirname "$0")/.." || exit 2
program=${B:-build/release}/bench/kernels
make -s MODE=release B="${B:-build/release}" "$program" && "$program" "$@"
