// Prints the syntax trees of the files that stdin lists, one JSON array each. A
// node is [type, line, text, children]; only leaves and strings have a text.
const { readFileSync } = require('fs')
const { Parser, Language } = require('./web-tree-sitter.cjs')

// Optimizing the parser takes fifty times as long as parsing.
require('v8').setFlagsFromString('--liftoff-only')

function tree(node) {
  let type = node.isMissing ? 'MISSING' : node.type
  let children = node.children.map(tree)
  let text = children.length === 0 || type.endsWith('string_literal') || type === 'command_name' || type === 'type_spec' ? node.text : ''
  return [type, node.startPosition.row + 1, text, children]
}

async function main() {
  await Parser.init()
  const parser = new Parser()
  parser.setLanguage(await Language.load('./tree-sitter-powershell.wasm'))
  for (const file of readFileSync(0, 'utf8').split('\n').filter(Boolean))
    console.log(JSON.stringify(tree(parser.parse(readFileSync(file, 'utf8')).rootNode)))
}
main()
