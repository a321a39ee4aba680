/**
 * One case of the planner fuzz: trees of 2-5 peers that come from one common tree, what each person did to hers, and
 * in which order peers looked at their disks and heard of each other. Then all talk until nothing changes any more.
 */
import fc from 'fast-check'
import type { BlobHash } from '../../src/blobs/hash.ts'
import type { EntryData } from '../../src/files/folder-tree.ts'
import { planPart } from '../../src/files/plan-part.ts'
import { fileData, PlanPeer, type Planned, type Planner, type PlanShared } from './peer.ts'

export type PlanStep =
  | { readonly kind: 'write'; readonly peer: number; readonly name: number; readonly text: number }
  | { readonly kind: 'mode' | 'delete' | 'directory' | 'link'; readonly peer: number; readonly name: number }
  | { readonly kind: 'attribute'; readonly peer: number; readonly name: number; readonly text: number }
  | { readonly kind: 'rename'; readonly peer: number; readonly name: number; readonly to: number }
  | { readonly kind: 'pass'; readonly peer: number }
  | { readonly kind: 'pull'; readonly peer: number; readonly from: number }
  /** The person at this device takes part in another way from now on. */
  | { readonly kind: 'role'; readonly peer: number; readonly isReadOnly: boolean }
  | { readonly kind: 'select'; readonly peer: number; readonly name: number; readonly isHidden: boolean }
  | { readonly kind: 'revert'; readonly peer: number }

export interface PlanCase {
  readonly peers: number
  /** Texts of the files that all peers begin with, in sync. */
  readonly common: readonly number[]
  readonly steps: readonly PlanStep[]
}

export interface PlanOutcome {
  readonly peers: readonly PlanPeer[]
  readonly planned: readonly Planned[]
  /** Rounds of everybody until nothing changed any more; undefined when that did not come. */
  readonly rounds: number | undefined
  /** Hashes that a person wrote and no person destroyed anywhere. */
  readonly living: ReadonlySet<BlobHash>
  /** By peer: hashes that stood on its disk and that its person did not destroy. */
  readonly stood: ReadonlyMap<PlanPeer, ReadonlySet<BlobHash>>
}

const names = ['a', 'b', 'c', 'd'] as const
const texts = 12
const attributes = [undefined, 'user.a=MQ', 'user.a=Mg', 'user.a=MQ,user.b=MQ'] as const
/** P26. */
const roundsMax = 200

const number = (below: number): fc.Arbitrary<number> => fc.nat({ max: below - 1 })
const peer = number(5)
const name = number(names.length)
const step: fc.Arbitrary<PlanStep> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('write' as const), peer, name, text: number(texts) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'delete' as const,
        'delete' as const,
        'mode' as const,
        'directory' as const,
        'link' as const,
      ),
      peer,
      name,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('attribute' as const),
      peer,
      name,
      text: number(attributes.length),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rename' as const), peer, name, to: name }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), peer }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pull' as const), peer, from: peer }) },
)

const partStep: fc.Arbitrary<PlanStep> = fc.oneof(
  fc.record({ kind: fc.constant('role' as const), peer, isReadOnly: fc.boolean() }),
  fc.record({ kind: fc.constant('select' as const), peer, name, isHidden: fc.boolean() }),
  fc.record({ kind: fc.constant('revert' as const), peer }),
)

const casesOf = (steps: fc.Arbitrary<PlanStep>): fc.Arbitrary<PlanCase> =>
  fc.record({
    peers: fc.oneof(
      { weight: 5, arbitrary: fc.constant(2) },
      { weight: 3, arbitrary: fc.constant(3) },
      { weight: 1, arbitrary: fc.integer({ min: 4, max: 5 }) },
    ),
    common: fc.array(number(texts), { maxLength: 3 }),
    steps: fc.array(steps, { maxLength: 14 }),
  })

/** Every device takes part in everything. */
export const planCases = casesOf(step)
/** Some receive only, some keep a part only, and change their minds about it. */
export const partCases = casesOf(fc.oneof({ weight: 3, arbitrary: step }, { weight: 1, arbitrary: partStep }))

/** @param clock gives modification times: no outcome may depend on them (P29). */
export async function runPlanCase(
  one: PlanCase,
  clock: () => bigint,
  plan: Planner = planPart,
): Promise<PlanOutcome> {
  const run = new Run(one, clock, plan)
  await run.begin()
  for (const each of one.steps) await run.take(each)
  const rounds = await run.settle()
  return { peers: run.peers, planned: run.planned, rounds, living: run.living, stood: run.stood }
}

class Run {
  readonly peers: readonly PlanPeer[]
  readonly planned: Planned[] = []
  readonly living = new Set<BlobHash>()
  readonly stood = new Map<PlanPeer, Set<BlobHash>>()
  private readonly written = new Set<BlobHash>()
  private readonly one: PlanCase
  private readonly clock: () => bigint
  private numbers = 0

