// Prints what the machine lists that stdin names hold of what scripts can name,
// one JSON object each, with all names in lower case.
const { readFileSync } = require('fs')

const low = s => s.toLowerCase()
const entries = o => Object.entries(o || {})

// The numbers of arguments that overloads take; -1-n stands for n and more, since
// a last parameter that is an array may be a list.
function arities(overloads) {
  const out = new Set()
  for (const o of overloads || []) {
    out.add(o.length)
    if (o.at(-1)?.endsWith('[]')) out.add(-o.length)
  }
  return [...out]
}

function methods(into, all) {
  for (const [name, m] of entries(all))
    into[low(name)] = [...new Set([...(into[low(name)] || []), ...arities(m.OverloadParameters)])]
}

function parameters(of) {
  const out = entries(of.Parameters).map(([name]) => low(name))
  return out.concat(entries(of.ParameterAliases).map(([name]) => low(name)))
}

function server(list) {
  const from = list.Runtime
  const s = { commands: {}, aliases: {}, common: parameters(from.Common), programs: [], types: {}, short: {}, methods: {} }
  for (const [, versions] of entries(from.Modules))
    for (const [, module] of entries(versions)) {
      for (const [name, c] of [...entries(module.Cmdlets), ...entries(module.Functions)]) s.commands[low(name)] = parameters(c)
      for (const [name, of] of entries(module.Aliases)) s.aliases[low(name)] = low(of)
    }
  s.programs = Object.keys(from.NativeCommands).map(low)
  for (const [name, a] of entries(from.Types.TypeAccelerators)) s.short[low(name)] = low(a.Type)
  for (const [, assembly] of entries(from.Types.Assemblies))
    for (const [space, types] of entries(assembly.Types))
      for (const [name, t] of entries(types)) {
        const is = t.Static || {}, has = t.Instance || {}
        const out = { values: [...Object.keys(is.Fields || {}), ...Object.keys(is.Properties || {})].map(low), methods: {}, new: arities(has.Constructors) }
        methods(out.methods, is.Methods)
        methods(s.methods, has.Methods)
        s.types[low(space + '.' + name)] = out
      }
  return s
}

for (const file of readFileSync(0, 'utf8').split('\n').filter(Boolean))
  console.log(JSON.stringify(server(JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, '')))))
