/**
 * From the nodes of one directory to its visible entries: names, merged directories, conflict copies. A pure function,
 * so every device shows the same names without writing anything to heal. Rules, in order, for nodes of one name:
 *   1. directories merge into one entry and keep the name;
 *   2. files and links of equal content are one entry, with the extended attributes of all of them;
 *   3. of the others the one with the highest stamp has the name (first versions before concurrent further ones);
 *   4. the rest appear as `stem (conflict <device>).ext`, made unique against every other name of the directory.
 */
import { limits } from '../base/limits.ts'
import { mergeAttributes } from './file-attributes.ts'
import { contentKey, type DataVersion, type TreeNode } from './join.ts'
import { deviceShort, type NodeId } from './node-id.ts'
import { compareStamps } from './record.ts'

/** An entry of a directory before it has a path. */
export interface NamedVersion {
  readonly node: TreeNode
  readonly version: DataVersion
  readonly name: string
  /** It lost its own name to another, or is a concurrent further version of its node. */
  readonly isConflict: boolean
  /** True for the first version of its node. */
  readonly isFirst: boolean
  /** All nodes shown by this entry, itself first: merged directories, or files of equal name and content. */
  readonly nodes: readonly NodeId[]
}

/** @param nodes of one directory; tombstones only those that are to be seen. @returns entries by name. */
export function viewDirectory(nodes: readonly TreeNode[]): readonly NamedVersion[] {
  const entries: NamedVersion[] = []
  const losers: NamedVersion[] = []
  for (const group of groupByName(nodes).values()) {
    const [winner, ...rest] = viewGroup(group)
    if (winner !== undefined) entries.push(winner)
    losers.push(...rest)
  }
  if (losers.length > 0) {
    const taken = new Set(entries.map((entry) => entry.name))
    for (const loser of losers) {
      const name = conflictName(loser, taken)
      taken.add(name)
      entries.push({ ...loser, name, isConflict: true })
    }
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The entries of nodes that all have one name, the one that keeps it first; the others still have to be renamed. */
export function viewGroup(nodes: readonly TreeNode[]): readonly NamedVersion[] {
  const directories = nodes.filter(isDirectory).sort(byRepresentative)
  const candidates: NamedVersion[] = []
  for (const node of nodes) {
    if (node.isTombstone) continue
    for (const [index, version] of node.versions.entries()) {
      if (version.kind === 'dir') continue
      const { name, id } = node
      candidates.push({ node, version, name, isConflict: index > 0, isFirst: index === 0, nodes: [id] })
    }
  }
  candidates.sort(byClaim)
  const shown: NamedVersion[] = []
  const seen = new Map<string, number>()
  const [head] = directories
  const [version] = head?.versions.filter((one) => one.kind === 'dir' || one.kind === 'tombstone') ?? []
  if (head !== undefined && version !== undefined) {
    const ids = directories.map((node) => node.id)
    shown.push({ node: head, version, name: head.name, isConflict: false, isFirst: true, nodes: ids })
  }
  for (const candidate of candidates) {
    const key =
      candidate.version.kind === 'unknown' ? `unknown ${candidate.node.id}` : contentKey(candidate.version)
    const index = seen.get(key)
    const same = index === undefined ? undefined : shown[index]
    if (index === undefined || same === undefined) {
      seen.set(key, shown.length)
      shown.push(candidate)
    } else {
      const id = candidate.node.id
      const nodes = same.nodes.includes(id) ? same.nodes : [...same.nodes, id]
      shown[index] = { ...same, nodes, version: withAttributesOf(same.version, candidate.version) }
    }
  }
  return shown
}

/** Of equal content: what only the other one says of it is not lost. */
function withAttributesOf(version: DataVersion, other: DataVersion): DataVersion {
  if (version.attributes === other.attributes) return version
  return { ...version, attributes: mergeAttributes([version.attributes, other.attributes]) }
}

/** True for directories, deleted ones too. */
export const isDirectory = (node: TreeNode): boolean =>
  node.isTombstone || node.versions.some((version) => version.kind === 'dir')

/** Groups in order of names, so that the names of conflict copies do not depend on the order of nodes. */
export function groupByName(nodes: readonly TreeNode[]): Map<string, TreeNode[]> {
  const groups = new Map<string, TreeNode[]>()
  for (const node of [...nodes].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))) {
    const group = groups.get(node.name)
    if (group === undefined) groups.set(node.name, [node])
    else group.push(node)
  }
  return groups
}

/** True for names that only the view can have given: a look-up of one must see the whole directory. */
export const isConflictName = (name: string): boolean => conflictPattern.test(name)

const conflictPattern = / \(conflict [0-9a-z]{6}(?: \d+)?\)(?=\.[^.]*$|$)/

/** The name that a conflict copy has a claim to; other names as they are. */
export const plainName = (name: string): string => name.replace(conflictPattern, '')

/** The name of a conflict copy that has to give way to nothing in `taken`. */
export function conflictName(loser: NamedVersion, taken: ReadonlySet<string>): string {
  // A conflict copy of a conflict copy does not grow a second suffix
  const plain = plainName(loser.node.name)
  const dot = plain.lastIndexOf('.')
  const stem = dot > 0 ? plain.slice(0, dot) : plain
  const extension = dot > 0 ? plain.slice(dot) : ''
  for (let count = 1; ; count++) {
    const number = count === 1 ? '' : ` ${count}`
    const suffix = ` (conflict ${deviceShort(loser.version.stamp.writer)}${number})`
    const name = fitName(stem, suffix, extension)
    if (!taken.has(name)) return name
  }
}

const encoder = new TextEncoder()

/** Shortens the stem, then the extension, until the whole is a possible name. */
export function fitName(stem: string, suffix: string, extension: string): string {
  const room = limits.pathNameBytes - suffix.length
  const ending = encoder.encode(extension).byteLength > room / 2 ? '' : extension
  const start = cutBytes(ending === '' ? stem + extension : stem, room - encoder.encode(ending).byteLength)
  return `${start}${suffix}${ending}`.normalize('NFC')
}

/** The longest start of whole code points in `max` bytes. */
function cutBytes(text: string, max: number): string {
  const out = new Uint8Array(Math.max(0, max))
  return text.slice(0, encoder.encodeInto(text, out).read)
}

/** Live directories before deleted ones, then the lowest id. */
function byRepresentative(a: TreeNode, b: TreeNode): number {
  if (a.isTombstone !== b.isTombstone) return a.isTombstone ? 1 : -1
  return a.id < b.id ? -1 : 1
}

function byClaim(a: NamedVersion, b: NamedVersion): number {
  if (a.isFirst !== b.isFirst) return a.isFirst ? -1 : 1
  const order = compareStamps(b.version.stamp, a.version.stamp)
  if (order !== 0) return order
  return a.node.id < b.node.id ? -1 : a.node.id > b.node.id ? 1 : 0
}
