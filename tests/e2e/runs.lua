-- runs.lua INDEX FOLDER: llama-quantize's runs of a golden's index as variants of a recipe
--
-- INDEX is tests/golden/quant/model/endtoend.json (of src.gguf beside it) or that of allarch/,
-- whose inputs are written to FOLDER first: N.gguf for entry N; their layout and numbers are
-- described there. Writes FOLDER/build.lua with every run that a recipe can say and that
-- llama-quantize did not refuse, and prints a line for each run, words between tabs:
--   input N SHA256 | file VARIANT SHA256 SIZE | refused VARIANT N WORDS | crash VARIANT N WORDS
-- Importance matrices, patterns, pruned layers and overrides have no words yet: left out.
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

local function write_input(entry, path)
  local head = { "GGUF" .. string.pack("<I4I8I8", 3, #entry.tensors, #entry.kv) }
  local body, offset = {}, 0
  for _, item in ipairs(entry.kv) do head[#head + 1] = key_value(table.unpack(item, 1, 3)) end
  for at, t in ipairs(entry.tensors) do
    local count = 1
    head[#head + 1] = string.pack("<s8I4", t[1], #t[3])
    for _, dim in ipairs(t[3]) do
      head[#head + 1], count = string.pack("<I8", math.tointeger(dim)), count * math.tointeger(dim)
    end
    head[#head + 1] = string.pack("<I4I8", dtypes[t[2]], offset)
    local bytes = bytes_of(entry.seed, at, count, t[2])
    body[at] = bytes .. padding(#bytes)
    offset = offset + #body[at]
  end
  local text = table.concat(head)
  local file = assert(io.open(path, "wb"))
  file:write(text, padding(#text), table.concat(body))
  file:close()
end

local options = {
  ["--pure"] = { "pure = true" },
  ["--leave-output-tensor"] = { 'output = "keep"' },
  ["--output-tensor-type"] = { 'output = "%s"', 1 },
  ["--token-embedding-type"] = { 'token_embd = "%s"', 1 },
}

-- A run's type and options as words of a recipe, or nil where they cannot say it.
local function words(ftype, args)
  local said, i = ('"%s"'):format(ftype), 1
  while args[i] do
    local option = options[args[i]]
    if not option then return nil end
    said = said .. ", " .. option[1]:format(args[i + 1])
    i = i + 1 + (option[2] or 0)
  end
  return said
end

local recipe = { "local out = {}" }

local function tell(n, name, ftype, run)
  local said = not run.dry and words(ftype, run.args)
  if not said then return end
  local tab = "\t"
  if run.rc == 0 then
    print(table.concat({ "file", name, run.sha256, run.size }, tab))
    recipe[#recipe + 1] = ('out["%s"] = gguf { quantize { m%d, %s } }'):format(name, n, said)
  else
    print(table.concat({ run.rc == 1 and "refused" or "crash", name, n, said }, tab))
  end
end

if index.runs then
  recipe[2] = ('local m0 = source "%s"'):format(index.source)
  for _, name in ipairs(json.keys[index.runs]) do
    tell(0, (name:gsub("/", ".")), name:match("^[^/]+"), index.runs[name])
  end
end
for n, entry in ipairs(index.entries or {}) do
  write_input(entry, ("%s/%d.gguf"):format(folder, n))
  print(table.concat({ "input", n, entry.input_sha256 }, "\t"))
  recipe[#recipe + 1] = ('local m%d = source "%d.gguf"'):format(n, n)
  for _, run in ipairs(entry.runs) do
    tell(n, entry.arch .. "." .. run.ftype .. (run.args[1] or ""), run.ftype, run)
  end
end
recipe[#recipe + 1] = "return out\n"
local file = assert(io.open(folder .. "/build.lua", "w"))
file:write(table.concat(recipe, "\n"))
file:close()
