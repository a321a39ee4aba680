/**
 * Random histories on real documents: devices change their trees, messages between them are late, doubled, out of
 * order or held back by partitions; at the end everything is delivered. The model remembers what each write had seen.
 */
import { createHash } from 'node:crypto'
import * as Y from 'yjs'
import { createSeededRandom, randomBelow, type Random } from '../../src/base/random.ts'
import { leavesOf } from '../../src/crdt/merge-sides.ts'
import { rootNodeId, type NodeId } from '../../src/crdt/node-id.ts'
import type { Entry } from '../../src/crdt/tree-view.ts'
import type { TreeChange } from '../../src/crdt/tree-change.ts'
import { withPrefix } from '../../src/crdt/database.ts'
import { fakeHash, fileData, openRig, testSpace, type Rig } from './rig.ts'

interface Message {
  readonly from: number
  readonly to: number
  readonly name: string
  readonly update: Uint8Array
}

export interface History extends AsyncDisposable {
  readonly rigs: readonly Rig[]
  /** Hashes written, and those that a later edit or delete had seen. */
  readonly written: ReadonlySet<string>
  readonly replaced: ReadonlySet<string>
  /** Hashes of merged contents, and the written ones that each is made of. */
  readonly merged: ReadonlyMap<string, ReadonlySet<string>>
  /** Every update ever sent. */
  readonly log: readonly Message[]
}

const names = ['a.txt', 'b.txt', 'c', 'd', 'e.tar.gz']

/**
 * Runs `steps` steps of a history on `devices` devices and heals it.
 * @param isContested few files that all devices edit all the time: many concurrent versions, and merges of them.
 */
export async function runHistory(
  seed: number,
  devices: number,
  steps: number,
  isContested = false,
): Promise<History> {
  const history = new RandomHistory(seed, isContested)
  for (let index = 0; index < devices; index++) await history.addDevice(seed * 16 + index)
  for (let step = 0; step < steps; step++) await history.step()
  await history.heal()
  return history
}

/** At any moment, with whatever has not arrived yet: every living record is part of some visible entry. */
async function expectAllVisible({ store, space }: Rig): Promise<void> {
  const visible = new Set<string>()
  for await (const entry of space.walk()) for (const id of entry.nodes) visible.add(id)
  for await (const key of store.keys(withPrefix(`c!${testSpace}!`))) {
    if (!visible.has(key.slice(-16))) throw new Error(`a living node is not visible: ${key}`)
  }
}

class RandomHistory implements History {
  readonly rigs: Rig[] = []
  readonly written = new Set<string>()
  readonly replaced = new Set<string>()
  readonly merged = new Map<string, ReadonlySet<string>>()
  readonly log: Message[] = []
  private readonly random: Random
  private readonly waiting: Message[] = []
  private readonly cut = new Set<string>()
  private counter = 0

  private readonly isContested: boolean

  constructor(seed: number, isContested: boolean) {
    this.isContested = isContested
    this.random = createSeededRandom(seed)
  }

  async addDevice(seed: number): Promise<void> {
    const from = this.rigs.length
    const rig = await openRig({ seed })
    this.rigs.push(rig)
    rig.host.on('stored', ({ changes }) => {
      for (const { name, update, origin } of changes) {
        if (origin.kind !== 'local') continue
        for (let to = 0; to < this.rigs.length; to++) {
          if (to === from) continue
          const message = { from, to, name, update }
          this.log.push(message)
          this.waiting.push(message)
          if (this.chance(0.1)) this.waiting.push(message)
        }
      }
    })
  }

  async step(): Promise<void> {
    if (this.chance(0.05)) this.togglePartition()
    if (this.chance(0.1)) await expectAllVisible(this.at(randomBelow(this.random, this.rigs.length)))
    const roll = this.random.float()
    if (roll < 0.55) await this.change(randomBelow(this.random, this.rigs.length))
    else for (let count = randomBelow(this.random, 6); count > 0; count--) await this.deliverOne()
  }

