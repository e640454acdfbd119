--- docs.lua - the pages say what the program does
--
--     lua5.4 tests/lint/docs.lua           checks; needs the program (VBUILD, else ./vbuild)
--     lua5.4 tests/lint/docs.lua --write   makes docs/*.md anew
--
-- docs/words.md is what `vbuild words` prints, docs/command.md what `vbuild manual` prints;
-- docs/types.md and docs/ops.md come from the tables (shared/pages.lua). Each file that a page
-- names between backquotes exists; capitals stand for any name (op_NAME.c).

package.path = "tests/lint/shared/?.lua;" .. package.path
local kit = require "kit"
local pages = require "pages"

local program = os.getenv("VBUILD") or "./vbuild"

local function printed(word)
  local pipe = io.popen(("'%s' %s 2>&1"):format(program, word))
  local text = pipe:read("a")
  return pipe:close() and text or nil, text
end

local DTYPES, OPS = "engine/tensor/dtype.def", "engine/op/ops.def"

-- What the generated pages should be, from a tree (which holds the program's answers, too).
local function wanted(tree)
  return {
    ["docs/words.md"] = tree.text["vbuild words"],
    ["docs/command.md"] = tree.text["vbuild manual"],
    ["docs/types.md"] = tree.text[DTYPES] and pages.types(tree.text[DTYPES]),
    ["docs/ops.md"] = tree.text[OPS] and pages.ops(tree.text[OPS], tree.text),
  }
end

local function first_difference(a, b)
  local next_a, next_b = kit.lines(a), kit.lines(b)
  while true do
    local number, x = next_a()
    local other, y = next_b()
    if x ~= y then return number or other, x or "(the end)", y or "(the end)" end
    if not x then return 1, "(line ends)", "(line ends)" end
  end
end

local function check_generated(tree, say)
  for path, text in pairs(wanted(tree)) do
    local is = tree.text[path]
    if not is then
      say(path, 1, "is missing; make it: lua5.4 tests/lint/docs.lua --write")
    elseif is ~= text then
      local line, old, new = first_difference(is, text)
      say(path, line, "says %q, the tables say %q: lua5.4 tests/lint/docs.lua --write", old, new)
    end
  end
end

-- Files that a page may name: those with a folder of this tree before them, and the pages.
local function check_names(tree, path, say)
  local fenced = false
  for number, line in kit.lines(tree.text[path]) do
    if line:match("^%s*```") then fenced = not fenced end
    for name in (fenced and "" or line):gmatch("`([%w_./-]+)`") do
      local top = name:match("^([%w.]+)/") or name
      local ours = tree.text["folder " .. top] or name:match("^%u+%.md$")
      local pattern = name:find("%f[%w]%u%u+%f[%U]") and not name:match("^%u+%.md$")
        and not name:match("README")
      if ours and not pattern and not tree.exists(name) then
        say(path, number, "there is no %s", name)
      end
    end
  end
end

local function check(tree, say)
  tree.exists = tree.exists or function(name) return tree.text[name] ~= nil end
  check_generated(tree, say)
  for _, path in ipairs(tree.list) do
    if path:match("%.md$") then check_names(tree, path, say) end
  end
end

local def = 'DTYPE(f32, "F32", 0, 1, 4, FLOAT, 1)\n'
local op = '/*\n * one - does it\n */\nstatic const struct param one_params[] = {\n'
  .. '    {"to", PARAM_DTYPE, 0, 0, NULL, NULL, "the, type"},\n};\n'
  .. 'const struct op op_one = {\n    .name = "one",\n    .version = 3,\n    .in_min = 1,\n'
  .. '    .in_max = 1,\n};\n'
local op_tree = { [OPS] = "OP(one)\n", ["engine/op/op_one.c"] = op }
local plants = {
  { "pages that agree", { [DTYPES] = def, ["docs/types.md"] = pages.types(def),
    ["vbuild words"] = "w\n", ["docs/words.md"] = "w\n" } },
  { "an old list of words", { ["vbuild words"] = "a\nb\n", ["docs/words.md"] = "a\nc\n" },
    'docs/words.md:2: says "c", the tables say "b"' },
  { "no page", { ["vbuild manual"] = "a\n" }, "docs/command.md:1: is missing" },
  { "a type that is not in the page", { [DTYPES] = def .. def:gsub("f32", "f99"),
    ["docs/types.md"] = pages.types(def) }, "f99" },
  { "an op whose version rose", { [OPS] = op_tree[OPS], ["engine/op/op_one.c"] = op,
    ["docs/ops.md"] = pages.ops(op_tree[OPS], op_tree):gsub("Version 3", "Version 2") },
    "Version 3, inputs: 1" },
  { "a parameter with another meaning", { [OPS] = op_tree[OPS], ["engine/op/op_one.c"] = op,
    ["docs/ops.md"] = pages.ops(op_tree[OPS], op_tree):gsub("the, type", "a type") }, "the, type" },
  { "a file that is not there", { ["A.md"] = "see `engine/base/gone.c`\n", ["folder engine"] = "" },
    "there is no engine/base/gone.c" },
  { "a name that stands for many", { ["A.md"] = "`engine/op/op_NAME.c` and `a/b`\n",
    ["folder engine"] = "" } },
}

local function exists(name)
  local file = io.open((name:gsub("/$", "")), "rb")
  if file then file:close() end
  return file ~= nil
end

local function real_tree()
  local tree = kit.tree({ "*.md", "docs", "cache/README.md", "outputs/README.md", "tests/README.md",
    "engine/op", DTYPES }, { md = true, c = true, def = true })
  for _, word in ipairs { "words", "manual" } do
    local text, said = printed(word)
    tree.text["vbuild " .. word] = text or ("%s %s failed: %s"):format(program, word, said)
  end
  for _, folder in ipairs { "engine", "rules", "recipes", "tests", "docs", "bench" } do
    tree.text["folder " .. folder] = ""
  end
  tree.exists = exists
  return tree
end

if arg[1] == "--write" then
  for path, text in pairs(wanted(real_tree())) do
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
  end
else
  kit.main("docs", check, plants, real_tree)
end
