-- cone.lua GRAPH [FILE TENSOR]: how many nodes of the graph (the JSON of `vbuild graph`) are needed
-- by an artifact; with FILE and TENSOR: and made, in any number of steps, from that source tensor
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

local graph = json.load(arg[1])
local node, needed, cone, count = graph.nodes, {}, {}, 0

for _, a in ipairs(graph.artifacts) do
  for _, file in ipairs(a.files) do
    for _, t in ipairs(file.tensors) do needed[t.node] = true end
  end
end
for i = #node, 1, -1 do -- inputs come before what is made of them
  for _, k in ipairs(needed[node[i].id] and node[i]["in"] or {}) do needed[k] = true end
end
for _, n in ipairs(node) do
  if n.file then
    cone[n.id] = graph.files[n.file + 1].path == arg[2] and n.name == arg[3]
  else
    for _, k in ipairs(n["in"]) do cone[n.id] = cone[n.id] or cone[k] end
    if (cone[n.id] or not arg[2]) and needed[n.id] then count = count + 1 end
  end
end
print(count)
