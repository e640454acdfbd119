#!/bin/sh
# run.sh [CHECK...] - the checks against the real peers: what `make test-peers` runs
#
# Each check is a Python program of this folder (check_NAME.py); without arguments all run.
# VBUILD names the program under test. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/peers/where.sh
for stamp in "$peer_venv/complete" "$peer_weights/complete" "$peers/llama-$peer_llama/complete"; do
    [ -e "$stamp" ] || {
        echo "run.sh: the peers are not installed ($stamp): run make peers" >&2
        exit 1
    }
done
VBUILD=${VBUILD:-$PWD/vbuild}
case $VBUILD in /*) ;; *) VBUILD=$PWD/$VBUILD ;; esac
[ -x "$VBUILD" ] || {
    echo "run.sh: there is no $VBUILD: run make" >&2
    exit 1
}
export VBUILD PEER_BIN="$peer_bin" PEER_SOURCE="$peer_source" PEER_VENV="$peer_venv" \
    PEER_WEIGHTS="$peer_weights"
# No peer may reach for the net; sums of one thread are the same from run to run.
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
list=
[ $# -gt 0 ] || set -- merge methods dropin refused merged yaml load llama convert quantize split words writer real
for name in "$@"; do
    list="$list|$peer_python tests/peers/check_$name.py"
done
IFS='|'
set -f
# shellcheck disable=SC2086
set -- ${list#|}
unset IFS
TEST_SLOW=0 exec tests/run.sh "$@"
