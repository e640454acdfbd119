#!/bin/sh
# kills.sh - a killed build costs time, never a wrong byte: 100 kills and what follows them
#
# Each kill takes one build away at a moment: SIGKILL after a delay (a seeded fraction of an
# undisturbed build's time; KILLS_SEED gives another sequence), or at a named fault point of the
# debug program (engine/base/fault.h). Right after it every file under a final name must hold
# what an undisturbed build writes (of the old recipe or of the new), a folder all of it. The
# next build must end with the same bytes, without leftovers, and must not run a node again
# whose record is in the log.
. tests/e2e/lib.sh
models=$root/tests/models
records=$root/tests/e2e/records.lua
bytes=$root/tests/e2e/bytes.lua
seed=${KILLS_SEED:-20250119}
kills=0

# The recipe: a merge with borrowed organs, two sizes of it, and a folder. T is the one change.
recipe() {
    cat <<END
local base   = source "$models/nano-llama-base"
local prose  = source "$models/nano-llama-prose"
local python = source "$models/nano-llama-python"
local model  = graft { merge.slerp { prose, python, t = ramp { 0.2, $1 } },
  organs = base, layers = span(1, 3) }
local S = types { embed = "q8_0", attn = "q4_k", ffn = edges("q4_k", "q6_k"), ffn_gate = "q3_k" }
return {
  S = gguf { quantize { model, S }, name = "kill-S" },
  L = gguf { quantize { model, with(S, { attn = "q6_k" }) }, name = "kill-L" },
  folder = safetensors { model, name = "kill" },
}
END
}

random() { # below $1, the next of a fixed sequence
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    drawn=$((seed / 65536 * $1 / 32768))
}

actions() { # in the log: nodes that are finished
    if [ -e cache/log ]; then lua5.4 "$records" cache/log | grep -c action; else echo 0; fi
}

