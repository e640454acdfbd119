--- bans.lua - what the house does without, and what to use in its place
--
-- Calls in C (comments and strings do not count); marks of unfinished work, paths of a machine,
-- trailing blanks, missing newlines in every text; lines over 100 columns and files over 800
-- lines in code (over 400 is a note).

package.path = "tests/lint/shared/?.lua;" .. package.path
local kit = require "kit"

local function set(words)
  local out = {}
  for word in words:gmatch("%S+") do out[word] = true end
  return out
end

local function below(...)
  local folders = { ... }
  return function(path)
    for _, folder in ipairs(folders) do
      if path:sub(1, #folder) == folder then return true end
    end
    return false
  end
end
local function nowhere() return false end

-- Functions that may be called in some places only: names, where they may, what to do instead.
local calls = {
  { "malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf aligned_alloc "
    .. "posix_memalign getline getdelim", below("engine/base/"),
    "use an arena, mem_grow or bulk_alloc (base/arena.h)" },
  { "strcpy strcat strncpy strncat stpcpy sprintf vsprintf gets alloca", nowhere,
    "write with a bound: struct buf, arena_printf, snprintf" },
  { "atoi atol atoll atof strtok", nowhere, "parse with a check of the whole text" },
  { "exit _exit _Exit quick_exit abort", below("engine/cli/", "engine/base/arena.c",
    "engine/base/fault.c"), "return false and let cli end the program" },
  { "time gettimeofday rand srand random srandom drand48 localtime localtime_r gmtime setlocale "
    .. "newlocale uselocale strftime", nowhere, "results depend on no clock, chance or place" },
  { "clock_gettime", below("engine/base/", "engine/lua/sandbox.c"),
    "use clock_ns or wall_ns (base/file.h)" },
  { "getenv", below("engine/base/", "engine/cli/", "engine/kernel/", "engine/format/hub.c"),
    "the environment is read by cli and handed down" },
  { "system popen fork vfork execv execve execvp execl execlp posix_spawn", nowhere,
    "vbuild starts no program" },
  { "acos asin atan atan2 acosh asinh atanh cos sin tan sincos cosh sinh tanh exp exp2 exp10 "
    .. "expm1 log log2 log10 log1p pow cbrt hypot erf erfc lgamma tgamma", nowhere,
    "libm's bits differ by CPU: use base/fmath.h", float = true },
}
local banned = {}
for _, row in ipairs(calls) do
  for word in pairs(set(row[1])) do
    banned[word] = row
    if row.float then
      banned[word .. "f"] = row
      banned[word .. "l"] = row
    end
  end
end

local function check_calls(path, text, say)
  for number, line in kit.lines(kit.code(text, true)) do
    for before, word in line:gmatch("(.?)%f[%w_]([%a_][%w_]*)%f[^%w_]%s*%(") do
      local row = banned[word]
      if row and before ~= "." and before ~= ">" and not row[2](path) then
        say(path, number, "%s: %s", word, row[3])
      end
    end
    local omp = line:match("#%s*pragma%s+omp") or line:match("%f[%w_]omp_[%w_]+%s*%(")
      or line:match("_Pragma.*omp") or line:match("#%s*include%s*<omp%.h>")
    if omp and path ~= "engine/graph/exec.c" then
      say(path, number, "threads are made by graph/exec.c alone")
    end
  end
end

-- Spelled in two parts, so that this file is clean.
local marks = { "TO" .. "DO", "FIX" .. "ME", "XX" .. "X", "HA" .. "CK" }
local machine = { "/wo" .. "rk", "/ho" .. "me", "/ro" .. "ot" }

local function check_text(path, text, say)
  local shipped = path:match("^engine/") or path:match("^rules/")
  for number, line in kit.lines(text) do
    for _, mark in ipairs(marks) do
      if line:find("%f[%w_]" .. mark .. "%f[^%w_]") then
        say(path, number, "%s: finish it, or leave it out", mark)
      end
    end
    for _, folder in ipairs(machine) do
      if line:find("%f[%w/~$.}]" .. folder .. "/") then
        say(path, number, "%s is a path of one machine", folder)
      end
    end
    if shipped and line:find("[\"' (=]/tmp[/\"' )]") then
      say(path, number, "/tmp is a path of one machine")
    end
    if line:find("[ \t\r]$") then say(path, number, "blanks at the end of the line") end
  end
  if text ~= "" and text:sub(-1) ~= "\n" then say(path, 1, "no newline at the end of the file") end
  if text:sub(-2) == "\n\n" then say(path, 1, "empty lines at the end of the file") end
end

local SOFT, HARD = 400, 800

-- Columns: the house's 100, and 120 for the cases of shell scripts, which are one line each.
local function wide(path) return path:match("^tests/.*%.sh$") and 120 or 100 end

local function check_size(path, text, say, note)
  local count = 0
  for number, line in kit.lines(text) do
    count = number
    local width = utf8.len(line)
    if not width then
      say(path, number, "not UTF-8")
    elseif width > wide(path) then
      say(path, number, "%d columns (%d at most)", width, wide(path))
    end
  end
  if count > HARD then
    say(path, 1, "%d lines (%d at most)", count, HARD)
  elseif count > SOFT then
    note(path, 1, "%d lines (better %d)", count, SOFT)
  end
end

local code = set "c h def lua sh"

local function check(tree, say, note)
  for _, path in ipairs(tree.list) do
    local text, ending = tree.text[path], path:match("%.(%w+)$")
    if path:match("^engine/.*%.[ch]$") then check_calls(path, text, say) end
    check_text(path, text, say)
    if ending and code[ending] then check_size(path, text, say, note) end
  end
end

local c = "engine/op/op_a.c"
local plants = {
  { "clean code", { [c] = 'int f(void)\n{\n    return a.free(x) + b->log(y) + log_open(z); '
    .. '/* free(x) */\n}\nconst char *s = "exit(1)";\n' } },
  { "the allocator itself", { ["engine/base/arena.c"] = "void f(void) { free(malloc(1)); }\n" } },
  { "threads where they belong", { ["engine/graph/exec.c"] = "#pragma omp parallel\n" } },
  { "malloc", { [c] = "x = malloc(3);\n" }, "op_a.c:1: malloc" },
  { "free after a cast", { [c] = "    free ((void *)p);\n" }, "op_a.c:1: free" },
  { "strcpy", { [c] = "strcpy(a, b);\n" }, "strcpy" },
  { "atoi", { ["engine/base/a.c"] = "x = atoi(s);\n" }, "atoi" },
  { "exit", { [c] = "if (x)\n    exit(1);\n" }, "op_a.c:2: exit" },
  { "time", { ["engine/cli/a.c"] = "x = time(NULL);\n" }, "time" },
  { "getenv in an op", { [c] = 'getenv("X");\n' }, "getenv" },
  { "a program", { ["engine/cli/a.c"] = 'system("x");\n' }, "system" },
  { "omp elsewhere", { [c] = "#pragma omp parallel for\n" }, "graph/exec.c alone" },
  { "libm", { [c] = "y = expf(x);\n" }, "expf" },
  { "a mark", { ["rules/a.lua"] = "-- " .. marks[1] .. ": later\n" }, "finish it" },
  { "a mark in a page", { ["README.md"] = marks[2] .. "\n" }, "finish it" },
  { "a path", { ["tests/a.sh"] = "cd " .. machine[1] .. "/main\n" }, "path of one machine" },
  { "a temporary folder", { [c] = 's = "/tmp/x";\n' }, "path of one machine" },
  { "blanks", { ["README.md"] = "word \n" }, "README.md:1: blanks" },
  { "no newline", { [c] = "int x;" }, "no newline" },
  { "a wide line", { [c] = "int " .. ("x"):rep(97) .. "\n" }, "101 columns" },
  { "a long file", { [c] = ("int x;\n"):rep(801) }, "801 lines" },
}

kit.main("bans", check, plants, function()
  local tree = kit.tree({ ".ci", "Makefile", "*.lua", "*.md", "bench", "cache/README.md", "docs",
    "engine", "outputs/README.md", "recipes", "rules", "tests" },
    set "c h def lua sh md py run Makefile")
  local list = {}
  for _, path in ipairs(tree.list) do
    if not path:match("^tests/golden/") and not path:match("^tests/models/") then
      list[#list + 1] = path
    end
  end
  tree.list = list
  return tree
end)
