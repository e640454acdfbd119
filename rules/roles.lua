--- Roles and groups: what a tensor is, and the words that reach it.
-- A role is the GGUF word of a module (attn_q, ffn_down, ...); the Hugging Face word is an
-- alias taken from the tables of rules/arch/. Roles of architectures without a table come from
-- GGUF name patterns (specs/allarch.md section 6).

local arch = require "arch"

local m = {}

--- Groups, and the other names they go by. `experts` lies within ffn.
m.groups = { "embed", "attn", "ffn", "norm", "experts", "all" }
local group_alias = { skeleton = "attn", organs = "ffn", self_attn = "attn", mlp = "ffn" }

-- Roles of architectures without a table here: words that a recipe may use all the same.
local more = {
  "position_embd", "token_types", "attn_qkv", "attn_kv_b", "attn_q_a", "attn_q_b", "attn_kv_a_mqa",
  "attn_k_b", "attn_v_b", "attn_gate", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps",
  "ffn_gate_up_exps", "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp", "ssm_in", "ssm_out",
  "ssm_x", "ssm_dt", "post_attention_norm", "post_ffw_norm", "token_embd_norm", "router", "rope",
}

-- Patterns of section 6 on "." .. stem, in order; the first row that matches decides. A third
-- word names the role, else it is the module's own word.
local patterns = {
  { "norm", { "norm", "[._]ln%d*$", "[._]ln_[a-z]+%d*$", "[._]bn$" } },
  { "other", { "ffn_gate_inp", "ffn_gate_tid2eid", "exp_probs_b" }, "router" },
  { "experts", { "_exps$", "_chexps$", "ffn_up%.%d+$", "ffn_gate%.%d+$", "ffn_down%.%d+$" } },
  { "embed", { "^%.output$", "nextn%.shared_head_head$" }, "output" },
  { "embed", { "^%.token_embd$", "^%.per_layer_token_embd$", "^%.position_embd$",
    "^%.token_types$", "nextn%.embed_tokens$" } },
  { "other", { "%.hc_", "%.output_hc_", "_res_score$", "^%.altup", "^%.per_layer",
    "^%.blk%.%d+%.altup", "^%.blk%.%d+%.laurel", "^%.blk%.%d+%.ple_", "^%.blk%.%d+%.inp_gate",
    "^%.blk%.%d+%.proj$", "^%.blk%.%d+%.layer_output_scale" } },
  { "other", { "rope_", "rot_embd" }, "rope" },
  { "other", { "^%.mm%.", "^%.resampler%.", "^%.adapter%." }, "mm" },
  { "other", { "^%.v%.", "^%.a%." }, "mm", outside = true },
  { "attn", { "[._]attn$", "[._]attn[._]", "indexer", "time_mix_", "%.ssm_", "shortconv",
    "pos_bias_", "linear_pos", "per_dim", "vis_attn_" } },
  { "ffn", { "ffn", "channel_mix", "[._]mlp[._]", "vis_up$", "vis_gate$", "vis_down$",
    "convnext%.%d+%.pw", "%.lin[12]$", "%.pw[12]$" } },
}

local suffixes = { "%.input_scale$", "%.scales?$", "%.lora_[ab]$", "%.weight$", "%.bias$" }

local function classify(stem, in_block)
  local dotted = "." .. stem
  for _, row in ipairs(patterns) do
    if not (row.outside and in_block) then
      for _, pattern in ipairs(row[2]) do
        if dotted:find(pattern) then return row[1], row[3] end
      end
    end
  end
  return "other"
end

-- The number and the rest after the last "blk.N." (at the start, or after "." or "_").
local function last_block(stem)
  local layer, word
  for at in stem:gmatch("()blk%.%d+%.") do
    if at == 1 or stem:sub(at - 1, at - 1):find("[._]") then
      layer, word = stem:match("^blk%.(%d+)%.(.*)$", at)
    end
  end
  return layer, word
end

--- What a GGUF tensor name says of any architecture: role, group, layer (nil outside layers),
-- and whether it is a bias.
function m.of_gguf(name)
  local stem = name
  for _, suffix in ipairs(suffixes) do
    local cut, n = stem:gsub(suffix, "")
    if n > 0 then
      stem = cut
      break
    end
  end
  local layer, word = last_block(stem)
  local group, role = classify(stem, layer ~= nil)
  role = role or (word or stem):gsub("%.%d+", "")
  return role, group, layer and math.tointeger(tonumber(layer)), name:find("%.bias$") ~= nil
end

-- role -> group, and every word -> { kind =, name =, roles = }
local group_of, words = {}, {}

local function set_of(filter)
  local set = {}
  for role, group in pairs(group_of) do
    if filter(group) then set[role] = true end
  end
  return set
end

local function add_role(role)
  if group_of[role] then return end
  local group = select(2, m.of_gguf("blk.0." .. role))
  local outside = select(2, m.of_gguf(role))
  if outside == "embed" or outside == "norm" then group = outside end
  group_of[role] = (role == "router" or role == "rope" or role == "mm") and "other" or group
  words[role] = { kind = "role", name = role, roles = { [role] = true } }
end

local function add_alias(word, role)
  local found = words[word]
  if not found then
    words[word] = { kind = "role", name = role, roles = { [role] = true } }
  elseif found.kind == "role" then
    found.roles[role] = true -- one word of two architectures: it reaches both
  end
end

local function build()
  for _, name in ipairs(arch.names) do
    for _, row in ipairs(arch.of_gguf(name).tensors) do add_role(row.role) end
  end
  for _, role in ipairs(more) do add_role(role) end
  for _, group in ipairs(m.groups) do
    words[group] = { kind = "group", name = group, roles = set_of(function(g)
      return group == "all" or g == group or (group == "ffn" and g == "experts")
    end) }
  end
  for alias, group in pairs(group_alias) do words[alias] = words[group] end
  for _, name in ipairs(arch.names) do
    for _, row in ipairs(arch.of_gguf(name).tensors) do
      local word = row.hf:match("([%w_]+)%.%w+$")
      if word ~= row.role then add_alias(word, row.role) end
    end
  end
end

build()

--- The group of a role; "other" for what no group reaches but `all`.
function m.group(role)
  return group_of[role] or select(2, m.of_gguf("blk.0." .. role))
end

--- What a word of a recipe means: { kind = "role" or "group", name = canonical word,
-- roles = set }, or nil. The caller must not change it.
function m.find(word) return words[word] end

--- Whether a word found by m.find reaches a role, one that no table lists too.
function m.reaches(found, role)
  if found.roles[role] then return true end
  if found.kind ~= "group" then return false end
  local group = m.group(role)
  return found.name == "all" or group == found.name
    or (found.name == "ffn" and group == "experts")
end

--- The canonical words that speak of a role, most specific first: itself, the dense word of an
-- expert tensor, `experts`, its group, `all` (ruling 45).
function m.chain(role)
  local group = m.group(role)
  local list = { role }
  local dense = role:match("^(ffn_%a+)_s?h?exps?$") or role:match("^(ffn_%a+)_chexps$")
  if dense and words[dense] then list[#list + 1] = dense end
  if group == "experts" then
    list[#list + 1] = "experts"
    group = "ffn"
  end
  if words[group] then list[#list + 1] = group end
  list[#list + 1] = "all"
  return list
end

--- Every word that m.find knows, sorted: roles, aliases, groups.
function m.words()
  local list = {}
  for word in pairs(words) do list[#list + 1] = word end
  table.sort(list)
  return list
end

return m