# whole: is everything under a final name what it should be? Temporaries begin with a dot.
whole() {
    for path in outputs/*; do
        case $path in
        'outputs/*') ;;
        outputs/kill-[SL].gguf | outputs/kill*.manifest.json)
            cmp -s "$path" "$scratch/old/$path" || cmp -s "$path" "$scratch/new/$path" || {
                echo "$path is partial or wrong"
                return 1
            }
            ;;
        outputs/kill)
            diff -rq "$path" "$scratch/old/$path" >"$scratch/d1" ||
                diff -rq "$path" "$scratch/new/$path" >"$scratch/d2" || {
                cat "$scratch/d1" "$scratch/d2"
                return 1
            }
            ;;
        *)
            echo "$path has no business there"
            return 1
            ;;
        esac
    done
}

leftovers() { find outputs cache -name '*vbtmp*' 2>/dev/null; }

# begin STATE: a workspace that has built nothing, or the old recipe
begin() {
    chmod -R u+w "$scratch/case" 2>/dev/null
    rm -rf "$scratch/case"
    mkdir "$scratch/case"
    cd "$scratch/case" || exit 2
    cp "$scratch/build.lua" .
    if [ "$1" = old ]; then
        cp -a "$scratch/old/outputs" .
        mkdir cache
        cp -a "$scratch/old/cache/log" "$scratch/old/cache/FORMAT" cache
        cp -al "$scratch/old/cache/cas" cache # blobs are replaced, never changed
    fi
    if [ "$1" = old ]; then
        before=$actions_old whole_run=$run_old
    else
        before=0 whole_run=$run_none
    fi
}

# settled WHAT: judge what a kill left, build again, judge that
settled() {
    if ! whole >"$scratch/said"; then
        echo "right after $1: $(cat "$scratch/said")"
        return 1
    fi
    finished=$(($(actions) - before))
    vb
    if [ "$code" -ne 0 ]; then
        echo "after $1: the next build fails ($code): $(cat "$scratch/err")"
    elif ! diff -rq outputs "$scratch/new/outputs"; then
        echo "after $1: other bytes"
    elif [ -n "$(leftovers)" ]; then
        echo "after $1: left over: $(leftovers)"
    elif [ "$whole_run" != any ] && [ "$(of run)" -ne $((whole_run - finished)) ]; then
        echo "after $1: $finished nodes were finished of $whole_run, and $(of run) ran again"
    elif [ $(($(of run) + $(of hit) + $(of cutoff) + $(of alias))) -ne "$(of nodes)" ]; then
        echo "after $1: the counts do not add up: $(tail -n 1 "$scratch/json")"
    else
        vb
        [ "$code" -eq 0 ] && [ "$(of run)" -eq 0 ] && return
        echo "after $1: the build after that runs $(of run) nodes"
    fi
    return 1
}

# at_delay JOBS SECONDS: kill a build then. False: it had ended before.
at_delay() {
    "$VBUILD" -q -j "$1" >/dev/null 2>&1 &
    pid=$!
    sleep "$2"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ $? -eq 137 ] && kills=$((kills + 1))
}

# at_fault JOBS NAME N
at_fault() {
    VBUILD_FAULT=$2:$3 "$VBUILD_DEBUG" -q -j "$1" >"$scratch/fault" 2>&1 &
    wait $! 2>/dev/null
    got=$?
    if [ $got -ne 137 ]; then
        echo "-j$1 $2:$3 did not kill (exit $got)"
        tail -n 2 "$scratch/fault"
        return 1
    fi
    kills=$((kills + 1))
}

# passages STATE: "COUNT NAME" of each fault point that a build from there passes
passages() {
    begin "$1"
    VBUILD_FAULT=list "$VBUILD_DEBUG" -q -j 1 2>&1 | sed -n 's/^fault: //p' | sort | uniq -c \
        >"$scratch/passages-$1"
}

# ---- undisturbed builds
mkdir -p "$scratch/old" "$scratch/new"
recipe 0.8 >"$scratch/build.lua"
cp "$scratch/build.lua" "$scratch/new"
cd "$scratch/new" || exit 2
vb
same an_undisturbed_build_ends_well 0 "$code"
run_none=$(of run)
wanted=$(digest outputs)
took=$(of wall_ms)
"$VBUILD_DEBUG" --json="$scratch/json" >"$scratch/out" 2>&1
same both_programs_are_made_of_one_source "0 0" "$? $(of run)"
recipe 0.7 >"$scratch/old/build.lua"
cd "$scratch/old" || exit 2
vb
actions_old=$(actions)
same every_node_that_ran_has_one_record "$(of run)" "$actions_old"
begin old
vb
run_old=$(of run)
same a_changed_recipe_gives_the_bytes_of_a_first_build "$wanted" "$(digest outputs)"
ok the_change_reaches_some_nodes [ "$run_old" -gt 0 ]
ok the_change_leaves_some_nodes [ "$run_old" -lt "$run_none" ]

# ---- at named places, one worker (reproducible), from nothing
places() { # STATE JOBS; the numbers of passages are $numbers
    while read -r count name; do
        seen=
        for n in $numbers; do
            [ "$n" = late ] && n=$((count - count / 4))
            case "$seen " in *" $n "*) continue ;; esac
            [ "$n" -le "$count" ] || continue
            seen="$seen $n"
            begin "$1"
            at_fault "$2" "$name" "$n" && settled "a kill at $name:$n, -j$2" || bad=1
        done
    done <"$scratch/passages-$1" >>"$scratch/verdict"
}
verdict() { # NAME
    ok "$1" [ ! -s "$scratch/verdict" ]
    head -n 40 "$scratch/verdict" | sed 's/^/    /'
    : >"$scratch/verdict"
}
: >"$scratch/verdict"
passages none
numbers="1 2 late"
places none 1
verdict kills_at_every_fault_point_of_a_first_build
for name in store_made blob_begin blob_sync blob_rename blob_renamed action_record log_append \
    log_appended artifact_open artifact_head artifact_write artifact_rename artifact_record \
    manifest source_record; do
    ok "the_build_passes_$name" grep -q " $name\$" "$scratch/passages-none"
done
passages old
ok the_build_passes_artifact_swap grep -q " artifact_swap$" "$scratch/passages-old"
numbers="late"
places old 2
verdict kills_at_every_fault_point_of_a_changed_build_of_two_workers

# ---- at places that only a damaged cache leads to
for name in log_compact log_compacted; do
    begin old
    at=$(lua5.4 "$records" cache/log | sed -n 5p | cut -f1)
    lua5.4 "$bytes" flip cache/log $((at + 30))
    whole_run=any
    at_fault 1 $name 1 && settled "a kill at $name"
done >>"$scratch/verdict"
begin old
rm -rf outputs
for blob in cache/cas/*/*; do
    cp "$blob" "$scratch/blob" # not through the link
    lua5.4 "$bytes" flip "$scratch/blob" 70
    mv -f "$scratch/blob" "$blob"
done
for n in 1 2; do
    at_fault 1 blob_quarantine $n && whole
done >>"$scratch/verdict"
vb
same a_kill_while_damage_is_moved_aside_does_no_harm "0 $wanted" "$code $(digest outputs)"
verdict kills_while_a_damaged_cache_is_mended

# ---- at random moments
wait_for() { # JOBS STATE: one kill, perhaps a second and a third of the builds after it
    begin "$2"
    random $((took * 9 / 10))
    at_delay "$1" "$(printf '0.%03d' "$drawn")" || return 1
    random 3
    again=$drawn
    while [ "$again" -gt 0 ]; do
        whole || return 0
        random $((took * 6 / 10))
        at_delay "$1" "$(printf '0.%03d' "$drawn")"
        again=$((again - 1))
    done
    settled "a kill at a random moment, -j$1"
    return 0
}
tries=0
while [ $kills -lt 110 ] && [ $tries -lt 120 ]; do
    tries=$((tries + 1))
    case $((tries % 4)) in
    0) wait_for 2 none ;;
    1) wait_for 1 none ;;
    2) wait_for 1 old ;;
    3) wait_for 2 old ;;
    esac