  async heal(): Promise<void> {
    this.cut.clear()
    while (this.waiting.length > 0) await this.deliverOne()
    // What was dropped for a gap comes by state-vector diff, as sync does it
    for (let round = 0; round < 2; round++) {
      for (const to of this.rigs.keys()) {
        for (const from of this.rigs.keys()) if (from !== to) await this.diff(from, to)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const rig of this.rigs) await rig[Symbol.asyncDispose]()
  }

  private chance(probability: number): boolean {
    return this.random.float() < probability
  }

  private pick<T>(items: readonly T[]): T | undefined {
    return items[randomBelow(this.random, items.length)]
  }

  private togglePartition(): void {
    const key = `${randomBelow(this.random, this.rigs.length)}>${randomBelow(this.random, this.rigs.length)}`
    if (!this.cut.delete(key)) this.cut.add(key)
  }

  private async deliverOne(): Promise<void> {
    const open = this.waiting.filter((message) => !this.cut.has(`${message.from}>${message.to}`))
    const message = this.pick(open)
    if (message === undefined) return
    this.waiting.splice(this.waiting.indexOf(message), 1)
    const { from, to, name, update } = message
    const missing = await this.at(to).host.apply([{ name, update }], String(from))
    if (missing.length > 0 && this.chance(0.5)) await this.diff(from, to, name)
  }

  private async diff(from: number, to: number, only?: string): Promise<void> {
    const [source, target] = [this.at(from), this.at(to)]
    for (const name of only === undefined ? source.host.names() : [only]) {
      const vector = await target.host.read([name], (document) => Y.encodeStateVector(document(name)))
      const update = await source.host.read([name], (document) =>
        Y.encodeStateAsUpdate(document(name), vector),
      )
      const missing = await target.host.apply([{ name, update }], String(from))
      if (missing.length > 0) throw new Error('a diff with gaps')
    }
  }

  private at(index: number): Rig {
    const rig = this.rigs[index]
    if (rig === undefined) throw new Error('no such device')
    return rig
  }

  private async change(device: number): Promise<void> {
    const { space } = this.at(device)
    const entries = await Array.fromAsync(space.walk())
    const directories = [rootNodeId, ...entries.filter((one) => one.kind === 'dir').map((one) => one.nodeId)]
    // Directories are few and their moves are where trees break: they are picked more often
    const folders = entries.filter((one) => one.kind === 'dir')
    const files = entries.filter((one) => one.kind === 'file')
    if (this.isContested && files.length > 1 && this.chance(0.8)) {
      const file = this.pick(files)
      const isTorn = file !== undefined && ((await space.node(file.nodeId))?.versions.length ?? 0) > 1
      if (isTorn && this.chance(0.5)) await space.commit(await this.merge(device, file))
      else if (file !== undefined) await space.commit(this.edit(file))
      return
    }
    const entry = this.chance(0.4) ? (this.pick(folders) ?? this.pick(entries)) : this.pick(entries)
    const roll = this.random.float()
    const changes: TreeChange[] = []
    const torn = this.pick(entries.filter((one) => !one.isFirst))
    if (torn !== undefined && this.chance(0.3)) changes.push(...(await this.merge(device, torn)))
    else if (entry === undefined || roll < 0.3)
      changes.push(this.creation(space.newIds(1), this.pick(directories)))
    else if (roll < 0.5) changes.push(...this.edit(entry))
    else if (roll < 0.85) changes.push(...this.move(entry, entries))
    else changes.push(...this.removal(entry, entries))
    if (changes.length > 0) await space.commit(changes)
  }

  private content(): ReturnType<typeof fileData> {
    const text = `v${this.counter++}`
    this.written.add(fakeHash(text))
    return fileData(text)
  }

  /** All versions of the entry's node into one, the same whoever does it. */
  private async merge(device: number, { nodeId }: Entry): Promise<TreeChange[]> {
    const versions = (await this.at(device).space.node(nodeId))?.versions ?? []
    if (versions.length < 2 || versions.some((version) => version.kind !== 'file')) return []
    const parts = new Set(versions.flatMap(({ hash = '' }) => [...this.partsOf(hash)]))
    const hash = createHash('sha256')
      .update([...parts].sort().join())
      .digest('base64url')
    const data = { ...fileData('merged'), hash }
    this.merged.set(hash, parts)
    const leaves = leavesOf(
      versions.map((one) => ({
        versions: one.versions,
        hash: one.hash ?? '',
        base: one.base,
        isExecutable: false,
        sides: one.sides,
      })),
    )
    return [{ kind: 'merge', nodeId, sides: versions.map((version) => version.versions), leaves, data }]
  }

  private partsOf(hash: string): ReadonlySet<string> {
    return this.merged.get(hash) ?? new Set([hash])
  }

  private creation([nodeId = rootNodeId]: readonly NodeId[], parent: NodeId = rootNodeId): TreeChange {
    const name = this.pick(names) ?? 'x'
    const data = this.chance(0.5) ? ({ kind: 'dir' } as const) : this.content()
    return { kind: 'create', nodeId, parent, name, data }
  }

  private edit(entry: Entry): TreeChange[] {
    if (entry.kind !== 'file') return []
    for (const hash of this.partsOf(entry.data.hash ?? '')) this.replaced.add(hash)
    const { nodeId, parent, name } = entry
    return [{ kind: 'edit', nodeId, observed: entry.data.versions, data: this.content(), parent, name }]
  }

  private move(entry: Entry, entries: readonly Entry[]): TreeChange[] {
    if (!entry.isFirst) return []
    const targets = entries.filter(
      (one) => one.kind === 'dir' && one.path !== entry.path && !one.path.startsWith(`${entry.path}/`),
    )
    const parent = this.chance(0.3) ? rootNodeId : (this.pick(targets)?.nodeId ?? rootNodeId)
    const name = this.chance(0.5) ? (entry.conflictOf ?? entry.name) : (this.pick(names) ?? 'x')
    return [{ kind: 'move', nodeId: entry.nodeId, parent, name }]
  }

  private removal(entry: Entry, entries: readonly Entry[]): TreeChange[] {
    const doomed = entries.filter((one) => one === entry || one.path.startsWith(`${entry.path}/`))
    return doomed.map(({ nodeId, data }): TreeChange => {
      for (const hash of this.partsOf(data.hash ?? '')) this.replaced.add(hash)
      return { kind: 'remove', nodeId, observed: data.versions }
    })
  }
}
