-- Two small models become one, which borrows the organs of a third; then three sizes of it.
local base   = source "tests/models/nano-llama-base"
local prose  = source "tests/models/nano-llama-prose"
local python = source "tests/models/nano-llama-python"

-- Early layers stay close to prose, late ones lean to Python.
local blend = merge.slerp { prose, python, t = ramp { 0.2, 0.8 } }
local model = graft { blend, organs = base, layers = span(1, 3) }

local S = types {
  embed    = "q8_0",
  attn     = "q4_k",
  ffn_up   = "q4_k",
  ffn_gate = "q3_k",
  ffn_down = edges("q4_k", "q6_k"),
}
local M = with(S, { attn_v = "q6_k", ffn_gate = "q4_k" })
local L = with(M, { attn = "q6_k", ffn = "q6_k" })

return {
  S      = gguf { quantize { model, S }, name = "demo-S" },
  M      = gguf { quantize { model, M }, name = "demo-M" },
  L      = gguf { quantize { model, L }, name = "demo-L" },
  folder = safetensors { model, name = "demo" },
}
