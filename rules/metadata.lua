--- The general.* key-values: the reference's rules on names, the README's front matter,
-- generation_config.json. Source: specs/hf-and-convert.md section 3.5; ruling 23.

local m = {}

-- ---- names -----------------------------------------------------------------------------------

-- A word in lower case gets capitals, one that has its own keeps them.
local function title_word(word)
  if word:find("%u") or not word:find("%l") then return word end
  if word:find("^%d") or word:find("^v%d+$") or word:find("^v%d+[%d.]*%d$") then return word end
  return (word:gsub("[%a\128-\255]+", function(run)
    return run:sub(1, 1):upper() .. run:sub(2)
  end))
end

--- "mistral-nemo v2" as "Mistral Nemo v2".
function m.title(text)
  local words = {}
  for word in text:gsub("-", " "):gmatch("%S+") do words[#words + 1] = title_word(word) end
  return table.concat(words, " ")
end

-- (v|iter)?N(.N)*
local function is_version(low)
  local digits = low:match("^iter(.*)$") or low:match("^v(.*)$") or low
  return digits:find("^%d[%d.]*$") ~= nil and not digits:find("%.%.") and not digits:find("%.$")
end

-- i?qN(_w)*  or  b?fp?(16|32)
local function is_type(low)
  local rest = low:match("^i?q%d(.*)$")
  if rest then return #rest % 2 == 0 and rest:gsub("_[%w_]", "") == "" end
  return low:find("^b?fp?16$") ~= nil or low:find("^b?fp?32$") ~= nil
end

local size_words = { small = true, mini = true, medium = true, large = true, xl = true, xxl = true }

-- ([A]|N[x])?N([._]N)?[KMBT][digit]?  or a word
local function is_size(low)
  if size_words[low] then return true end
  local rest = low:match("^a(.*)$") or low:match("^%d+x(.*)$") or low
  return rest:find("^%d+[kmbt]%d?$") ~= nil or rest:find("^%d+[._]%d+[kmbt]%d?$") ~= nil
end

local tuning = { chat = true, instruct = true, vision = true, lora = true }
local unit_power = { K = 1, M = 2, B = 3, T = 4 }

-- A size part as it is written, and whether the number it stands for is far from TOTAL: then it
-- is no size (the 128k of a context).
local function size_part(part, total)
  part = part:gsub("_", ".")
  if part:find("%d$") then -- 7b1 is 7.1b
    part = part:sub(1, -3) .. "." .. part:sub(-1) .. part:sub(-2, -2)
  end
  if part:find("%d[kmbt]$") then part = part:sub(1, -2) .. part:sub(-1):upper() end
  local number = part:sub(1, -2):find("^%d+%.?%d*$") and tonumber(part:sub(1, -2))
  local power = unit_power[part:sub(-1)]
  if number and power and total > 0
    and math.abs(number * 1000.0 ^ power - total) > 7 * total // 8 then
    return part:sub(1, -2) .. part:sub(-1):lower(), true
  end
  return part, false
end

-- Each part of a name with its marks: version, type, size, finetune.
local function mark(parts, total)
  local marks = {}
  for i, part in ipairs(parts) do
    local low, set = part:lower(), {}
    if is_version(low) then
      set.version = true
    elseif is_type(low) then
      set.type = true
      parts[i] = part:upper()
    elseif i > 1 and is_size(low) then
      local text, far = size_part(part, total)
      parts[i] = text
      set[far and "finetune" or "size"] = true
    elseif i > 1 and tuning[low] then
      set.finetune = true
    end
    marks[i] = set
  end
  return marks
end

local function mark_names(parts, marks)
  local numbered = false
  for i, part in ipairs(parts) do
    numbered = numbered or (marks[i].size and part:find("%d") ~= nil)
  end
  for i, part in ipairs(parts) do
    if numbered and marks[i].size and part:find("^%a+$") then marks[i].size = nil end
  end
  local start = true
  for i, part in ipairs(parts) do
    local unmarked = next(marks[i]) == nil
    if start and ((unmarked and part:find("^[%a\128-\255]")) or marks[i].version) then
      marks[i].basename = true
    else
      start = false
      if unmarked then marks[i].finetune = true end
    end
  end
  for i = #parts, 1, -1 do
    if not (marks[i].basename and marks[i].version) then break end
    marks[i].basename = nil
  end
end

local function joined(parts, marks, which, but)
  local list = {}
  for i, part in ipairs(parts) do
    if marks[i][which] and not (but and marks[i][but]) then list[#list + 1] = part end
  end
  return #list > 0 and table.concat(list, "-") or nil
end

local function joined_sizes(parts, marks)
  local list, seen = {}, {}
  for i, part in ipairs(parts) do
    if marks[i].size and not seen[part] then
      seen[part] = true
      list[#list + 1] = part
    end
  end
  return #list > 0 and table.concat(list, "-") or nil
end

--- What a model id says: { full =, organization =, basename =, finetune =, version =,
-- size_label = }. TOTAL is the number of parameters, 0 if unknown.
function m.parts(id, total)
  if id:find(" ", 1, true) then return { full = id } end
  local organization, full = id:match("^([^/]*)/(.*)$")
  full = full or id
  if organization and (organization == "" or organization:sub(1, 1) == ".") then
    organization = nil
  end
  local parts = {}
  for part in full:gmatch("[^-]+") do parts[#parts + 1] = part end
  local marks = mark(parts, total)
  mark_names(parts, marks)
  local out = {
    full = full, organization = organization,
    basename = joined(parts, marks, "basename"), finetune = joined(parts, marks, "finetune"),
    version = joined(parts, marks, "version", "basename"), size_label = joined_sizes(parts, marks),
  }
  if not (out.size_label or out.finetune or out.version) then out.basename = nil end
  return out
end

--- "12B" for 12247782400 parameters.
function m.size_label(count)
  local value, unit
  if count > 1e12 then value, unit = count * 1e-12, "T"
  elseif count > 1e9 then value, unit = count * 1e-9, "B"
  elseif count > 1e6 then value, unit = count * 1e-6, "M"
  else value, unit = count * 1e-3, "K" end
  local digits = #("%.0f"):format(value):gsub("^0+", "")
  return ("%%.%df%%s"):format(math.max(2 - digits, 0)):format(value, unit)
end

-- ---- README front matter ---------------------------------------------------------------------

local escapes = { n = "\n", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

-- A YAML scalar of one line; nil for null.
local function scalar(text)
  text = text:match("^%s*(.-)%s*$")
  local single = text:match("^'(.*)'")
  if single then return (single:gsub("''", "'")) end
  local double = text:match('^"(.*)"')
  if double then return (double:gsub("\\(.)", function(c) return escapes[c] or "\\" .. c end)) end
  text = text:gsub("%s+#.*$", "")
  if text == "" or text == "~" or text:lower() == "null" or text:sub(1, 1) == "#" then
    return nil
  end
  return text
end

local function inline_list(text)
  local list = {}
  for item in text:match("^%s*%[(.*)%]"):gmatch("[^,]+") do list[#list + 1] = scalar(item) end
  return list
end

-- The lines of the front matter, or nil.
local function front_lines(text)
  local lines, first = {}, true
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    if first then
      if line ~= "---" then return nil end
      first = false
    elseif line == "---" then
      return lines
    else
      lines[#lines + 1] = line:gsub("\t", "  ")
    end
  end
  return lines
end

-- The indented lines after I, as one text: kept (|) or folded (>).
local function block_text(lines, i, style)
  local list = {}
  while lines[i + 1] and (lines[i + 1]:find("^%s") or lines[i + 1] == "") do
    i = i + 1
    list[#list + 1] = lines[i]:match("^%s*(.-)%s*$")
  end
  return table.concat(list, style == "|" and "\n" or " ") .. "\n", i
end

-- The list items after line I: texts, or tables for items that are mappings.
local function block_list(lines, i)
  local list = {}
  while lines[i + 1] do
    local line = lines[i + 1]
    local item = line:match("^%s*%-%s+(.*)$") or line:match("^%s*%-$") and ""
    if item then
      local key, value = item:match("^([%w_]+):%s+(.*)$")
      list[#list + 1] = key and { [key] = scalar(value) } or scalar(item)
    elseif line:find("^%s+%S") then
      local key, value = line:match("^%s+([%w_]+):%s+(.*)$")
      if key and type(list[#list]) == "table" then list[#list][key] = scalar(value) end
    elseif line ~= "" and not line:find("^%s*#") then
      break
    end
    i = i + 1
  end
  return list, i
end

--- The front matter of a README: key -> text or list. The YAML that model cards use; what is
-- not understood is left out.
function m.front_matter(text)
  local card, lines = {}, text and front_lines(text) or {}
  local i = 1
  while i <= #lines do
    local key, value = lines[i]:match("^([%w_-]+):%s*(.-)%s*$")
    if key then
      if value:find("^[|>][+-]?$") then
        card[key], i = block_text(lines, i, value:sub(1, 1))
      elseif value:find("^%[.*%]") then
        card[key] = inline_list(value)
      elseif value == "" or value:find("^#") then
        card[key], i = block_list(lines, i)
        if #card[key] == 0 then card[key] = nil end
      else
        card[key] = scalar(value)
      end
    end
    i = i + 1
  end
  return card
end

-- ---- general.* -------------------------------------------------------------------------------

local sampling = { -- field of generation_config.json, key, type; the first field there is wins
  { { "sequence" }, "sequence", "str" }, { { "top_k" }, "top_k", "i32" },
  { { "top_p" }, "top_p", "f32" }, { { "min_p" }, "min_p", "f32" },
  { { "xtc_probability" }, "xtc_probability", "f32" },
  { { "xtc_threshold" }, "xtc_threshold", "f32" },
  { { "temperature" }, "temp", "f32" }, { { "penalty_last_n" }, "penalty_last_n", "i32" },
  { { "penalty_repeat", "repetition_penalty" }, "penalty_repeat", "f32" },
  { { "mirostat" }, "mirostat", "i32" }, { { "mirostat_tau" }, "mirostat_tau", "f32" },
  { { "mirostat_eta" }, "mirostat_eta", "f32" },
}

-- Broken JSON is ignored, as the reference does.
local function put_sampling(put, text)
  local ok, config = pcall(engine.json, text)
  if not ok or type(config) ~= "table" then return end
  for _, row in ipairs(sampling) do
    local value
    for _, field in ipairs(row[1]) do
      if value == nil and config[field] ~= engine.null then value = config[field] end
    end
    if row[3] == "i32" then value = type(value) == "number" and math.tointeger(value) or nil end
    if row[3] == "f32" and type(value) ~= "number" then value = nil end
    if row[3] == "str" and type(value) ~= "string" then value = nil end
    put("general.sampling." .. row[2], row[3], value)
  end
end

local card_fields = { -- field of the metadata, key of the front matter; the first one wins
  { "name", "name" }, { "author", "author" }, { "version", "version" },
  { "organization", "organization" }, { "description", "description" },
  { "finetune", "finetune" }, { "basename", "basename" }, { "size_label", "size_label" },
  { "source_url", "url" }, { "source_doi", "doi" }, { "source_uuid", "uuid" },
  { "source_repo_url", "repo_url" }, { "name", "model_name" }, { "author", "model_author" },
  { "basename", "model_basename" }, { "license", "license" }, { "license_name", "license_name" },
  { "license_link", "license_link" }, { "author", "model_creator" }, { "basename", "model_type" },
}

local function as_list(value)
  if value == nil then return {} end
  return type(value) == "table" and value or { value }
end

-- A model named in a card (or a source's label): what is known of it.
local function relative(entry, total)
  if type(entry) == "table" then return entry end
  local out = {}
  local id = entry
  if entry:find("^http") then
    out.repo_url = entry
    id = entry:match("^https?://huggingface%.co/([^/]+/[^/]+)$")
    if not id then return out end
  end
  local parts = m.parts(id, total)
  out.name, out.version = m.title(parts.full), parts.version
  if parts.organization then
    out.organization = m.title(parts.organization)
    out.repo_url = ("https://huggingface.co/%s/%s"):format(parts.organization, parts.full)
  end
  return out
end

local function put_relatives(put, prefix, list, total)
  if #list == 0 then return end
  put(prefix .. ".count", "u32", #list)
  for i, entry in ipairs(list) do
    local facts = relative(entry, total)
    for _, field in ipairs { "name", "author", "version", "organization", "description", "url",
      "doi", "uuid", "repo_url" } do
      put(("%s.%d.%s"):format(prefix, i - 1, field), "str", facts[field])
    end
  end
end

-- What a name says, where nothing said it before.
local function add_parts(meta, id, total)
  local parts = m.parts(id, total)
  meta.name = meta.name or m.title(parts.full)
  meta.organization = meta.organization
    or (parts.organization and m.title(parts.organization))
  for _, field in ipairs { "basename", "finetune", "version", "size_label" } do
    meta[field] = meta[field] or parts[field]
  end
end

--- Put general.type to general.languages by PUT(key, type, value), which leaves out nil, "" and
-- empty lists. INFO: total (parameters), label (folder name or hub id), title, name_or_path,
-- readme and generation (texts or nil), base_models (labels; instead of the card's).
function m.general(put, info)
  local meta, card = {}, m.front_matter(info.readme)
  put("general.type", "str", "model")
  if info.generation then put_sampling(put, info.generation) end
  for _, row in ipairs(card_fields) do
    local value = card[row[2]]
    if row[1] == "license" and type(value) == "table" then value = table.concat(value, ",") end
    if meta[row[1]] == nil and type(value) == "string" then meta[row[1]] = value end
  end
  local path = info.name_or_path
  if type(path) == "string" and path ~= "" and select(2, path:gsub("/", "")) <= 1 then
    add_parts(meta, path, info.total)
  end
  if info.label and info.label ~= "" then add_parts(meta, info.label, info.total) end
  if info.label and info.label:find("/", 1, true) then meta.name = info.label end
  if info.title then meta.name = info.title end
  if info.total > 0 then meta.size_label = meta.size_label or m.size_label(info.total) end
  for _, field in ipairs { "name", "author", "version", "organization", "finetune", "basename",
    "description", "size_label", "license" } do
    put("general." .. field, "str", meta[field])
  end
  put("general.license.name", "str", meta.license_name)
  put("general.license.link", "str", meta.license_link)
  for _, field in ipairs { "url", "doi", "uuid", "repo_url" } do
    put("general.source." .. field, "str", meta["source_" .. field])
  end
  put_relatives(put, "general.base_model", info.base_models
    or as_list(card.base_model or card.base_models or card.base_model_sources), info.total)
  put_relatives(put, "general.dataset", as_list(card.datasets), info.total)
  local tags = table.move(as_list(card.tags), 1, #as_list(card.tags), 1, {})
  tags[#tags + 1] = card.pipeline_tag
  put("general.tags", "arr:str", tags)
  local languages = table.move(as_list(card.languages), 1, #as_list(card.languages), 1, {})
  for _, word in ipairs(as_list(card.language)) do languages[#languages + 1] = word end
  put("general.languages", "arr:str", languages)
end

return m
