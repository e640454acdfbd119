-- compare.lua WANT GOT EXACT_MIN ULP_MAX REL_MAX FLIP_MAX: elements within the tolerance of a
-- merge golden (tests/golden/merge/index.json)
--
-- Names, types and shapes must be equal. An element passes when it is ULP_MAX or nearer in units
-- in the last place, or REL_MAX times the largest magnitude of its wanted tensor or nearer; the
-- share of equal bits must be EXACT_MIN or more, that of failing elements FLIP_MAX or less.
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local tensors = require "tensors"

local function half(bits)
  local e, f = bits >> 10 & 31, bits & 1023
  local v
  if e == 0 then
    v = f * 2.0 ^ -24
  elseif e == 31 then
    v = f == 0 and math.huge or 0 / 0
  else
    v = (1024 + f) * 2.0 ^ (e - 25)
  end
  return bits >= 32768 and -v or v
end

local function single(bits) return (string.unpack("<f", string.pack("<I4", bits))) end

local kinds = {
  bf16 = { width = 2, value = function(bits) return single(bits << 16) end },
  f16 = { width = 2, value = half },
  f32 = { width = 4, value = single },
}

-- Bits as a number that orders as the values do: neighbours differ by one.
local function ordered(bits, width)
  local sign = 1 << (8 * width - 1)
  return bits >= sign and sign - bits or bits
end

local function bits_of(data, width)
  local form = width == 2 and "<I2" or "<I4"
  return function(i) return (string.unpack(form, data, (i - 1) * width + 1)) end
end

local sums = { all = 0, exact = 0, failing = 0, ulp = 0, rel = 0 }
local exact_min, ulp_max, rel_max, flip_max = tonumber(arg[3]), tonumber(arg[4]), tonumber(arg[5]),
  tonumber(arg[6])

-- The elements that differ; equal ones are only counted.
local function compare(x, y)
  local kind = kinds[x.type]
  local n = #x.data // kind.width
  sums.all = sums.all + n
  if x.data == y.data then
    sums.exact = sums.exact + n
    return
  end
  local want, got, largest = bits_of(x.data, kind.width), bits_of(y.data, kind.width), 0
  for i = 1, n do largest = math.max(largest, math.abs(kind.value(want(i)))) end
  for i = 1, n do
    local w, g = want(i), got(i)
    if w == g then
      sums.exact = sums.exact + 1
    else
      local ulp = math.abs(ordered(w, kind.width) - ordered(g, kind.width))
      local rel = math.abs(kind.value(w) - kind.value(g)) / largest
      sums.ulp = math.max(sums.ulp, ulp)
      sums.rel = math.max(sums.rel, rel)
      if not (ulp <= ulp_max or rel <= rel_max) then sums.failing = sums.failing + 1 end
    end
  end
end

local a, b = tensors.open(arg[1]), tensors.open(arg[2])
local wrong = 0
for _, name in ipairs(tensors.names(a)) do
  local x, y = a[name], b[name]
  if not y or x.type ~= y.type or table.concat(x.dims, ",") ~= table.concat(y.dims, ",") then
    print(("%s: want %s [%s], got %s [%s]"):format(name, x.type, table.concat(x.dims, ", "),
      y and y.type or "nothing", table.concat(y and y.dims or {}, ", ")))
    wrong = wrong + 1
  else
    compare(x, y)
  end
end
for _, name in ipairs(tensors.names(b)) do
  if not a[name] then
    print(name .. " is not wanted")
    wrong = wrong + 1
  end
end
local share = sums.exact / sums.all
print(("exact %.6f (%d of %d), worst ulp %d, worst rel %.3g, failing %d"):format(share, sums.exact,
  sums.all, sums.ulp, sums.rel, sums.failing))
os.exit(wrong == 0 and sums.all > 0 and share >= exact_min and sums.failing / sums.all <= flip_max)
