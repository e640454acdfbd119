-- runs.lua INDEX FOLDER: llama-quantize's runs of a golden's index as variants of a recipe
--
-- INDEX is tests/golden/quant/model/endtoend.json (of src.gguf beside it) or that of allarch/,
-- whose inputs are written to FOLDER first: N.gguf for entry N; their layout and numbers are
-- described there. Writes FOLDER/build.lua with every run that a recipe can say and that
-- llama-quantize did not refuse, and prints a line for each run, words between tabs:
--   input N SHA256 | file VARIANT SHA256 SIZE N | refused VARIANT N WORDS
--   crash VARIANT N WORDS | arrayfile VARIANT SHA256 SIZE N
-- The path of an imatrix enters the output: entry N's lie in FOLDER/N/, where its runs with one
-- have a recipe of their own, and these lines:
--   imfile VARIANT SHA256 SIZE N | imrefused, imcrash VARIANT N WORDS
-- Runs that prune a model whose header has an array with an element for each layer are of the kind
-- arrayfile: llama-quantize leaves such arrays as they are, and no loader reads its file.
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

local index, folder = json.load(arg[1]), arg[2]

local kinds = { u8 = 0, i8 = 1, u16 = 2, i16 = 3, u32 = 4, i32 = 5, f32 = 6, bool = 7, str = 8,
  u64 = 10, i64 = 11, f64 = 12 }
local packs = { u8 = "<I1", i8 = "<i1", u16 = "<I2", i16 = "<i2", u32 = "<I4", i32 = "<i4",
  f32 = "<f", str = "<s8", u64 = "<I8", i64 = "<i8", f64 = "<d" }
local dtypes = { f32 = 0, f16 = 1, bf16 = 30, i32 = 26 }

local function one(kind, value)
  if kind == "bool" then return value and "\1" or "\0" end
  if kind == "f32" or kind == "f64" then return string.pack(packs[kind], value) end
  return string.pack(packs[kind], kind == "str" and value or math.tointeger(value))
end

