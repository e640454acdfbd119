#!/bin/sh
# damage.sh - a damaged cache costs time and a warning, never a wrong byte
#
# Bytes of blobs and of the log are flipped, files cut, emptied and removed; artifacts are deleted
# and must come back with the right bytes, exit 0, and a warning where something was found to be
# damaged. A cache that cannot be used at all is exit 4, and is left as it is.
. tests/e2e/lib.sh
models=$root/tests/models
records=$root/tests/e2e/records.lua
bytes=$root/tests/e2e/bytes.lua
: >"$scratch/verdict"

verdict() { # NAME: nothing was said against it
    ok "$1" [ ! -s "$scratch/verdict" ]
    head -n 20 "$scratch/verdict" | sed 's/^/    /'
    : >"$scratch/verdict"
}

# again WHAT [SAYS]: the artifacts are gone; build, and judge what comes
again() {
    rm -rf outputs
    "$VBUILD" >"$scratch/out" 2>"$scratch/err"
    code=$?
    if [ $code -ne 0 ]; then
        echo "$1: exit $code: $(cat "$scratch/err")"
    elif ! diff -rq outputs "$scratch/$case/outputs"; then
        echo "$1: other bytes"
    elif [ $# -gt 1 ] && ! grep -q "$2" "$scratch/err"; then
        echo "$1: nothing is said of it"
    fi
} >>"$scratch/verdict"

fresh() { # the cache of the case as it was
    rm -rf cache
    cp -r "$scratch/$case/cache" .
}

tree() { find "$@" -printf '%p %y %m %s %T@ %C@ %i\n' 2>/dev/null | sort; }

# ---- two cases: a large cache of both kinds of blobs, and a tiny log
workspace large
cat >build.lua <<END
local model = merge.slerp { source "$models/nano-llama-prose", source "$models/nano-llama-python",
  t = ramp { 0.2, 0.8 } }
return {
  S = gguf { quantize { model, embed = "q8_0", attn = "q4_k", ffn = "q3_k" }, name = "large-S" },
  folder = safetensors { model, name = "large" },
}
END
vb
same a_large_cache_is_made 0 "$code"
workspace seed
cat >build.lua <<END
return { seed = gguf { outtype = "f16", synthetic { seed = 5, config = { architectures =
  { "LlamaForCausalLM" }, model_type = "llama", hidden_size = 64, intermediate_size = 64,
  num_hidden_layers = 1, num_attention_heads = 2, num_key_value_heads = 1, vocab_size = 64,
  max_position_embeddings = 64, rms_norm_eps = 1e-5, tie_word_embeddings = true } } } }
END
vb
workspace tiny
cat >build.lua <<END
local model = scale { source "$scratch/seed/outputs/seed.gguf", ffn = 1.5, norm = 0.5 }
return { S = gguf { quantize { model, default = "q8_0", ffn_down = "q4_0" }, name = "tiny" } }
END
vb
same a_tiny_cache_is_made 0 "$code"

# ---- blobs
workspace blobs
case=large
cp "$scratch/large/build.lua" .
count=$(find "$scratch/large/cache/cas" -type f | wc -l)
ok the_cache_has_many_blobs [ "$count" -gt 50 ]
for offset in 0 4 5 6 9 17 25 30 39 47 48 49 55 56 60 100 -2 -1; do # every part of the form
    fresh
    for blob in cache/cas/*/*; do
        chmod u+w "$blob"
        lua5.4 "$bytes" flip "$blob" $offset 2>/dev/null || lua5.4 "$bytes" flip "$blob" -1
    done
    again "byte $offset of every blob" "is damaged; its tensor is built again"
    found=$(grep -c 'is damaged; its tensor' "$scratch/err")
    [ "$found" -eq "$count" ] ||
        echo "byte $offset: $count blobs were damaged, $found found" >>"$scratch/verdict"
    [ "$(find cache/quarantine -type f | wc -l)" -eq "$count" ] ||
        echo "byte $offset: they are not all in quarantine" >>"$scratch/verdict"
    rm -rf cache/quarantine
    again "after byte $offset" # and now all of it is whole again
    [ ! -d cache/quarantine ] || echo "byte $offset: damage came back" >>"$scratch/verdict"
done
verdict a_flipped_byte_in_every_blob_is_found_and_mended
# A bit of a compressed plane may mean nothing: the bytes come out right, and nothing is said.
n=0 flips=0 silent=0
fresh
for blob in cache/cas/*/*; do
    size=$(stat -c %s "$blob")
    n=$((n + 1))
    [ $((n % 2)) -eq 0 ] || continue
    chmod u+w "$blob"
    lua5.4 "$bytes" flip "$blob" $((size * n / (count + 1))) 0x01
    again "byte $((size * n / (count + 1))) of $blob"
    flips=$((flips + 1))
    grep -q "${blob##*/} is damaged" "$scratch/err" || silent=$((silent + 1))
done
[ "$((silent * 8))" -le "$flips" ] ||
    echo "$silent of $flips flipped bits are not found" >>"$scratch/verdict"
verdict one_flipped_bit_is_found_wherever_it_is
for what in "deleted:rm -f" "empty:truncate -s 0" "cut:truncate -s -1" "longer:truncate -s +8" \
    "cut in its header:truncate -s 20"; do
    fresh
    for blob in cache/cas/*/*; do
        chmod u+w "$blob"
        ${what#*:} "$blob"
    done
    if [ "${what%%:*}" = deleted ]; then
        again "all blobs ${what%%:*}"
    else
        again "all blobs ${what%%:*}" "is damaged; its tensor is built again"
    fi
done
fresh
for blob in cache/cas/*/*; do
    rm -f "$blob"
    mkdir "$blob"
done
again "a folder in the place of every blob" "is damaged"
fresh
first=$(ls cache/cas/*/* | head -n 1)
for blob in cache/cas/*/*; do
    [ "$blob" = "$first" ] || ln -sf "$PWD/$first" "$blob"
done
again "links to another blob"
fresh
rm -rf cache/cas
again "no cas"
fresh
for blob in cache/cas/*/*; do
    [ -z "$last" ] || mv -f "$blob" "$last"
    last=$blob
done
again "blobs under each other's names" "is damaged; its tensor is built again"
verdict lost_cut_and_exchanged_blobs_are_made_again
rm -rf "$scratch/blobs"

# ---- the log
workspace log
case=tiny
cp "$scratch/tiny/build.lua" .
cp -r "$scratch/tiny/cache" .
log=$scratch/tiny/cache/log
size=$(stat -c %s "$log")
lua5.4 "$records" "$log" >"$scratch/records"
last=$(wc -l <"$scratch/records")
ok the_log_has_all_kinds_of_records [ "$(cut -f3 "$scratch/records" | sort -u | tr '\n' ' ')" = \
    "action artifact source " ]
with_log() { # restores the log; blobs stay, they are right
    rm -f cache/log
    cp "$log" cache/log
    chmod u+w cache/log
}
number=0
while read -r at _ kind n; do
    number=$((number + 1))
    # magic, length, checksum, type, reserved, digests, fields, the last byte
    for offset in 0 3 4 7 8 15 16 17 24 39 40 56 $((16 + n / 2)) $((16 + n - 1)); do
        [ "$offset" -lt $((16 + n)) ] || continue
        with_log
        lua5.4 "$bytes" flip cache/log $((at + offset))
        if [ $number -eq "$last" ]; then # nothing tells it from a record that a kill cut off
            again "byte $offset of the last record ($kind)"
        else
            again "byte $offset of record $number ($kind)" "damaged place"
        fi
    done
done <"$scratch/records"
for offset in 0 5 7 8 15; do
    with_log
    lua5.4 "$bytes" flip cache/log $offset
    again "byte $offset of the log's head" "damaged place"
done
verdict a_flipped_byte_of_the_log_is_found
cut_at() { # BYTES ARTIFACT
    rm -f cache/log
    head -c "$1" "$log" >cache/log
    rm -f "outputs/$2"
    "$VBUILD" -q 2>"$scratch/err" || echo "cut at $1: exit $?: $(cat "$scratch/err")"
    cmp "outputs/$2" "$scratch/$case/outputs/$2" || echo "cut at $1: other bytes"
} >>"$scratch/verdict" 2>&1
at=0
while [ $at -le "$size" ]; do
    cut_at $at tiny.gguf
    at=$((at + 97))
done
verdict a_log_cut_at_every_97th_byte_is_no_harm
with_log
at=$(sed -n 3p "$scratch/records" | cut -f1)
cp cache/log "$scratch/log"
dd if="$scratch/log" of=cache/log bs=1 skip="$at" seek=$((at + 8)) conv=notrunc 2>/dev/null
again "records that moved by eight bytes" # all that follows them is a torn end
with_log
head -c 4096 /dev/zero >>cache/log
again "zeros after the log"
with_log
cat "$log" >>cache/log
again "the log twice"
fresh
rm cache/log
again "the log removed"
fresh
: >cache/log
again "the log emptied"
fresh
rm cache/FORMAT
again "FORMAT removed"
fresh
: >cache/FORMAT
again "FORMAT emptied"
fresh
rm -rf cache/tmp cache/lock
again "tmp and lock removed"
fresh
touch cache/tmp/.1.vbtmp.1 cache/tmp/.9.vbtmp.999999
again "leftovers in tmp"
[ -z "$(ls -A cache/tmp)" ] || ls -A cache/tmp >>"$scratch/verdict"
verdict other_damage_to_the_cache_is_mended
fresh
again "warm"
vb
same a_mended_cache_needs_no_work "0 0" "$code $(of run)"

# ---- every byte of a log with one record of each kind
workspace one
cp "$root/tests/golden/safetensors/one.safetensors" .
echo 'return { one = safetensors { cast { source "one.safetensors", to = "f32" } } }' >build.lua
vb
workspace every
case=one
cp "$scratch/one/build.lua" "$scratch/one/one.safetensors" .
fresh
log=$scratch/one/cache/log
size=$(stat -c %s "$log")
lua5.4 "$records" "$log" >"$scratch/records"
last=$(tail -n 1 "$scratch/records" | cut -f1)
same this_log_has_one_record_of_each_kind "action artifact source " \
    "$(cut -f3 "$scratch/records" | tr '\n' ' ')"
at=0
while [ "$at" -le "$size" ]; do
    cut_at "$at" one/model.safetensors
    at=$((at + 1))
done
verdict a_log_cut_at_any_byte_is_no_harm
at=0
quiet=0
while [ "$at" -lt "$size" ]; do
    with_log
    lua5.4 "$bytes" flip cache/log $at
    again "byte $at"
    [ "$at" -ge "$last" ] || grep -q 'damaged place' "$scratch/err" || quiet=$((quiet + 1))
    at=$((at + 3))
done
verdict every_third_byte_of_a_log_flipped_is_no_harm
ok only_padding_is_not_missed [ $quiet -le 6 ]
cd "$scratch/log" || exit 2
case=tiny

# ---- the log must not be believed for sources
fresh
cp "$scratch/seed/outputs/seed.gguf" src.gguf
sed -i "s|$scratch/seed/outputs/seed.gguf|src.gguf|" build.lua
vb
lua5.4 "$bytes" flip src.gguf -5
vb
rm -rf outputs
cp -r cache "$scratch/after"
rm -rf cache
vb
sum=$(digest outputs/tiny.gguf)
rm -rf cache outputs
mv "$scratch/after" cache
for number in 1 2 3 4 5 6; do
    at=$(lua5.4 "$records" cache/log | grep source | tail -n 1 | cut -f1)
    [ -n "$at" ] || break
    lua5.4 "$bytes" flip cache/log $((at + 20 + number))
    rm -rf outputs
    vb
    same "a_damaged_record_of_a_source_$number" "0 $sum" "$code $(digest outputs/tiny.gguf)"
done

# ---- caches that cannot be used: exit 4, what to do, nothing touched
refused() { # NAME TEXT [ARGUMENTS...]
    name=$1 text=$2
    shift 2
    tree . >"$scratch/before"
    vb "$@"
    same "$name" 4 "$code"
    ok "${name}_says_what_to_do" grep -q -e "$text.*--cache" "$scratch/err"
    tree . >"$scratch/after"
    ok "${name}_touches_nothing" cmp "$scratch/before" "$scratch/after"
}
for command in build plan explain; do
    [ $command = build ] && words= || words=$command
    fresh
    rm -rf outputs
    printf 'vbuild-cache 2\n' >cache/FORMAT
    refused ${command}_of_a_newer_cache "newer vbuild" $words
    printf 'vbuild-cache 99999999\n' >cache/FORMAT
    refused ${command}_of_a_much_newer_cache "newer vbuild" $words
    for text in 'vbuild-cache x\n' 'vbuild-cache 1' 'vbuild-cache 1\nmore\n' 'hello\n' \
        'vbuild-cache 0\n' 'vbuild-cache 4294967297\n' '\377\000'; do
        # shellcheck disable=SC2059
        printf "$text" >cache/FORMAT
        refused "${command}_of_a_cache_whose_format_is_$(printf '%s' "$text" | tr -c 'a-z0-9\n' _)" \
            "FORMAT" $words
    done
    fresh
    head -c 100000 /dev/zero >cache/FORMAT
    refused ${command}_of_a_cache_whose_format_is_huge "FORMAT" $words
    rm cache/FORMAT
    echo 'my diary' >cache/log
    [ $command = build ] || continue # to the others it is some other folder: nothing is known
    refused a_folder_with_a_log_of_its_own "is not a cache"
done
fresh
rm -rf outputs cache
echo 'my thesis' >cache
refused a_file_in_the_place_of_the_cache "cannot be written"
rm -f cache
mkdir -p "$scratch/nowhere"
ln -s "$scratch/nowhere/absent" cache
refused a_dangling_link_in_the_place_of_the_cache "cannot be written"
rm -f cache
fresh
mkdir "$scratch/dir"
rm cache/lock
mkdir cache/lock
refused a_folder_in_the_place_of_the_lock "cannot be written"

# As another user: root may write everywhere.
if [ "$(id -u)" -ne 0 ]; then
    as=
elif command -v setpriv >/dev/null &&
    setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null; then
    as="setpriv --reuid=65534 --regid=65534 --clear-groups"
else
    as=skip
fi
if [ "$as" = skip ]; then
    echo "skip a_read_only_cache: root may write everywhere, and setpriv does not serve"
else
    cp "$VBUILD" "$scratch/vbuild"
    chmod 755 "$scratch" "$scratch/vbuild" "$scratch/log"
    program=$VBUILD
    workspace readonly
    case=tiny
    cp "$scratch/log/src.gguf" "$scratch/log/build.lua" .
    "$VBUILD" -q 2>/dev/null
    chmod -R a+rX .
    rm -rf outputs
    mkdir outputs
    chmod 777 outputs
    chmod -R a-w cache
    tree . >"$scratch/before"
    $as "$scratch/vbuild" >"$scratch/out" 2>"$scratch/err"
    same a_read_only_cache 4 $?
    ok a_read_only_cache_says_what_to_do grep -q -e 'cannot be written.*writable.*--cache' \
        "$scratch/err"
    tree . >"$scratch/after"
    ok a_read_only_cache_touches_nothing cmp "$scratch/before" "$scratch/after"
    $as "$scratch/vbuild" plan >"$scratch/out" 2>"$scratch/err"
    same a_plan_reads_a_read_only_cache 0 $?
    chmod -R a= cache
    $as "$scratch/vbuild" >"$scratch/out" 2>"$scratch/err"
    same a_cache_that_may_not_be_read 4 $?
    VBUILD=$program
fi

# ---- a disk that fails, and one that is full
workspace failing
case=tiny
cp "$scratch/tiny/build.lua" .
for place in blob_write:1 blob_write:3 blob_write:12 log_write:1 log_write:5 log_write:13; do
    rm -rf cache outputs
    VBUILD_FAULT=fail:$place "$VBUILD_DEBUG" -q -j 1 2>"$scratch/err"
    code=$?
    [ $code -eq 4 ] || echo "$place: exit $code: $(cat "$scratch/err")"
    grep -q "cache" "$scratch/err" || echo "$place: does not name the cache"
    for path in $(ls -A outputs); do # whole, if the record of it was what failed
        cmp "outputs/$path" "$scratch/tiny/outputs/$path"
    done
    [ -z "$(ls -A cache/tmp)" ] || echo "$place: left over: $(ls -A cache/tmp)"
    again "after $place"
done >>"$scratch/verdict" 2>&1
rm -rf cache
VBUILD_FAULT=fail:blob_reserve:1 "$VBUILD_DEBUG" -q -j 1 2>"$scratch/err" ||
    echo "a disk that cannot reserve: exit $?" >>"$scratch/verdict"
again "a disk that cannot reserve"
verdict a_failing_disk_is_exit_4_and_nothing_is_partial

workspace full
mkdir disk
case=large
cp "$scratch/large/build.lua" .
if ! mount -t tmpfs -o size=1m tmpfs disk 2>/dev/null; then
    echo "skip a_full_disk: tmpfs cannot be mounted here"
else
    trap 'umount "$scratch/full/disk"; rm -rf "$scratch"' EXIT
    vb -o disk/outputs
    same a_disk_too_small_for_the_artifacts 5 "$code"
    ok a_disk_too_small_says_how_much grep -q -e \
        'disk/outputs: [0-9]* bytes are needed.*[0-9]* are free.*-o' "$scratch/err"
    ok a_disk_too_small_keeps_no_artifact [ -z "$(ls -A disk/outputs)" ]
    rm -rf disk/* outputs cache
    vb --cache disk/cache
    same a_disk_too_small_for_the_cache 5 "$code"
    ok a_disk_too_small_names_the_cache grep -q 'disk/cache' "$scratch/err"
    ok a_disk_too_small_writes_no_artifact [ -z "$(ls -A outputs)" ]
    ok a_disk_too_small_keeps_no_temporary [ -z "$(ls -A disk/cache/tmp)" ]
    mount -o remount,size=32m disk
    vb --cache disk/cache
    same the_build_goes_on_with_more_room "0 yes" \
        "$code $([ "$(of hit)" -gt 0 ] && diff -rq outputs "$scratch/large/outputs" && echo yes)"
    # Everything on one disk, of every size: done, or 5 and nothing by halves.
    umount disk
    for room in 64 128 256 400 800 1200 1800 2400 3000 3600 4200 4400 4600 4800 5000 5200 5600 6000 \
        6400 6800 7200 7600 8000 9000; do
        mount -t tmpfs -o size=${room}k tmpfs disk
        vb --cache disk/cache -o disk/outputs
        case $code in
        0) diff -rq disk/outputs "$scratch/large/outputs" && done=$room ;;
        5)
            for path in disk/outputs/* disk/outputs/.[!.]*; do
                case $path in
                *'*'*) ;;
                *) diff -rq "$path" "$scratch/large/outputs/${path##*/}" ;;
                esac
            done
            full=$room
            ;;
        *) echo "$room KiB: exit $code: $(cat "$scratch/err")" ;;
        esac
        grep -q 'room\|free\|space' "$scratch/err" || [ "$code" -eq 0 ] ||
            echo "$room KiB: $(cat "$scratch/err")"
        umount disk
    done >>"$scratch/verdict" 2>&1
    ok small_disks_were_too_small [ "${full:-0}" -gt 3000 ]
    ok large_disks_were_large_enough [ "${done:-0}" -eq 9000 ]
    verdict a_full_disk_leaves_nothing_by_halves
    trap 'chmod -R u+w "$scratch" 2>/dev/null; rm -rf "$scratch"' EXIT
fi

finish
