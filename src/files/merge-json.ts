/**
 * Merges JSON by structure where lines are too close: package.json, tsconfig, settings. Objects member by member, all else
 * as one value: whatever one writer changed and the others left alone is taken, two different values for one place are
 * a conflict. The text is the primary side's (the first in order, so the same everywhere): its order of members, its
 * indentation, its bytes for everything that did not change.
 */
import { canonicalJson, type JsonNode, type JsonObject, type JsonText, parseJson } from './json-tree.ts'
import { distinctSides, type TextMerge } from './merge-text.ts'

const conflict: TextMerge = { kind: 'conflict' }

export function mergeJson(base: string, sides: readonly string[]): TextMerge {
  const changed = distinctSides(base, sides)
  const [only] = changed
  if (only === undefined) return { kind: 'merged', text: base }
  if (changed.length === 1) return { kind: 'merged', text: only }
  const baseTree = parseJson(base)
  const trees = changed.map((side) => parseJson(side)).filter((tree) => tree !== undefined)
  const [primary] = trees
  if (baseTree === undefined || primary === undefined || trees.length < changed.length) return conflict
  const merged = mergeValues(
    { tree: baseTree, node: baseTree.root },
    trees.map((tree) => ({ tree, node: tree.root })),
  )
  if (merged === undefined || merged === absent) return conflict
  const text = render(merged, primary)
  // What was meant must be what is written
  const check = parseJson(text)
  const isRight = check !== undefined && canonicalJson(text, check.root) === canonicalOf(merged)
  return isRight ? { kind: 'merged', text } : conflict
}

/** A value where it stands in one of the texts. */
interface Placed {
  readonly tree: JsonText
  readonly node: JsonNode
}

/** A value put together from several; `primary` is where the first side has it. */
interface Composed {
  readonly members: ReadonlyMap<string, Merged>
  readonly primary: Placed
}

type Merged = Placed | Composed
const absent = 'absent'

const isComposed = (merged: Merged): merged is Composed => 'members' in merged
const textOf = (value: Placed | undefined): string =>
  value === undefined ? '' : canonicalJson(value.tree.text, value.node)

/** @returns undefined for a conflict. */
function mergeValues(
  base: Placed | undefined,
  sides: readonly (Placed | undefined)[],
): Merged | typeof absent | undefined {
  const before = textOf(base)
  const news = new Map<string, Placed | undefined>()
  for (const side of sides) {
    const text = textOf(side)
    if (text !== before && !news.has(text)) news.set(text, side)
  }
  // Unchanged: the first side's bytes, which may be laid out in another way than the base's
  if (news.size === 0) return sides[0] ?? absent
  if (news.size === 1) return [...news.values()][0] ?? absent
  return mergeObjects(base, sides)
}

function mergeObjects(
  base: Placed | undefined,
  sides: readonly (Placed | undefined)[],
): Composed | undefined {
  const objects = sides.map((side) => (side?.node.kind === 'object' ? side.node : undefined))
  if (base !== undefined && base.node.kind !== 'object') return undefined
  const [primary] = sides
  if (primary === undefined || objects.includes(undefined)) return undefined
  const baseMembers = base?.node.kind === 'object' ? base.node.members : new Map<string, JsonNode>()
  const members = new Map<string, Merged>()
  for (const key of orderKeys(objects.filter((object) => object !== undefined))) {
    const of = (placed: Placed | undefined, node: JsonNode | undefined): Placed | undefined =>
      placed === undefined || node === undefined ? undefined : { tree: placed.tree, node }
    const value = mergeValues(
      of(base, baseMembers.get(key)),
      sides.map((side, index) => of(side, objects[index]?.members.get(key))),
    )
    if (value === undefined) return undefined
    if (value !== absent) members.set(key, value)
  }
  return { members, primary }
}

/** The first object's order; keys of the others behind their neighbours there, or by the alphabet where that is the order. */
function orderKeys(objects: readonly JsonObject[]): readonly string[] {
  const all = objects.map((object) => [...object.members.keys()])
  if (all.every(inOrder)) return [...new Set(all.flat())].sort()
  // A chain, so that tens of thousands of keys are no quadratic matter
  const next = new Map<string, string | undefined>()
  const start = ''
  next.set(start, undefined)
  for (const keys of all) {
    let before = start
    for (const key of keys) {
      if (!next.has(key)) {
        next.set(key, next.get(before))
        next.set(before, key)
      }
      before = key
    }
  }
  const ordered: string[] = []
  for (let key = next.get(start); key !== undefined; key = next.get(key)) ordered.push(key)
  return ordered
}

const inOrder = (keys: readonly string[]): boolean =>
  keys.every((key, index) => index === 0 || (keys[index - 1] ?? '') < key)

function canonicalOf(merged: Merged): string {
  if (!isComposed(merged)) return textOf(merged)
  const members = [...merged.members].map(([key, value]) => `${key}:${canonicalOf(value)}`)
  return `{${members.sort().join()}}`
}

function render(merged: Merged, primary: JsonText): string {
  const { text, root } = primary
  const style: Style = { lineEnd: /\r\n/.test(text) ? '\r\n' : '\n', unit: unitOf(primary), primary }
  return text.slice(0, root.start) + renderValue(merged, 0, style) + text.slice(root.end)
}

interface Style {
  readonly lineEnd: string
  /** One level of indentation. */
  readonly unit: string
  readonly primary: JsonText
}

/** White space before the first member of the outermost object. */
const unitOf = ({ text }: JsonText): string => /^\s*[[{]\s*\n([ \t]+)/.exec(text)?.[1] ?? '  '

function renderValue(merged: Merged, depth: number, style: Style): string {
  if (!isComposed(merged)) return slice(merged, style)
  const { tree, node } = merged.primary
  const pad = style.lineEnd + style.unit.repeat(depth)
  const members = [...merged.members].map(([key, value]) => `${key}: ${renderValue(value, depth + 1, style)}`)
  if (members.length === 0) return '{}'
  const isInline = node.end - node.start > 2 && !tree.text.slice(node.start, node.end).includes('\n')
  if (isInline) return `{ ${members.join(', ')} }`
  return `{${members.map((member) => pad + style.unit + member).join(',')}${pad}}`
}

/** The value's own bytes; line ends and indentation of another side's become the primary's. */
function slice({ tree, node }: Placed, style: Style): string {
  const text = tree.text.slice(node.start, node.end)
  if (tree === style.primary || !text.includes('\n')) return text
  const unit = unitOf(tree)
  // No string of JSON holds a line end, so every line starts with white space between values
  return text.replaceAll(/\r?\n([ \t]*)/g, (_all, indent: string) => {
    let levels = 0
    while (indent.startsWith(unit, levels * unit.length)) levels++
    return style.lineEnd + style.unit.repeat(levels) + indent.slice(levels * unit.length)
  })
}
