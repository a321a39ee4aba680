/**
 * Random histories of one file that several devices edit apart and merge in any order: records on their way between the
 * devices, join, view, plan and the merging decision are the real ones, disk and network are sets. Each device keeps what
 * its disk shows, what it put into versions, and what it knows of earlier versions.
 */
import { createSeededRandom, randomBelow, type Random } from '../../src/base/random.ts'
import { type BlobHash, hashOf } from '../../src/blobs/hash.ts'
import type { TreeNode } from '../../src/crdt/join.ts'
import { newNodeIds, rootNodeId } from '../../src/crdt/node-id.ts'
import { formatVector, parseVector } from '../../src/crdt/version-vector.ts'
import { partsOfVersion, type SyncedRow, versionText } from '../../src/files/folder-tree.ts'
import { findMergeBase } from '../../src/files/merge-base.ts'
import { mergeContents } from '../../src/files/merge-contents.ts'
import { type MergeWay, mergeWays } from '../../src/files/merge-ways.ts'
import { conflictOf } from '../../src/files/node-conflict.ts'
import { asNodeId, MergeDevice } from './merge-device.ts'

export interface MergeHistory {
  readonly devices: readonly MergeDevice[]
  /** Lines (or members, of JSON) that somebody wrote and nobody took out again. */
  readonly written: ReadonlySet<string>
  readonly counts: { merges: number; remerges: number; fallbacks: number }
  textOf(hash: BlobHash): string
  /** Contents that claim to be one version. Of the file and of what was split off it. */
  rivals(): readonly string[]
}

export interface MergeHistoryOptions {
  readonly seed: number
  readonly devices: number
  readonly steps: number
  /** A file of JSON, which is merged by structure where lines are too close; else one of lines, many of them repeated. */
  readonly isJson?: boolean
  /** How often a content that was merged before cannot be had, 0..1. */
  readonly missing?: number
  /** Devices from this one on merge by another rule, as a later release might. */
  readonly otherMakeFrom?: number
}

/** Lines that stand in most files more than once. */
const common = ['}\n', '\n', 'end\n', '  return\n']
const encoder = new TextEncoder()

export async function runMergeHistory(options: MergeHistoryOptions): Promise<MergeHistory> {
  const history = createMergeHistory(options)
  for (let step = 0; step < options.steps; step++) await history.step()
  await history.heal()
  return history
}

/** Nothing happened yet but one file that all of them have. */
export const createMergeHistory = (options: MergeHistoryOptions): History => new History(options)

export class History implements MergeHistory {
  readonly devices: readonly MergeDevice[]
  readonly written = new Set<string>()
  readonly counts = { merges: 0, remerges: 0, fallbacks: 0 }
  private readonly random: Random
  private readonly options: MergeHistoryOptions
  private readonly contents = new Map<BlobHash, Uint8Array>()
  private readonly known = new Map<string, Set<string>>()
  private lineCount = 0

  constructor(options: MergeHistoryOptions) {
    this.options = options
    this.random = createSeededRandom(options.seed)
    this.devices = Array.from({ length: options.devices }, (_, index) => new MergeDevice(index))
    const [first] = this.devices
    const [nodeId = rootNodeId] = newNodeIds(this.random, 0, 1)
    const members = Array.from({ length: 1 + randomBelow(this.random, 4) }, () => this.newMember())
    const lines = Array.from({ length: 10 + randomBelow(this.random, 40) }, () => this.baseLine())
    const data = this.dataOf(options.isJson === true ? jsonOf(members) : lines.join(''), undefined)
    first?.commit({ kind: 'create', nodeId, parent: rootNodeId, name: 'notes', data })
    this.deliverAll()
    for (const device of this.devices) device.followDocument()
  }

  textOf(hash: BlobHash): string {
    return new TextDecoder().decode(this.contents.get(hash))
  }

  rivals(): readonly string[] {
    return [...this.known].filter(([, hashes]) => hashes.size > 1).map(([key]) => key)
  }

