/**
 * Checks a list of source files against the house rules that no linter expresses: layers, doors, cycles, barrels,
 * file names, the comment at the top, sizes, hidden clocks. A pure function of the files; `tidy.ts` reads the disk.
 */
import { posix } from 'node:path'
import { findImports, type FoundImport } from './tidy-imports.ts'
import { doors, layers } from './tidy-layers.ts'

/** A file of the project; `path` is relative to the root, with `/`. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** One broken rule. `line` counts from 1. */
export interface Fault {
  readonly path: string
  readonly line: number
  readonly rule: string
  readonly message: string
}

interface Scanned extends SourceFile {
  readonly imports: readonly FoundImport[]
}

const maxFileLines = 400
const kindNames = /^(utils?|helpers?|types?|common|misc)\.[jt]s$/
const hiddenClock = /\bnew Date\(\s*\)|\bglobalThis\.(crypto|Date|Math|performance)\b/
const realClockFiles = /^src\/(base\/system-[^/]+\.ts|peer\/daemon\.ts|cli\/.*|console\/web\/.*)$/

/** @returns every broken rule, ordered by path and line; empty when the house is tidy. */
export function checkTidy(files: readonly SourceFile[]): readonly Fault[] {
  const scanned = files.map((file) => ({ ...file, imports: findImports(file.text) }))
  const faults = scanned.flatMap((file) => [
    ...checkName(file),
    ...checkText(file),
    ...file.imports.flatMap((found) => checkImport(file, found)),
  ])
  faults.push(...checkCycles(scanned))
  return faults.toSorted((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1))
}

function checkName(file: SourceFile): readonly Fault[] {
  const name = posix.basename(file.path)
  if (/^index\.[jt]s$/.test(name))
    return [fault(file, 1, 'barrel', 'index files do not exist here: name the concept')]
  if (kindNames.test(name) || /(^|\/)(utils?|helpers?|types?)\//.test(file.path))
    return [fault(file, 1, 'name', 'split by concept, never by kind: no utils, helpers or types')]
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*\.[jt]sx?$/.test(name))
    return [fault(file, 1, 'name', 'file names are kebab-case')]
  return []
}

