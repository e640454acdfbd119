--- What a merge says beside its result: warnings with counts, notes for the plan.

local m = {}

--- One more tensor (NAME) of which a note says WHAT.
function m.add(x, what, name)
  local list = x.notes[what] or { count = 0, first = name }
  if list.count == 0 then x.notes[#x.notes + 1] = what end
  x.notes[what], list.count = list, list.count + 1
end

--- Say what was counted and noted.
function m.tell(x)
  for _, text in ipairs(x.counted) do
    engine.warn(("%s: %s: %d tensor%s"):format(x.word, text, x.counted[text],
      x.counted[text] == 1 and "" or "s"))
  end
  for _, what in ipairs(x.notes) do
    local list = x.notes[what]
    engine.note(("%s: %s: %d tensor%s (%s%s)"):format(x.word, what, list.count,
      list.count == 1 and "" or "s", list.first, list.count > 1 and ", ..." or ""))
  end
end

local function tokenizer(data)
  local card = data.card
  if card.tokens == nil then card.tokens = card.read and card.read "tokenizer.json" or false end
  return card.tokens
end

local compared = {}

--- Vocabularies whose tokens have other numbers than the donor's are merged row by row all the
-- same: that is said with their count (qm 55).
function m.compare_tokens(x)
  local ours = tokenizer(x.donor)
  for _, entry in ipairs(ours and x.list or {}) do
    local theirs = entry.data.card ~= x.donor.card and tokenizer(entry.data)
    if theirs and theirs ~= ours then
      local key = compared[x.donor.card] or {}
      compared[x.donor.card] = key
      if key[entry.data.card] == nil then
        key[entry.data.card] = engine.tokens_differ(ours, theirs) or 0
        if key[entry.data.card] > 0 then
          engine.warn(("%s: %d tokens of '%s' have another number than in '%s', whose tokenizer "
            .. "the result has, or none"):format(x.word, key[entry.data.card], entry.data.name,
            x.donor.name))
        end
      end
    end
  end
end

return m