  /** Mostly all edit apart, then they hear of each other bit by bit and merge what they have heard of. */
  async step(): Promise<void> {
    for (const device of this.devices) if (this.random.float() < 0.7) this.edit(device)
    for (let count = randomBelow(this.random, 6 * this.devices.length); count > 0; count--) {
      const device = this.pick(this.devices)
      if (device === undefined) return
      const lot = this.random.float()
      if (lot < 0.5) this.deliver(device)
      else if (lot < 0.9) await this.mergeAll(device)
      else device.followDocument()
      this.remember(device)
    }
    if (this.random.float() < 0.4) for (const device of this.devices) device.followDocument()
    if (this.random.float() < 0.4) await this.heal()
  }

  /** Everybody hears of everything, merges what can be merged and brings its disk to it, until nothing moves. */
  async heal(): Promise<void> {
    for (let round = 0; round < 40; round++) {
      let isQuiet = this.deliverAll()
      for (const device of [...this.devices].sort(() => this.random.float() - 0.5)) {
        const merged = await this.mergeAll(device)
        const followed = device.followDocument()
        this.remember(device)
        if (merged || followed) isQuiet = false
        // Some hear of a merge before they come to it themselves
        if (this.random.float() < 0.5) this.deliver(device)
      }
      if (isQuiet) return
    }
    throw new Error('they never come to rest')
  }

  private deliverAll(): boolean {
    let isQuiet = true
    for (const device of this.devices) {
      for (const [from, source] of this.devices.entries())
        if (source !== device && this.take(device, from, Infinity)) isQuiet = false
      this.remember(device)
    }
    return isQuiet
  }

  private deliver(device: MergeDevice): void {
    const from = randomBelow(this.random, this.devices.length)
    if (this.devices[from] !== device) this.take(device, from, 1 + randomBelow(this.random, 2))
  }

  /** What one device writes arrives in order; what different ones write, in any. */
  take(device: MergeDevice, from: number, max: number): boolean {
    const log = this.devices[from]?.log ?? []
    const start = device.seen[from] ?? 0
    const end = Math.min(log.length, start + max)
    for (const operation of log.slice(start, end)) device.receive(operation)
    device.seen[from] = end
    return end > start
  }

  private edit(device: MergeDevice): void {
    const row = this.pick([...device.disk.values()])
    if (row?.hash !== undefined) this.write(device, row, this.edited(this.textOf(row.hash)))
  }

  write(device: MergeDevice, row: SyncedRow, text: string): void {
    const data = this.dataOf(text, row.hash)
    if (data.hash === row.hash || row.hash === undefined) return
    const { vector, hash: observedHash } = partsOfVersion(row.version)
    const nodeId = asNodeId(row.nodeId)
    const place = { nodeId, parent: rootNodeId, name: row.name }
    const observed = parseVector(vector) ?? new Map()
    device.notes.set(`${row.nodeId} ${vector}`, row.hash)
    const versions = device.commit({ kind: 'edit', ...place, observed, observedHash, data })
    const version = versionText(formatVector(versions), data.hash)
    device.disk.set(row.name, { ...row, version, hash: data.hash, size: data.sizeBytes })
  }

  delete(device: MergeDevice, row: SyncedRow): void {
    const { vector, hash: observedHash } = partsOfVersion(row.version)
    device.disk.delete(row.name)
    const observed = parseVector(vector) ?? new Map()
    device.commit({ kind: 'remove', nodeId: asNodeId(row.nodeId), observed, observedHash })
  }

  private edited(text: string): string {
    const isJson = this.options.isJson === true
    const parts = isJson ? Object.keys(JSON.parse(text) as object) : text.split(/(?<=\n)/)
    for (let edits = 1 + Math.floor(1.3 * this.random.float()); edits > 0; edits--) {
      if (isJson) this.editMembers(parts)
      else this.editLines(parts)
    }
    return isJson ? jsonOf(parts) : parts.join('')
  }

  private editMembers(members: string[]): void {
    const at = randomBelow(this.random, members.length + 1)
    const gone = this.random.float() < 0.15 ? members.splice(at, 1) : []
    for (const member of gone) this.written.delete(member)
    if (gone.length > 0) return
    const member = this.newMember()
    this.written.add(member)
    members.splice(at, 0, member)
  }