  constructor(one: PlanCase, clock: () => bigint, plan: Planner) {
    this.one = one
    this.clock = clock
    const shared: PlanShared = {
      plan,
      hasContent: (hash) =>
        this.peers.some(
          ({ disk, versions }) =>
            versions.has(hash) || [...disk.values()].some(({ data }) => data.hash === hash),
        ),
      isHeldElsewhere: (hash, by) => this.peers.some((other) => other !== by && other.holds(hash)),
      released: (hash, by) => {
        const isStill = [...by.disk.values()].some(({ data }) => data.hash === hash)
        if (!isStill) this.stood.get(by)?.delete(hash)
      },
      planned: (planned) => void this.planned.push(planned),
      nextNumber: () => ++this.numbers,
    }
    this.peers = Array.from({ length: one.peers }, (_, index) => new PlanPeer(index, shared))
    for (const each of this.peers) this.stood.set(each, new Set())
  }

  async begin(): Promise<void> {
    const [first] = this.peers
    for (const [index, text] of this.one.common.entries())
      if (first !== undefined) this.write(first, index, text)
    await this.settle()
    this.planned.length = 0
  }

  async take(each: PlanStep): Promise<void> {
    const peer = this.peers[each.peer % this.peers.length]
    if (peer === undefined) return
    if (each.kind === 'pass' || each.kind === 'revert') await peer.pass(each.kind === 'revert')
    else if (each.kind === 'role') peer.isReadOnly = each.isReadOnly
    else if (each.kind === 'select') {
      const name = names[each.name] ?? 'a'
      if (each.isHidden) peer.hidden.add(name)
      else peer.hidden.delete(name)
    } else if (each.kind === 'pull') {
      const from = this.peers[each.from % this.peers.length]
      if (from !== undefined && from !== peer) peer.replica.pull(from.replica)
    } else this.act(peer, each)
    this.observe()
  }

  /** @returns rounds until nothing changed, undefined when that never came. */
  async settle(): Promise<number | undefined> {
    for (let round = 0; round < roundsMax; round++) {
      let hasChanged = false
      for (const peer of this.peers)
        for (const other of this.peers) if (other !== peer) peer.replica.pull(other.replica)
      for (const peer of this.peers) if (await peer.pass()) hasChanged = true
      this.observe()
      if (!hasChanged) return round
    }
    return undefined
  }

  private act(
    peer: PlanPeer,
    each: Exclude<PlanStep, { kind: 'pass' | 'pull' | 'role' | 'select' | 'revert' }>,
  ): void {
    const name = names[each.name] ?? 'a'
    const item = peer.disk.get(name)
    const plain: EntryData = {
      kind: 'directory',
      hash: undefined,
      size: 0,
      mtimeNs: this.clock(),
      executable: false,
      target: '',
    }
    switch (each.kind) {
      case 'write':
        return this.write(peer, each.name, each.text)
      case 'mode':
        if (item?.data.kind === 'file')
          peer.disk.set(name, { ...item, data: { ...item.data, executable: !item.data.executable } })
        return undefined
      case 'attribute':
        // A disk that cannot hold them says no
        if (item?.data.kind === 'file' && peer.holdsAttributes)
          peer.disk.set(name, { ...item, data: { ...item.data, attributes: attributes[each.text] } })
        return undefined
      case 'delete':
        return this.destroy(peer, name)
      case 'directory':
      case 'link': {
        this.destroy(peer, name)
        const data: EntryData =
          each.kind === 'link' ? { ...plain, kind: 'symlink', target: `to ${each.peer}` } : plain
        peer.disk.set(name, { ino: BigInt(++this.numbers), data })
        return undefined
      }
      case 'rename': {
        const to = names[each.to] ?? 'a'
        if (item === undefined || to === name) return undefined
        this.destroy(peer, to)
        peer.disk.delete(name)
        peer.disk.set(to, item)
        return undefined
      }
    }
  }

  private write(peer: PlanPeer, index: number, text: number): void {
    const name = names[index] ?? 'a'
    const before = peer.disk.get(name)
    const plain = fileData(`text ${text}`, before?.data.executable ?? false, this.clock())
    // Written in place it keeps them
    const data = { ...plain, attributes: before?.data.kind === 'file' ? before.data.attributes : undefined }
    if (before?.data.hash === data.hash) return
    this.destroy(peer, name)
    // Written in place, or a new file
    const ino = before?.data.kind === 'file' ? before.ino : BigInt(++this.numbers)
    peer.disk.set(name, { ino, data })
    if (data.hash !== undefined) {
      // Equal bytes written again are no news to anybody: only what is new has to be seen
      if (this.written.has(data.hash)) this.living.delete(data.hash)
      else this.living.add(data.hash)
      this.written.add(data.hash)
      this.stood.get(peer)?.add(data.hash)
    }
  }

  /** By the person's own hand. */
  private destroy(peer: PlanPeer, name: string): void {
    const hash = peer.disk.get(name)?.data.hash
    peer.disk.delete(name)
    if (hash === undefined) return
    this.living.delete(hash)
    if (![...peer.disk.values()].some(({ data }) => data.hash === hash)) this.stood.get(peer)?.delete(hash)
  }

  private observe(): void {
    for (const peer of this.peers) {
      for (const { data } of peer.disk.values())
        if (data.hash !== undefined) this.stood.get(peer)?.add(data.hash)
    }
  }
}
