#!/bin/bash
# run.sh - every benchmark, its figures on the screen and in bench/results/NAME.txt
set -u
cd "$(dirname "$0")/.." || exit 2
mkdir -p bench/results
for b in graph kernels quantize merge; do
    cpu=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)
    { echo "# $cpu, $(nproc) cores, $(./vbuild --version | head -n 1)"
      "bench/$b.sh"; } | tee "bench/results/$b.txt"
done
