# where.sh - which peers, and where they lie; sourced, POSIX sh
#
# Peers lie outside the tree, one folder a set of versions: a changed pin installs beside what is
# there. VBUILD_PEERS names another place.
peers=${VBUILD_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/vbuild-peers}
peer_pins="torch==2.13.0 mergekit==0.1.5 transformers==5.23.0 safetensors==0.8.0 gguf==0.19.0
numpy==2.4.6 sentencepiece==0.2.3"
peer_llama=0.3.36 # of llama-cpp-python, whose source archive holds llama.cpp
peer_tools="llama-quantize llama-completion llama-imatrix llama-gguf-split"

peer_key=$(printf '%s' "$peer_pins" | cksum | cut -d' ' -f1)
peer_venv=$peers/python-$peer_key
peer_python=$peer_venv/bin/python
peer_source=$peers/llama-$peer_llama/source/vendor/llama.cpp
peer_bin=$peers/llama-$peer_llama/build/bin
