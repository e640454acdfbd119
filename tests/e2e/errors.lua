-- errors.lua REPORT MADE SOURCE [IMATRIX]: the errors in REPORT (the JSON of `vbuild inspect
-- --types --against`) are those of MADE, the dequantized file, against SOURCE, both with Hugging
-- Face names; IMATRIX: of the older format, its values weigh the columns
--
-- Plain sums in f64, one after the other: equal to what is reported but for the last digits.
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"
local tensors = require "tensors"

local formats = { f32 = { "<f", 4 }, f16 = { "", 2 }, bf16 = { "", 2 } }

local function half(bits)
  local sign = bits >= 0x8000 and -1 or 1
  local e, m = bits >> 10 & 31, bits & 1023
  if e == 0 then return sign * m * 2.0 ^ -24 end
  return sign * (1 + m / 1024) * 2.0 ^ (e - 15)
end

local function values(t)
  local out, size = {}, formats[t.type][2]
  for i = 1, #t.data // size do
    local at = (i - 1) * size + 1
    if t.type == "f32" then
      out[i] = string.unpack("<f", t.data, at)
    elseif t.type == "bf16" then
      out[i] = string.unpack("<f", "\0\0" .. t.data:sub(at, at + 1))
    else
      out[i] = half(string.unpack("<I2", t.data, at))
    end
  end
  return out
end

local function imatrix(path)
  local s, by = tensors.read(path), {}
  local count, at = string.unpack("<i4", s)
  for _ = 1, count do
    local name, n
    name, _, n, at = string.unpack("<s4i4i4", s, at)
    local v, sum = {}, 0
    for i = 1, n do
      v[i], at = string.unpack("<f", s, at)
      sum = sum + v[i]
    end
    for i = 1, n do v[i] = v[i] / (sum / n) end
    by[name] = v
  end
  return by
end

local function near(a, b) return math.abs(a - b) <= 1e-9 * math.max(math.abs(a), math.abs(b)) end

local report = json.load(arg[1])
local made, source = tensors.open(arg[2]), tensors.open(arg[3])
local weights = arg[4] and imatrix(arg[4]) or {}
local bad, weighed, total_j, total_n, total_x, most = 0, 0, 0, 0, 0, 0

local function check(name, what, got, want)
  if near(got, want) then return end
  bad = bad + 1
  print(("%s: %s is %.17g, want %.17g"):format(name, what, got, want))
end

for _, t in ipairs(report.tensors) do
  local x, y = values(source[t.source]), values(made[t.source])
  local w, cols = weights[t.name], t.shape[#t.shape]
  local e, sw, sx, max, at = 0, 0, 0, 0, -1
  assert(#x == #y and #x > 0, t.name)
  weighed = weighed + (w and 1 or 0)
  for i = 1, #x do
    local d, c = x[i] - y[i], w and w[(i - 1) % cols + 1] or 1
    e, sw, sx = e + c * d * d, sw + c, sx + c * x[i] * x[i]
    if math.abs(d) > max then max, at = math.abs(d), i - 1 end
  end
  local got = t.error
  check(t.name, "sum", got.sum, e)
  check(t.name, "sum_weights", got.sum_weights, sw)
  check(t.name, "sum_source", got.sum_source, sx)
  check(t.name, "rmse", got.rmse, math.sqrt(e / sw))
  check(t.name, "relative", got.relative, math.sqrt(e / sx))
  check(t.name, "max_abs", got.max_abs, max)
  check(t.name, "max_at", got.max_at, at)
  check(t.name, "not_finite", got.not_finite, 0)
  total_j, total_n, total_x = total_j + #x * e / sw, total_n + #x, total_x + #x * sx / sw
  most = math.max(most, max)
end
check("all", "rmse", report.total.rmse, math.sqrt(total_j / total_n))
check("all", "relative", report.total.relative, math.sqrt(total_j / total_x))
check("all", "max_abs", report.total.max_abs, most)
assert(total_j > 0, "no error at all: nothing was compared")
assert(not arg[4] or weighed > 0, "no tensor has a vector")
os.exit(bad == 0)