  private newMember(): string {
    return `${String.fromCodePoint(97 + randomBelow(this.random, 26))}${++this.lineCount}.`
  }

  private editLines(lines: string[]): void {
    const at = randomBelow(this.random, lines.length + 1)
    const lot = this.random.float()
    if (lot < 0.5) {
      const line = `line ${++this.lineCount}\n`
      this.written.add(line)
      lines.splice(at, 0, line)
    } else if (lot < 0.8) lines.splice(at, 0, this.pick(common) ?? '\n')
    else for (const line of lines.splice(at, 1)) this.written.delete(line)
  }

  async mergeAll(device: MergeDevice): Promise<boolean> {
    let didMerge = false
    for (const node of device.nodes()) {
      const conflict = conflictOf(node)
      const text = conflict?.versions.map(({ version }) => version).join(' ')
      if (conflict === undefined || text === undefined || device.tried.get(node.id) === text) continue
      device.tried.set(node.id, text)
      const [best, ...others] = mergeWays(conflict)
      const isMissing = others.length > 0 && this.random.float() < (this.options.missing ?? 0)
      const ways = best === undefined ? [] : isMissing ? others : [best, ...others]
      for (const way of ways) {
        const outcome = await this.mergeBy(device, node, way)
        if (outcome === 'merged') {
          didMerge = true
          this.counts.merges++
          if (way.leaves === undefined) this.counts.fallbacks++
          else if (others.length > 0) this.counts.remerges++
        }
        if (outcome !== 'no base') break
      }
    }
    return didMerge
  }

  private async mergeBy(
    device: MergeDevice,
    node: TreeNode,
    way: MergeWay,
  ): Promise<'merged' | 'conflict' | 'no base'> {
    const row = device.disk.get(node.name)
    const tree = { row: () => Promise.resolve(row) }
    const keep = {
      contentOf: (id: string, version: string) => Promise.resolve(device.notes.get(`${id} ${version}`)),
    }
    const baseHash = await findMergeBase({ tree, keep }, way.origin)
    if (baseHash === undefined) return 'no base'
    const read = (hash: BlobHash): Uint8Array => this.contents.get(hash) ?? new Uint8Array(0)
    const kind = this.options.isJson === true ? 'json' : 'lines'
    const request = { base: read(baseHash), sides: way.sides.map(({ hash }) => read(hash)), kind } as const
    const result = mergeContents(request, { left: 1_000_000 })
    if (result.kind !== 'merged') return 'conflict'
    const isOther = this.devices.indexOf(device) >= (this.options.otherMakeFrom ?? Infinity)
    const data = this.dataOf(new TextDecoder().decode(result.bytes) + (isOther ? '\n' : ''), baseHash)
    for (const { hash } of way.sides) device.kept.add(hash)
    const sides = node.versions.map((version) => version.versions)
    const leaves = way.leaves?.map(({ hash, versions, baseHash: base, executable }) => {
      return { hash, versions: parseVector(versions) ?? new Map(), base, isExecutable: executable }
    })
    device.commit({ kind: 'merge', nodeId: node.id, sides, leaves, data })
    return 'merged'
  }

  private dataOf(text: string, base: BlobHash | undefined) {
    const bytes = encoder.encode(text)
    const hash = hashOf(bytes)
    this.contents.set(hash, bytes)
    return { kind: 'file', hash, sizeBytes: bytes.byteLength, mtimeNs: 0n, mode: 0o644, base } as const
  }

  private remember(device: MergeDevice): void {
    for (const { id, versions } of device.nodes()) {
      for (const version of versions) {
        const key = `${id} ${formatVector(version.versions)}`
        const hashes = this.known.get(key) ?? new Set()
        this.known.set(key, hashes.add(version.hash ?? ''))
      }
    }
  }

  private baseLine(): string {
    if (this.random.float() < 0.6) return this.pick(common) ?? '\n'
    return `base ${++this.lineCount}\n`
  }

  private pick<T>(items: readonly T[]): T | undefined {
    return items[randomBelow(this.random, items.length)]
  }
}

const jsonOf = (members: readonly string[]): string =>
  `${JSON.stringify(Object.fromEntries(members.map((member) => [member, true])), undefined, 2)}\n`
