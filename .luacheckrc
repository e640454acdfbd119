-- The words of recipes are those of docs/words.md, which is made from rules/words.lua.
std = "lua54"
max_line_length = 100

local words = {}
for line in io.lines("docs/words.md") do
  local word = line:match("^## (%l[%w_]*)")
  if word then words[word] = { other_fields = true } end
end

-- What engine/lua/env.c gives to the rules, and to recipes.
files["rules"] = { read_globals = { engine = { other_fields = true } } }
files["recipes"] = { read_globals = words }
files["build.lua"] = { read_globals = words }