local function key_value(key, kind, value)
  local item = kind:match("^arr:(.*)$")
  if not item then return string.pack("<s8I4", key, kinds[kind]) .. one(kind, value) end
  local parts = { string.pack("<s8I4I4I8", key, 9, kinds[item], #value) }
  for i, v in ipairs(value) do parts[i + 1] = one(item, v) end
  return table.concat(parts)
end

-- x = s * 2^-22 in f16, to nearest, ties to even; exact steps of 2^-24 where it is subnormal.
local function half(s)
  local sign, m = 0, s
  if s < 0 then sign, m = 0x8000, -s end
  if m == 0 then return sign end
  local e = 0 -- m * 2^-22 = 1.f * 2^(e - 22)
  while m >> (e + 1) > 0 do e = e + 1 end
  local bits
  if e - 22 < -14 then
    bits = m << 2 -- units of 2^-24, exact
  elseif e <= 10 then
    bits = ((e - 22 + 15) << 10) + ((m << (10 - e)) & 0x3ff)
  else
    local shift = e - 10
    local rest, halfway = m & ((1 << shift) - 1), 1 << (shift - 1)
    bits = ((e - 22 + 15) << 10) + ((m >> shift) & 0x3ff)
    if rest > halfway or (rest == halfway and bits & 1 == 1) then bits = bits + 1 end
  end
  return sign | bits
end

local function bytes_of(seed, at, count, dtype)
  local base, parts, run = seed + at * 0xD1342543DE82EF95, {}, {}
  for i = 1, count do
    local z = base + i * 0x9E3779B97F4A7C15
    z = (z ~ z >> 30) * 0xBF58476D1CE4E5B9
    z = (z ~ z >> 27) * 0x94D049BB133111EB
    z = z ~ z >> 31
    local s = (z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48) - 131070
    if dtype == "i32" then
      run[#run + 1] = string.pack("<i4", z & 7)
    elseif dtype == "f16" then
      run[#run + 1] = string.pack("<I2", half(s))
    else
      local text = string.pack("<f", s * 2.0 ^ -22)
      if dtype == "bf16" then
        local v = string.unpack("<I4", text)
        text = string.pack("<I2", (v + 0x7fff + (v >> 16 & 1)) >> 16)
      end
      run[#run + 1] = text
    end
    if #run == 4096 then parts[#parts + 1], run = table.concat(run), {} end
  end
  parts[#parts + 1] = table.concat(run)
  return table.concat(parts)
end

local function padding(size) return ("\0"):rep(-size % 32) end

local function write(path, ...)
  local file = assert(io.open(path, "wb"))
  file:write(...)
  file:close()
end

-- TENSORS: { { name, type, { ne0, ne1, ... } }, ... }; BYTES(at, count, type) of each.
local function write_gguf(path, kv, tensors, bytes)
  local head = { "GGUF" .. string.pack("<I4I8I8", 3, #tensors, #kv) }
  local body, offset = {}, 0
  for _, item in ipairs(kv) do head[#head + 1] = key_value(table.unpack(item, 1, 3)) end
  for at, t in ipairs(tensors) do
    local count = 1
    head[#head + 1] = string.pack("<s8I4", t[1], #t[3])
    for _, dim in ipairs(t[3]) do
      head[#head + 1], count = string.pack("<I8", math.tointeger(dim)), count * math.tointeger(dim)
    end
    head[#head + 1] = string.pack("<I4I8", dtypes[t[2]], offset)
    local data = bytes(at, count, t[2])
    body[at] = data .. padding(#data)
    offset = offset + #body[at]
  end
  local text = table.concat(head)
  write(path, text, padding(#text), table.concat(body))
end

local function write_input(entry, path)
  write_gguf(path, entry.kv, entry.tensors, function(at, count, dtype)
    return bytes_of(entry.seed, at, count, dtype)
  end)
end

-- ---- importance matrices ----------------------------------------------------------------------

local function importance(seed, at, count)
  local base, parts = seed + 0x5851F42D4C957F2D + at * 0xD1342543DE82EF95, {}
  for i = 1, count do
    local z = base + i * 0x9E3779B97F4A7C15
    z = (z ~ z >> 30) * 0xBF58476D1CE4E5B9
    z = (z ~ z >> 27) * 0x94D049BB133111EB
    z = z ~ z >> 31
    parts[i] = string.pack("<f", ((z >> 44) + 1) * 2.0 ^ -10)
  end
  return table.concat(parts)
end

-- im.dat (legacy) and im.gguf of an entry.
local function write_imatrix(entry, to)
  local legacy, tensors, data = { string.pack("<i4", #entry.imatrix) }, {}, {}
  for at, item in ipairs(entry.imatrix) do
    local cols, matrices, counts = math.tointeger(item[2]), math.tointeger(item[3]), {}
    local values = importance(entry.seed, at, cols * matrices)
    legacy[at + 1] = string.pack("<s4i4i4", item[1], 3, cols * matrices) .. values
    for m = 0, matrices - 1 do
      local is_empty = matrices > 1 and m == matrices - 1
      counts[m + 1] = string.pack("<f", is_empty and 0 or (at - 1 + m) % 4 * 2 + 1)
    end
    tensors[2 * at - 1] = { item[1] .. ".in_sum2", "f32", { cols, matrices } }
    tensors[2 * at] = { item[1] .. ".counts", "f32", { 1, matrices } }
    data[2 * at - 1], data[2 * at] = values, table.concat(counts)
  end
  legacy[#legacy + 1] = string.pack("<i4s4", 7, "calib.txt")
  write(to .. "/im.dat", table.concat(legacy))
  write_gguf(to .. "/im.gguf", {
    { "general.type", "str", "imatrix" }, { "imatrix.datasets", "arr:str", { "calib.txt" } },
    { "imatrix.chunk_count", "u32", 5 }, { "imatrix.chunk_size", "u32", 512 },
  }, tensors, function(at) return data[at] end)
end

-- ---- the recipes ------------------------------------------------------------------------------

local options = {
  ["--pure"] = { "pure = true" },
  ["--leave-output-tensor"] = { 'output = "keep"' },
  ["--output-tensor-type"] = { 'output = "%s"', 1 },
  ["--token-embedding-type"] = { 'token_embd = "%s"', 1 },
}
local of_imatrix = {
  ["--imatrix"] = '"%s"', ["--include-weights"] = 'include = { "%s" }',
  ["--exclude-weights"] = 'exclude = { "%s" }',
}

local overrides = {
  int = function(text) return tostring(math.tointeger(tonumber(text))) end,
  float = function(text) return tostring(tonumber(text) + 0.0) end,
  bool = function(text) return text end,
  str = function(text) return ("%q"):format(text) end,
}

-- The items of lists: of a word, what an option's text adds to it.
local lists = {
  ["--tensor-type"] = { "patterns", function(text)
    return ("{ %q, %q }"):format(text:match("^(.-)=(.*)$"))
  end },
  ["--prune-layers"] = { "prune", function(text) return (text:gsub(",", ", ")) end },
  ["--override-kv"] = { "override", function(text)
    local key, kind, value = text:match("^(.-)=(%a+):(.*)$")
    return ("{ %q, %s }"):format(key, overrides[kind](value))
  end },
}

-- A run's type and options as words of a recipe.
local function words(ftype, args)
  local said, i, im, items, order = ('"%s"'):format(ftype), 1, {}, {}, {}
  while args[i] do
    local option, part, list = options[args[i]], of_imatrix[args[i]], lists[args[i]]
    if part then
      im[#im + 1] = part:format(args[i + 1])
    elseif list then
      if not items[list[1]] then items[list[1]], order[#order + 1] = {}, list[1] end
      table.insert(items[list[1]], list[2](args[i + 1]))
    elseif option then
      said = said .. ", " .. option[1]:format(args[i + 1])
    else
      error("an option that no word says: " .. args[i])
    end
    i = i + 1 + ((part or list) and 1 or option[2] or 0)
  end
  for _, name in ipairs(order) do
    said = ("%s, %s = { %s }"):format(said, name, table.concat(items[name], ", "))
  end
  if order[1] then said = said .. ', as = "llama-quantize"' end
  if #im > 1 then return ("%s, imatrix = { %s }"):format(said, table.concat(im, ", ")) end
  return im[1] and ("%s, imatrix = %s"):format(said, im[1]) or said
end

-- Whether the header of an input has an array with an element for each layer.
local function has_layer_arrays(entry)
  local counts, layers = {}, nil
  for _, item in ipairs(entry and entry.kv or {}) do
    if item[1]:find("%.block_count$") then layers = item[3] end
    if type(item[3]) == "table" and not item[1]:find("^tokenizer") then
      counts[#item[3]] = true
    end
  end
  return counts[layers] ~= nil
end

-- Print a dry run of the drop-in: its command line and the types that llama-quantize tells.
local function tell_dry(n, ftype, run)
  if run.rc ~= 0 then return end
  local types = run.types:gsub(".", function(letter) return index.types[letter]:lower() .. " " end)
  local line = table.concat(run.args, " ") .. (" ../%d.gguf %s"):format(n, ftype)
  print(table.concat({ "dry", n, line, types }, "\t"))
end

local recipe = { "local out = {}" }

-- Print a run and put it into the recipe INTO; PREFIX: of its kind of line.
local function tell(into, prefix, n, name, ftype, run)
  if run.dry then return tell_dry(n, ftype, run) end
  local said = words(ftype, run.args)
  local tab = "\t"
  if run.rc == 0 then
    print(table.concat({ prefix .. "file", name, run.sha256, run.size, n }, tab))
    into[#into + 1] = ('out["%s"] = gguf { quantize { m%d, %s } }'):format(name, n, said)
  else
    print(table.concat({ prefix .. (run.rc == 1 and "refused" or "crash"), name, n, said }, tab))
  end
end

local function has_imatrix(run) return run.args[1] == "--imatrix" end

-- FOLDER/N/: the runs of entry N that have an imatrix.
local function tell_weighted(n, entry)
  local to = ("%s/%d"):format(folder, n)
  local into = { "local out = {}", ('local m%d = source "../%d.gguf"'):format(n, n) }
  assert(os.execute("mkdir '" .. to .. "'"))
  write_imatrix(entry, to)
  for _, run in ipairs(entry.runs) do
    if has_imatrix(run) then
      local name = table.concat({ entry.arch, run.ftype, (run.args[2]:gsub("%W", "")) }, ".")
      tell(into, "im", n, name, run.ftype, run)
    end
  end
  write(to .. "/build.lua", table.concat(into, "\n"), "\nreturn out\n")
end

if index.runs then
  recipe[2] = ('local m0 = source "%s"'):format(index.source)
  for _, name in ipairs(json.keys[index.runs]) do
    tell(recipe, "", 0, (name:gsub("/", ".")), name:match("^[^/]+"), index.runs[name])
  end
end
for n, entry in ipairs(index.entries or {}) do
  write_input(entry, ("%s/%d.gguf"):format(folder, n))
  print(table.concat({ "input", n, entry.input_sha256 }, "\t"))
  recipe[#recipe + 1] = ('local m%d = source "%d.gguf"'):format(n, n)
  for _, run in ipairs(entry.runs) do
    if not has_imatrix(run) then
      local pruned = run.args[1] == "--prune-layers" and has_layer_arrays(entry)
      local name = entry.arch .. "." .. run.ftype .. (run.args[1] or "")
      tell(recipe, pruned and "array" or "", n, name, run.ftype, run)
    end
  end
  tell_weighted(n, entry)
end
write(folder .. "/build.lua", table.concat(recipe, "\n"), "\nreturn out\n")
