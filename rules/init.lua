--- What engine/lua/recipe.c asks of the rules: the words of recipes, and the end of one.

local finish = require "finish"
local mergekit = require "mergekit"
local words = require "words"

return {
  words = words.words, finish = finish.finish, page = words.page,
  yaml = mergekit.recipe, yaml_text = mergekit.text,
}
