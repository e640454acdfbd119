--- pages.lua - the examples of the pages, run
--
--     lua5.4 tests/e2e/pages.lua           check (VBUILD names the program, else ./vbuild)
--     lua5.4 tests/e2e/pages.lua --write   put what is printed now into the console blocks
--
-- A ```lua block is a whole recipe: `vbuild plan` must take it. The first one of README.md is
-- recipes/demo.lua as it stands. The lines of ```console blocks that begin with "$ " are run one
-- after the other in a scratch copy of the workspace, and must print the lines below them; times
-- ("0.24 s") may differ, and the scratch folder, which is also their home, is written "~".

local recipes_in = { "README.md", "CONTRIBUTING.md", "docs/words.md" }
local console_in = "README.md"
local passed, failed = 0, 0

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function shell(command)
  local pipe = io.popen(command)
  local text = pipe:read("a")
  local ok, how, code = pipe:close()
  return text, ok and 0 or (how == "exit" and code or 255)
end

local function verdict(ok, where, why)
  passed, failed = passed + (ok and 1 or 0), failed + (ok and 0 or 1)
  if not ok then print(("FAIL pages: %s: %s"):format(where, why)) end
end

-- The fenced blocks of a page: { kind =, line = of the first line inside, body = list of lines }.
local function blocks(text)
  local list, open, number = {}, nil, 0
  for line in text:gmatch("([^\n]*)\n") do
    number = number + 1
    local fence = line:match("^```(%w*)")
    if fence and not open then
      open = { kind = fence, line = number + 1, body = {} }
    elseif fence then
      list[#list + 1] = open
      open = nil
    elseif open then
      open.body[#open.body + 1] = line
    end
  end
  return list
end

local scratch = shell("mktemp -d"):gsub("\n", "")
local program = os.getenv("VBUILD") or "./vbuild"
local _, copied = shell(("d='%s' && cp '%s' \"$d/vbuild\" && cp -r build.lua recipes \"$d\" "
  .. "&& mkdir -p \"$d/tests/golden/quant/model\" && cp -r tests/models \"$d/tests\" "
  .. "&& cp tests/golden/quant/model/src.gguf \"$d/tests/golden/quant/model\""):format(scratch,
  program))
local clean = "cd '" .. scratch .. "' && env -u VBUILD_CACHE -u VBUILD_JOBS -u VBUILD_MEM "
  .. "LC_ALL=C HOME='" .. scratch .. "' "

local function check_recipe(page, block)
  write(scratch .. "/page.lua", table.concat(block.body, "\n") .. "\n")
  local said, code = shell(clean .. "./vbuild plan page.lua 2>&1")
  verdict(code == 0, page .. ":" .. block.line, "vbuild plan refuses this recipe: " .. said)
end

local function without_times(text) return (text:gsub("%d+%.%d+ s%f[%W]", "TIME s")) end

local function without_scratch(text)
  local plain = scratch:gsub("%p", "%%%0")
  return (text:gsub(plain, "~"))
end

-- Run a console block; what it is and what it should be, as texts.
local function run_console(block)
  local out = {}
  for _, line in ipairs(block.body) do
    local command = line:match("^%$ (.*)")
    if command then
      local said = shell(clean .. "sh -c '" .. command:gsub("'", "'\\''") .. "' 2>&1")
      out[#out + 1] = line
      for got in without_scratch(said):gmatch("[^\n]+") do out[#out + 1] = got end
    end
  end
  return table.concat(block.body, "\n"), table.concat(out, "\n")
end

local function check_consoles(page)
  local text = read(page)
  for _, block in ipairs(blocks(text)) do
    if block.kind == "console" then
      local is, should = run_console(block)
      local same = without_times(is) == without_times(should)
      if arg[1] == "--write" and not same then
        local from, to = text:find(is, 1, true)
        text = text:sub(1, from - 1) .. should .. text:sub(to + 1)
        write(page, text)
      else
        verdict(same, page .. ":" .. block.line, "these commands print now:\n" .. should
          .. "\n(lua5.4 tests/e2e/pages.lua --write puts it there)")
      end
    end
  end
end

if copied ~= 0 then
  verdict(false, program, "cannot be copied: build it first")
else
  local demo
  for _, page in ipairs(recipes_in) do
    for _, block in ipairs(blocks(read(page))) do
      if block.kind == "lua" then
        check_recipe(page, block)
        demo = demo or table.concat(block.body, "\n") .. "\n"
      end
    end
  end
  verdict(demo == read("recipes/demo.lua"), "README.md", "its recipe is not recipes/demo.lua")
  verdict(select(2, read("README.md"):gsub("\n", "")) <= 120, "README.md", "over 120 lines")
  check_consoles(console_in)
end
os.execute("rm -rf '" .. scratch .. "'")
if failed == 0 then print("ok pages") end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
