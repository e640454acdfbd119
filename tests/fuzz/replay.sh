#!/bin/sh
# replay.sh - every fuzz target over its corpus, whole and mutated, in the sanitized build
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build/san}
rounds=${FUZZ_ROUNDS:-300}
passed=0
failed=0
run() { # NAME FOLDER...
    name=$1
    shift
    if "$B/tests/fuzz/fuzz_$name" "$@" >/dev/null && "$B/tests/fuzz/fuzz_$name" -m "$rounds" 7 "$@" >/dev/null; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL fuzz_$name"
    fi
}
run gguf tests/golden/gguf
run imatrix tests/golden/imatrix
run json tests/fuzz/corpus/json tests/models/nano-qwen2
run safetensors tests/golden/safetensors tests/golden/malformed/safetensors
run yaml tests/fuzz/corpus/yaml tests/golden/yaml tests/golden/merge/configs
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
