--- pages.lua - docs/types.md from engine/tensor/dtype.def, docs/ops.md from engine/op/
--
-- Both take the texts, so that lints can plant their own.

local kit = require "kit"

local pages = {}

-- "f32, \"F32\", 0" as its parts: split at commas outside brackets and strings.
local function split(text)
  local parts, depth, from, quoted = {}, 0, 1, false
  for at = 1, #text do
    local c = text:sub(at, at)
    if c == '"' and text:sub(at - 1, at - 1) ~= "\\" then quoted = not quoted end
    if not quoted and c:find("[{(]") then depth = depth + 1 end
    if not quoted and c:find("[})]") then depth = depth - 1 end
    if not quoted and depth == 0 and c == "," then
      parts[#parts + 1] = text:sub(from, at - 1)
      from = at + 1
    end
  end
  parts[#parts + 1] = text:sub(from)
  for i, part in ipairs(parts) do parts[i] = part:match("^%s*(.-)%s*$") end
  if parts[#parts] == "" then parts[#parts] = nil end
  return parts
end

-- A C string, or several next to each other, without the quotes.
local function unquote(text)
  local out = {}
  for part in text:gmatch('"(.-[^\\])"') do out[#out + 1] = part end
  return (table.concat(out):gsub("\\(.)", "%1"))
end

local function cell(text) return (text:gsub("|", "\\|")) end

local kinds = {
  FLOAT = "float", BLOCK = "block", PLAIN = "listed and copied",
}

--- docs/types.md from the text of dtype.def.
function pages.types(text)
  local out = {
    "# Element types", "",
    "Made from engine/tensor/dtype.def by `lua5.4 tests/lint/docs.lua --write`.", "",
    "*float*: computed with. *block*: what `types` and `quantize` may name; coded by",
    "engine/kernel/NAME.c. *listed and copied*: readable and taken over unchanged, not computed",
    "with. Bits per weight are block bytes * 8 / elements. The version is in the key of everything",
    "that codes or decodes the type.", "",
    "| name | kind | elements | bytes | bits per weight | GGUF number | safetensors | imatrix "
      .. "| version |",
    "|---|---|---:|---:|---:|---:|---|---|---:|",
  }
  for row in kit.code(text):gmatch("DTYPE(%b())") do
    local p = split(row:sub(2, -2))
    out[#out + 1] = ("| `%s` | %s | %s | %s | %.4g | %s | %s | %s | %s |"):format(p[1], kinds[p[6]],
      p[4], p[5], tonumber(p[5]) * 8 / tonumber(p[4]), p[3] == "-1" and "" or p[3],
      p[2] == "NULL" and "" or unquote(p[2]), p[8] == "1" and "used" or "", p[7])
  end
  out[#out + 1] = ""
  return table.concat(out, "\n")
end

local param_kinds = {
  PARAM_F64 = "number", PARAM_I64 = "integer", PARAM_BOOL = "boolean", PARAM_WORD = "word",
  PARAM_DTYPE = "type", PARAM_F64S = "numbers", PARAM_I64S = "integers", PARAM_TEXT = "text",
  PARAM_F32S = "vector",
}

local function range(kind, low, high)
  local bounded = kind:find("F64") or kind:find("I64")
  return bounded and ("%s to %s"):format(low, high) or ""
end

local function put_params(code, out)
  local table_text = code:match("const struct param [%w_]+%[%] = (%b{});")
  if not table_text then return end
  out[#out + 1] = "| parameter | is | range | default | meaning |"
  out[#out + 1] = "|---|---|---|---|---|"
  for row in table_text:sub(2, -2):gmatch("%b{}") do
    local p = split(row:sub(2, -2))
    local kind = param_kinds[p[2]] or p[2]
    local words = p[6] ~= "NULL" and code:match("const char %*const " .. p[6] .. "%[%] = (%b{});")
    if words then
      local list = {}
      for word in words:gmatch('"(.-)"') do list[#list + 1] = word end
      kind = table.concat(list, " or ")
    end
    out[#out + 1] = ("| `%s` | %s | %s | %s | %s |"):format(unquote(p[1]), kind,
      range(p[2], p[3], p[4]), p[5] == "NULL" and "needed" or unquote(p[5]), cell(unquote(p[7])))
  end
  out[#out + 1] = ""
end

local function put_op(path, text, out)
  local code = kit.code(text)
  local name = code:match('%.name = "([%w_]+)"')
  local banner = text:match("^/%*\n(.-)\n %*/") or ""
  local version = code:match("%.version = (%d+)") or "?"
  local least, most = code:match("%.in_min = ([%w_]+)"), code:match("%.in_max = ([%w_]+)")
  local inputs = least == most and least or least .. " to " .. most:gsub("OP_INPUTS_MAX", "65")
  out[#out + 1] = "## " .. (name or path)
  out[#out + 1] = ""
  out[#out + 1] = ("Version %s, inputs: %s, %s."):format(version, inputs, path)
  out[#out + 1] = ""
  out[#out + 1] = "```text"
  for line in (banner .. "\n"):gmatch("(.-)\n") do out[#out + 1] = (line:gsub("^ %* ?", "")) end
  out[#out + 1] = "```"
  out[#out + 1] = ""
  put_params(code, out)
end

--- docs/ops.md from { path = text } of the ops, and the text of ops.def.
function pages.ops(def, texts)
  local out = {
    "# Ops", "",
    "Made from the banners and parameter tables of engine/op/ by `lua5.4 tests/lint/docs.lua",
    "--write`. An op is one transformation of tensors, a node of the graph; recipes reach ops",
    "through the words of docs/words.md. The version rises when an output byte changes.", "",
  }
  for name in kit.code(def):gmatch("OP%(([%w_]+)%)") do
    local path = "engine/op/op_" .. name .. ".c"
    put_op(path, texts[path] or "", out)
  end
  return (table.concat(out, "\n"):gsub("\n+$", "\n"))
end

return pages
