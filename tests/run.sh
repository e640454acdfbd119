#!/bin/sh
# run.sh COMMAND... - run tests one after the other and add up what they say
#
# Each argument is one command: a program or a script, with its arguments in the same word
# ("tests/lint/objdump.sh build/release"). A .lua file is run by lua5.4. A command says how it
# went with lines "N passed, N failed", and with its exit code; one that crashes, hangs, or says
# nothing counts as one failed. What a failed command printed is shown; of the others only notes
# are. The last line is "N passed, N failed" for all; the exit code is 1 when any failed.
#
#   TEST_SECONDS  how long one command may take (default 900)
#   TEST_SLOW     name commands that take longer than this many seconds (default 20)
set -u
export LC_ALL=C
limit=${TEST_SECONDS:-900}
slow=${TEST_SLOW:-20}
out=$(mktemp) || exit 2
trap 'rm -f "$out"' EXIT
trap 'exit 130' INT TERM
passed=0
failed=0

[ $# -gt 0 ] || {
    echo "usage: run.sh COMMAND..." >&2
    exit 2
}
for command in "$@"; do
    case ${command%% *} in
    *.lua) run="lua5.4 $command" ;;
    */*) run=$command ;;
    *) run="./$command" ;;
    esac
    begun=$(date +%s)
    # shellcheck disable=SC2086
    timeout -k 10 "$limit" $run >"$out" 2>&1 </dev/null
    code=$?
    spent=$(($(date +%s) - begun))
    # Several lines of totals (a script that runs programs) are added up.
    totals=$(sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' "$out" |
        awk '{ p += $1; f += $2; n++ } END { print p + 0, f + 0, n + 0 }')
    p=${totals%% *} said=${totals##* } f=${totals#* }
    f=${f%% *}
    why=
    if [ $code -eq 124 ] || [ $code -eq 137 ]; then
        why="not done after $limit seconds"
    elif [ $code -gt 128 ]; then
        why="killed by signal $((code - 128))"
    elif [ "$said" -eq 0 ]; then
        why="no line of totals (exit $code)"
    elif [ $code -ne 0 ] && [ "$f" -eq 0 ]; then
        why="exit $code though nothing failed"
    elif [ $code -eq 0 ] && [ "$f" -ne 0 ]; then
        echo "note: $command: exit 0 though something failed"
    fi
    [ -z "$why" ] || f=$((f + 1))
    passed=$((passed + p))
    failed=$((failed + f))
    if [ "$f" -ne 0 ]; then
        echo "FAILED $command${why:+: $why}"
        sed 's/^/    /' "$out" | grep -v '^    ok ' | tail -n 60
    else
        echo "ok $command: $p passed$([ "$spent" -lt "$slow" ] || echo ", $spent s")"
        grep '^note' "$out" | sed 's/^/    /'
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
