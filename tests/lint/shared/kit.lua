--- kit.lua - what the lints share: the tree as texts, C without comments, findings, self-tests.
--
-- A lint is check(tree, say) -> nothing; a tree is { list = sorted paths, text = { path = text } }.
-- kit.main first runs the lint over small planted trees, which it must find fault with (or not),
-- and then over the real one: no lint passes without having shown that it notices.

local kit = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end
kit.read = read

local function lines_of(command)
  local list = {}
  local pipe = assert(io.popen(command))
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

--- The files below ROOTS (and single files among them) that end in one of ENDS, as a tree.
function kit.tree(roots, ends)
  local tree = { list = {}, text = {} }
  local found = lines_of("find " .. table.concat(roots, " ") .. " -type f 2>/dev/null")
  for _, path in ipairs(found) do
    local ending = path:match("%.([%w]+)$") or path:match("([^/]+)$")
    if ends[ending] then
      tree.list[#tree.list + 1] = path
      tree.text[path] = read(path)
    end
  end
  table.sort(tree.list)
  return tree
end

--- A tree of planted texts.
function kit.plant(text)
  local tree = { list = {}, text = text }
  for path in pairs(text) do tree.list[#tree.list + 1] = path end
  table.sort(tree.list)
  return tree
end

--- The lines of a text, without their ends: for number, line in kit.lines(text).
function kit.lines(text)
  local number, at = 0, 1
  return function()
    if at > #text then return nil end
    local stop = text:find("\n", at, true) or #text + 1
    local line = text:sub(at, stop - 1)
    at = stop + 1
    number = number + 1
    return number, line
  end
end

local function blank(s) return (s:gsub("[^\n]", " ")) end

--- C text with comments blanked, and with STRINGS also the insides of strings and characters;
-- places do not move.
function kit.code(text, strings)
  local out, at = {}, 1
  while true do
    local from = text:find("[\"'/]", at)
    if not from then break end
    out[#out + 1] = text:sub(at, from - 1)
    local c = text:sub(from, from)
    local stop = from
    if c == "/" then
      local two = text:sub(from, from + 1)
      if two == "/*" then
        stop = select(2, text:find("*/", from + 2, true)) or #text
      elseif two == "//" then
        stop = (text:find("\n", from, true) or #text + 1) - 1
      end
      out[#out + 1] = stop > from and blank(text:sub(from, stop)) or c
    else
      local i = from + 1
      while i <= #text and text:sub(i, i) ~= c and text:sub(i, i) ~= "\n" do
        i = i + (text:sub(i, i) == "\\" and 2 or 1)
      end
      stop = math.min(i, #text)
      local inside = text:sub(from + 1, stop - 1)
      out[#out + 1] = c .. (strings and blank(inside) or inside) .. text:sub(stop, stop)
    end
    at = stop + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

--- The layer of "engine/LAYER/..." and of "tests/unit/LAYER/...", or nil.
function kit.layer(path)
  return path:match("^engine/([^/]+)/") or path:match("^tests/unit/([^/]+)/")
end

local function run(check, tree)
  local bad, notes = {}, {}
  local function say(path, line, why, ...)
    bad[#bad + 1] = ("%s:%d: %s"):format(path, line, why:format(...))
  end
  local function note(path, line, why, ...)
    notes[#notes + 1] = ("%s:%d: %s"):format(path, line, why:format(...))
  end
  check(tree, say, note)
  return bad, notes
end

--- Run lint NAME: PLANTS are { "what it is", { path = text, ... }, "part of the finding" or nil }.
-- MAKE gives the real tree. Prints "ok NAME" or FAIL lines, then the count, and exits.
function kit.main(name, check, plants, make)
  local passed, failed = 0, 0
  for _, plant in ipairs(plants) do
    local bad = table.concat(run(check, kit.plant(plant[2])), "\n")
    local good = plant[3] and bad:find(plant[3], 1, true) or (not plant[3] and bad == "")
    if good then
      passed = passed + 1
    else
      failed = failed + 1
      bad = bad == "" and "not noticed" or bad
      print(("FAIL %s: self-test '%s': %s"):format(name, plant[1], bad))
    end
  end
  local bad, notes = run(check, make())
  for _, line in ipairs(notes) do print(("note %s: %s"):format(name, line)) end
  for _, line in ipairs(bad) do print(("FAIL %s: %s"):format(name, line)) end
  if #bad == 0 then
    passed = passed + 1
    print("ok " .. name)
  else
    failed = failed + 1
  end
  print(("%d passed, %d failed"):format(passed, failed))
  os.exit(failed == 0)
end

return kit