function checkText(file: Scanned): readonly Fault[] {
  const faults: Fault[] = []
  const lines = file.text.replace(/\n$/, '').split('\n')
  if (lines.length > maxFileLines)
    faults.push(
      fault(file, maxFileLines, 'size', `${lines.length} lines, ${maxFileLines} at most: split by concept`),
    )
  const inSource = file.path.startsWith('src/')
  if (inSource && !/^(#!.*\n)?\s*\/[/*]/.test(file.text))
    faults.push(fault(file, 1, 'comment', 'starts without a comment that says what it is'))
  if (inSource && isBarrel(file.text))
    faults.push(fault(file, 1, 'barrel', 'only passes on what others export: import from where it is'))
  for (const [index, line] of lines.entries()) {
    if (/^export\s+default\b|^export\s*\{[^}]*\bas\s+default\b/.test(line))
      faults.push(fault(file, index + 1, 'default', 'no default exports: name it'))
    if (/\b(oxlint|eslint)-disable/.test(line) && !isReasoned(lines[index - 1], line) && inSource)
      faults.push(
        fault(
          file,
          index + 1,
          'disable',
          'a switched-off lint rule says why, there or in the line above: `because: ...`',
        ),
      )
    if (inSource && !realClockFiles.test(file.path) && hiddenClock.test(line))
      faults.push(
        fault(file, index + 1, 'clock', 'time and chance come from env, not from new Date() or globalThis'),
      )
  }
  return faults
}

function isReasoned(before: string | undefined, line: string): boolean {
  return /because:| -- \S/.test(line) || (before?.includes('because:') ?? false)
}

/** True when nothing remains but re-exports once comments and blank space are gone. */
function isBarrel(text: string): boolean {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '').trim()
  return code !== '' && code.replace(/^export\b[^'"]*?\bfrom\s*['"][^'"]+['"];?/gm, '').trim() === ''
}

function checkImport(file: SourceFile, found: FoundImport): readonly Fault[] {
  const { specifier } = found
  if (!file.path.startsWith('src/')) return []
  if (specifier.startsWith('.')) return checkRelative(file, found)
  if (specifier.startsWith('node:')) {
    const layer = layerOf(file.path)
    if (layer === undefined || layer.mayUseNode) return []
    return [fault(file, found.line, 'layer', `${layer.folder} also runs in a browser: no ${specifier}`)]
  }
  return checkDoor(file, found)
}

function checkRelative(file: SourceFile, found: FoundImport): readonly Fault[] {
  const target = resolve(file.path, found.specifier)
  if (!/\.(tsx?|json|css)$/.test(target))
    return [fault(file, found.line, 'layer', `write the whole file name: ${found.specifier}.ts`)]
  if (!target.startsWith('src/'))
    return [fault(file, found.line, 'layer', `src imports only src, not ${target}`)]
  const from = layerOf(file.path)
  if (from === undefined)
    return [
      fault(file, found.line, 'layer', `${file.path} stands in no layer: enter its folder in tidy-layers.ts`),
    ]
  const inside = target.slice('src/'.length)
  if (topFolder(target) === topFolder(file.path)) return []
  if (from.mayImport.some((allowed) => isWithin(inside, allowed))) return []
  const allowed = from.mayImport.join(', ') || 'nothing'
  return [fault(file, found.line, 'layer', `${from.folder} imports ${inside}; it may import ${allowed}`)]
}

function checkDoor(file: SourceFile, found: FoundImport): readonly Fault[] {
  const name = packageName(found.specifier)
  const door = doors.find((entry) => entry.packages.some((pattern) => matches(name, pattern)))
  if (door === undefined)
    return [
      fault(
        file,
        found.line,
        'door',
        `${name} has no door: enter it in tidy-layers.ts (built-ins are node:*)`,
      ),
    ]
  const inside = file.path.slice('src/'.length)
  const folders = found.isTypeOnly ? [...door.folders, ...(door.typesIn ?? [])] : door.folders
  if (folders.some((folder) => isWithin(inside, folder))) return []
  return [fault(file, found.line, 'door', `${name} enters only through src/${door.folders.join(', src/')}`)]
}

/** Finds import cycles (type imports included) by depth-first search; each is reported once. */
function checkCycles(files: readonly Scanned[]): readonly Fault[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const trail: string[] = []
  const faults: Fault[] = []
  const visit = (file: Scanned): void => {
    trail.push(file.path)
    for (const found of file.imports) {
      if (!found.specifier.startsWith('.')) continue
      const target = byPath.get(resolve(file.path, found.specifier))
      if (target === undefined || done.has(target.path)) continue
      const start = trail.indexOf(target.path)
      if (start === -1) visit(target)
      else faults.push(fault(file, found.line, 'cycle', [...trail.slice(start), target.path].join(' -> ')))
    }
    trail.pop()
    done.add(file.path)
  }
  for (const file of files) if (!done.has(file.path)) visit(file)
  return faults
}

function layerOf(path: string): (typeof layers)[number] | undefined {
  const inside = path.slice('src/'.length)
  return layers.find((layer) => isWithin(inside, layer.folder))
}

/** `peer/auth` holds `peer/auth.ts`, `peer/auth-token.ts` and `peer/auth/x.ts`; `base` holds only `base/...`. */
function isWithin(inside: string, folder: string): boolean {
  if (folder === '' || inside === folder || inside.startsWith(`${folder}/`)) return true
  return folder.includes('/') && (inside === `${folder}.ts` || inside.startsWith(`${folder}-`))
}

function topFolder(path: string): string {
  return path.split('/').slice(0, 2).join('/')
}

function resolve(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier))
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function matches(name: string, pattern: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}

function fault(file: SourceFile, line: number, rule: string, message: string): Fault {
  return { path: file.path, line, rule, message }
}
