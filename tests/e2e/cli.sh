#!/bin/sh
# cli.sh - the command line from outside: usage errors, help, inspect, diff, exit codes
#
# Run from the root of the tree; VBUILD names the program (default ./vbuild). Each case is one
# "ok NAME" or "FAIL NAME" line; the last line counts them.
VBUILD=${VBUILD:-./vbuild}
case $VBUILD in /*) ;; *) VBUILD=$PWD/$VBUILD ;; esac
gguf=$PWD/tests/golden/gguf
safetensors=$PWD/tests/golden/safetensors
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
export HOME="$scratch/home" LC_ALL=C
unset VBUILD_CACHE VBUILD_JOBS VBUILD_MEM XDG_CACHE_HOME NO_COLOR CLICOLOR_FORCE
mkdir "$scratch/home" "$scratch/empty"
cd "$scratch/empty" || exit 2
passed=0
failed=0
out=$scratch/out
err=$scratch/err

# verdict NAME STATUS: STATUS 0 is a pass
verdict() {
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        echo "FAIL $1"
        sed 's/^/    out: /' "$out" | head -n 5
        sed 's/^/    err: /' "$err" | head -n 5
    fi
}

# case_ NAME CODE TEXT ARGUMENTS...: the exit code, and TEXT somewhere in what it prints
case_() {
    name=$1 code=$2 text=$3
    shift 3
    "$VBUILD" "$@" >"$out" 2>"$err"
    got=$?
    if [ "$got" -ne "$code" ]; then
        echo "    exit $got, not $code: vbuild $*"
        verdict "$name" 1
    elif cat "$out" "$err" | grep -qF -e "$text"; then
        verdict "$name" 0
    else
        echo "    not said: $text"
        verdict "$name" 1
    fi
}

# ---- help and version
case_ version_is_printed 0 "vbuild " --version
case_ version_is_a_subcommand 0 "vbuild " version
case_ help_lists_subcommands 0 "  inspect " --help
case_ help_lists_options 0 "--keep-going" -h
case_ help_of_a_subcommand 0 "usage: vbuild diff" help diff
case_ help_of_a_word 0 "ramp {" help ramp
case_ help_of_a_word_that_will_be_a_subcommand 0 "quantize {" help quantize
case_ help_of_a_method 0 "merge.slerp {" help merge.slerp
case_ help_option_of_a_subcommand 0 "usage: vbuild plan" plan --help
"$VBUILD" plan --help >"$out" 2>"$err"
grep -q -e --durable "$out"
verdict help_of_plan_leaves_out_what_plan_does_not_take $((1 - $?))
case_ manual_has_every_option 0 '| `--durable` | build ' manual
case_ words_of_a_later_version_say_so 2 "later version" convert x y
case_ a_drop_in_leaves_with_the_peers_code 1 "in.gguf" quantize in.gguf Q4_K_M
case_ options_of_vbuild_stand_before_a_drop_in 1 "before the word quantize" quantize --jobs 2 a Q6_K
case_ a_drop_in_takes_no_option_of_others 2 "takes no option --define" -D a=b quantize a b

# ---- usage errors: exit 2, the offending word, the nearest one
case_ unknown_option 2 "unknown option '--jbos'; did you mean '--jobs'?" --jbos 3
case_ unknown_option_far_from_all 2 "unknown option '--zzzzzzzz'" --zzzzzzzz
case_ unknown_letter 2 "unknown option '-Z'" -Z
case_ unknown_subcommand 2 "did you mean 'inspect'?" inspct
case_ option_without_its_value 2 "-j needs a value" -j
case_ option_with_a_value_it_does_not_take 2 "takes no value" --force=1
case_ option_of_another_subcommand 2 "takes no option --durable" plan --durable
case_ jobs_must_be_a_number 2 "-j is 'many'" -j many
case_ jobs_must_not_be_zero 2 "from 1 to" -j0
case_ jobs_must_not_be_negative 2 "from 1 to" -j -3
case_ jobs_has_a_limit 2 "from 1 to" --jobs=99999999999999999999
case_ size_must_be_a_size 2 "--mem is '12Q'" --mem 12Q
case_ size_must_not_be_an_exponent 2 "--mem is '1e9'" --mem 1e9
case_ size_must_not_be_tiny 2 "at least 1M" --mem 5
case_ choice_names_its_words 2 "auto|always|never" --color sometimes
case_ definition_needs_a_value 2 "NAME=VALUE" -D name
case_ empty_value_is_refused 2 "is empty" --cache=
case_ too_many_words 2 "'c' is one word too many" diff a b c
case_ missing_directory 2 "-C nowhere" -C nowhere
case_ two_recipes 2 "second recipe" a.lua b.lua
case_ a_missing_mergekit_file 2 "merge.yml: No such file" merge.yml
case_ nothing_to_build 2 "no build.lua here or above"
case_ missing_recipe 2 "missing.lua" missing.lua
export VBUILD_JOBS=x
case_ environment_is_checked_too 2 "VBUILD_JOBS is 'x'" missing.lua
case_ option_wins_over_environment 2 "missing.lua" -j 2 missing.lua
case_ environment_of_another_subcommand_is_left_alone 0 "vbuild" version
unset VBUILD_JOBS
[ -z "$(ls -A "$scratch/empty")" ] && [ -z "$(ls -A "$scratch/home")" ]
verdict errors_leave_no_trace $?

# ---- messages
"$VBUILD" --jbos >"$out" 2>"$err"
[ ! -s "$out" ] && [ "$(wc -l <"$err")" -eq 1 ]
verdict an_error_is_one_line_on_standard_error $?
printf '\033[31m' >"$scratch/red"
"$VBUILD" --color=always inspect nowhere.gguf >"$out" 2>"$err"
grep -qF "$(cat "$scratch/red")" "$err"
verdict color_always_colors $?
CLICOLOR_FORCE=1 NO_COLOR=1 "$VBUILD" inspect nowhere.gguf >"$out" 2>"$err"
grep -qF "$(cat "$scratch/red")" "$err"
verdict no_color_wins $((1 - $?))
"$VBUILD" inspect "$gguf/valid/v3_one_tensor.gguf" >/dev/full 2>"$err"
[ $? -eq 5 ]
verdict a_full_standard_output_is_a_failure $?

# ---- inspect
case_ inspect_gguf 0 'general.architecture = "llama"' inspect "$gguf/valid/v3_one_tensor.gguf"
case_ inspect_counts_shards 0 "gguf, 2 files" inspect "$gguf/valid/shard-00001-of-00002.gguf"
case_ inspect_lists_types 0 "q6_k" inspect "$gguf/valid/v3_all_tensor_types.gguf"
case_ inspect_safetensors 0 "safetensors, 1 file" inspect "$safetensors/types.safetensors"
case_ inspect_json 0 '"dtype":"f32"' inspect --json "$gguf/valid/v3_one_tensor.gguf"
case_ inspect_needs_a_file 2 "needs one file" inspect
case_ inspect_missing_file 2 "nowhere.gguf" inspect nowhere.gguf
"$VBUILD" inspect --json=report.json "$gguf/valid/v3_one_tensor.gguf" >"$out" 2>"$err"
[ $? -eq 0 ] && [ ! -s "$out" ] && grep -q '"format":"gguf"' report.json
verdict inspect_json_into_a_file $?
refused=0
for f in "$gguf"/bad/*; do
    "$VBUILD" inspect "$f" >"$out" 2>"$err"
    if [ $? -ne 2 ] || [ -s "$out" ] || ! [ -s "$err" ]; then
        echo "    not refused with exit 2 and a reason: $f"
        refused=1
    fi
done
verdict every_malformed_gguf_is_refused_with_exit_2 $refused
plain=0
for f in "$gguf"/valid/*.gguf; do
    "$VBUILD" inspect "$f" 2>"$err" | LC_ALL=C tr -d '\n\040-\176\200-\377' >"$out"
    [ -s "$out" ] && plain=1 # a control character reached the terminal
done
verdict inspect_prints_no_control_characters $plain

# ---- diff
one=$gguf/valid/v3_one_tensor.gguf
cp "$one" b.gguf
printf '\000\000\000\101' | dd of=b.gguf bs=1 seek=156 conv=notrunc 2>/dev/null # 7 becomes 8
case_ diff_equal 0 "1 equal, 0 differ" diff "$one" "$one"
"$VBUILD" diff -q "$one" b.gguf >"$out" 2>"$err"
[ $? -eq 1 ] && [ ! -s "$out" ] && [ ! -s "$err" ]
verdict diff_quiet_answers_by_its_exit_code $?
case_ diff_values 1 "1 values differ, max 1 at 7, rmse 0.353553, cosine 0.997" diff "$one" b.gguf
case_ diff_json 1 '"max_abs":1,"max_at":7' diff --json "$one" b.gguf
case_ diff_names_what_is_missing 1 "only in A: a.weight" diff "$one" "$gguf/valid/v3_empty.gguf"
case_ diff_names_what_is_new 1 "only in B: a.weight" diff "$gguf/valid/v3_empty.gguf" "$one"
case_ diff_metadata 1 "metadata general.architecture" diff "$one" "$gguf/valid/v3_empty.gguf"
case_ diff_trouble 2 "nowhere" diff "$one" nowhere
case_ diff_trouble_with_a_malformed_file 2 "" diff "$one" "$gguf/bad/magic.gguf"
case_ diff_needs_two 2 "needs two" diff "$one"
case_ diff_across_formats 0 "0 differ" diff "$safetensors/one.safetensors" \
    "$safetensors/one.safetensors"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
