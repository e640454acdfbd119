#!/bin/sh
# lint.sh - the style gates; needs ./vbuild or build/release/vbuild for the pages
set -eu
cd "$(dirname "$0")/.."
exec tests/run.sh tests/lint/*.lua tests/lint/*.sh
