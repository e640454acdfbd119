#!/bin/sh
# runner.sh - tests/run.sh notices every way in which a test can fail
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

# case_ NAME TOTALS CODE COMMAND...: the last line and the exit code of run.sh
case_() {
    name=$1 totals=$2 code=$3
    shift 3
    got=0
    TEST_SECONDS=1 tests/run.sh "$@" >"$folder/out" 2>&1 || got=$?
    if [ "$(tail -n 1 "$folder/out")" = "$totals" ] && [ "$got" -eq "$code" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL runner: $name: exit $got, not $code, or not '$totals':"
        sed 's/^/    /' "$folder/out"
    fi
}
# script NAME TEXT
script() {
    printf '#!/bin/sh\n%s\n' "$2" >"$folder/$1"
    chmod +x "$folder/$1"
}
script good 'echo "3 passed, 0 failed"'
script twice 'echo "1 passed, 0 failed"; echo "2 passed, 0 failed"; test "$1" = word'
script bad 'echo "3 passed, 2 failed"; exit 1'
script lies 'echo "3 passed, 2 failed"'
script crash 'echo "3 passed, 0 failed"; kill -KILL $$'
script mute 'exit 0'
script late 'echo "3 passed, 0 failed"; exit 7'
script hang 'echo "1 passed, 0 failed"; exec sleep 30'

case_ totals_are_added "6 passed, 0 failed" 0 "$folder/good" "$folder/twice word"
case_ failures_are_counted "6 passed, 2 failed" 1 "$folder/good" "$folder/bad"
case_ a_failure_with_exit_0_is_one "3 passed, 2 failed" 1 "$folder/lies"
case_ a_crash_is_a_failure "6 passed, 1 failed" 1 "$folder/crash" "$folder/good"
case_ silence_is_a_failure "0 passed, 1 failed" 1 "$folder/mute"
case_ an_exit_code_is_a_failure "3 passed, 1 failed" 1 "$folder/late"
case_ a_hang_is_a_failure "1 passed, 1 failed" 1 "$folder/hang"
case_ a_missing_program_is_a_failure "3 passed, 1 failed" 1 "$folder/none" "$folder/good"
[ $failed -ne 0 ] || echo "ok runner"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
