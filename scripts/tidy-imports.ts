/**
 * Finds the modules a TypeScript file names: static imports, re-exports, dynamic `import()` and `require()`.
 * It is a scanner, not a parser: it relies on oxfmt putting static imports at the start of a line, and errs on
 * the loud side (an import quoted in a comment counts). A dynamic import of a computed name is not seen.
 */

/** One module named by a file. `line` counts from 1. */
export interface FoundImport {
  readonly specifier: string
  readonly line: number
  readonly isTypeOnly: boolean
}

const staticImport = /^(import|export)\b(\s+type\b(?!\s+from\b|\s*,))?([^'"`;]*?\bfrom)?\s*['"]([^'"]+)['"]/gm
const dynamicImport = /\b(import|require)\s*\(\s*['"`]([^'"`$]+)['"`]/g

/** @returns every module that `text` names, static imports first. */
export function findImports(text: string): readonly FoundImport[] {
  const found: FoundImport[] = []
  for (const match of text.matchAll(staticImport)) {
    const [, keyword, type, from, specifier] = match
    if (specifier === undefined || (keyword === 'export' && from === undefined)) continue
    found.push({ specifier, line: lineAt(text, match.index), isTypeOnly: type !== undefined })
  }
  for (const match of text.matchAll(dynamicImport)) {
    const specifier = match[2]
    if (specifier === undefined) continue
    const isTypeOnly = /(\btypeof\s+|:\s*|<\s*)$/.test(text.slice(0, match.index)) && match[1] === 'import'
    found.push({ specifier, line: lineAt(text, match.index), isTypeOnly })
  }
  return found
}

function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}