done >>"$scratch/verdict"
verdict kills_at_random_moments
echo "$kills kills"
ok there_were_a_hundred_kills [ $kills -ge 100 ]


# ---- Ctrl-C
# A shell's background jobs ignore SIGINT; env gives it back. The model is large enough to be
# caught in the middle of it.
workspace interrupted
cat >build.lua <<END
local model = source "$models/nano-llama-prose"
for _ = 1, 5 do model = stack { model, model } end
return {
  S = gguf { quantize { scale { model, all = function(layer) return 1 + layer / 100 end },
    default = "q3_k" }, name = "int-S" },
  folder = safetensors { scale { model, all = 3 }, name = "int" },
}
END
vb
same a_model_of_many_layers_is_built 0 "$code"
whole_run=$(of run)
took=$(of wall_ms)
wanted=$(digest outputs)
: >"$scratch/verdict"
# caught SIGNAL: a build that the signal reaches in its middle, or, where the machine was busier while
# it was timed than it is now, none: then sooner, until one is caught.
caught() {
    while :; do
        rm -rf outputs cache
        env --default-signal=INT "$VBUILD" -q -j 2 --json="$scratch/json" 2>"$scratch/err" &
        pid=$!
        random $((took / 3))
        sleep "$(printf '%d.%03d' $(((drawn + took / 3) / 1000)) $(((drawn + took / 3) % 1000)))"
        kill -"$1" $pid 2>/dev/null
        wait $pid
        got=$?
        [ $got -eq 0 ] && [ $took -gt 3 ] || break
        took=$((took * 3 / 4))
    done
}
for signal in INT:130 TERM:143 INT:130 INT:130; do
    caught "${signal%:*}"
    {
        [ $got -eq "${signal#*:}" ] || echo "${signal%:*}: exit $got"
        [ "$(of status)" = interrupted ] || echo "status $(of status)"
        grep -q 'interrupted; what was finished is kept' "$scratch/err" || cat "$scratch/err"
        [ -z "$(ls outputs)" ] || echo "written: $(ls outputs)"
        finished=$(actions)
        [ "$finished" -gt 0 ] || echo "nothing was finished in $took ms / 3"
    } >>"$scratch/verdict" 2>&1
    vb
    {
        [ "$code $(digest outputs)" = "0 $wanted" ] || echo "$code, or other bytes"
        [ "$(of run)" -eq $((whole_run - finished)) ] ||
            echo "$finished of $whole_run were finished, $(of run) ran"
        [ -z "$(leftovers)" ] || echo "left over: $(leftovers)"
    } >>"$scratch/verdict" 2>&1
done
verdict an_interrupted_build_keeps_what_it_finished

finish
