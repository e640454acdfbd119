#!/bin/sh
# pages.sh - every recipe of the pages plans, and the README shows what the program really prints
exec lua5.4 tests/e2e/pages.lua "$@"
