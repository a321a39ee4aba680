/** Invariants of the tree over random histories of 2 to 5 devices with late, doubled, reordered and held-back messages. */
import * as Y from 'yjs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import { withPrefix } from '../../src/crdt/database.ts'
import { listing, openRig, testSpace, type Rig } from './rig.ts'
import { runHistory, type History } from './tree-history.ts'

const runs = 300

async function entriesOf(rig: Rig) {
  return await Array.fromAsync(rig.space.walk())
}

/** I1: one view on all devices. */
async function expectOneView({ rigs }: History): Promise<void> {
  const views = await Promise.all(
    rigs.map(async (rig) =>
      (await entriesOf(rig)).map((one) =>
        [one.path, one.nodeId, one.data.hash, one.isConflict, one.nodes].join(' '),
      ),
    ),
  )
  for (const view of views) expect(view).toEqual(views[0])
}

/** I2, I6: nothing is lost that nobody replaced, and nothing appears that nobody wrote. */
async function expectContent({ rigs, written, replaced, merged }: History): Promise<void> {
  const [rig] = rigs
  if (rig === undefined) return
  const shown = (await entriesOf(rig)).map((one) => one.data.hash).filter((hash) => hash !== undefined)
  // What was merged is there in what it was merged into
  const visible = new Set(shown.flatMap((hash) => [...(merged.get(hash) ?? [hash])]))
  for (const hash of written) if (!replaced.has(hash)) expect(visible).toContain(hash)
  for (const hash of visible) expect(written).toContain(hash)
}

/** I3: a tree with one entry per path, every node once, every parent a directory. */
async function expectTree({ rigs }: History): Promise<void> {
  const [rig] = rigs
  if (rig === undefined) return
  const entries = await entriesOf(rig)
  const paths = entries.map((one) => one.path)
  expect(new Set(paths).size).toBe(paths.length)
  const firsts = entries.filter((one) => one.isFirst).flatMap((one) => one.nodes)
  expect(new Set(firsts).size).toBe(firsts.length)
  const directories = new Set(entries.filter((one) => one.kind === 'dir').map((one) => one.path))
  for (const { path } of entries) {
    const slash = path.lastIndexOf('/')
    if (slash > 0) expect(directories).toContain(path.slice(0, slash))
  }
  for (const one of entries) expect((await rig.space.lookup(one.path))?.path).toBe(one.path)
}

async function derivedRows(rig: Rig): Promise<Record<string, string>> {
  const rows: Record<string, string> = {}
  for (const family of ['n', 'c', 'x', 'y']) {
    for await (const [key, value] of rig.store.scan(withPrefix(`${family}!${testSpace}!`))) {
      rows[key] = new TextDecoder().decode(value).split('\0').sort().join('\n')
    }
  }
  return rows
}

/** Rows kept step by step equal rows derived at once from the documents. */
async function expectFullIsIncremental({ rigs }: History): Promise<void> {
  for (const rig of rigs) {
    const [rows, view] = [await derivedRows(rig), await listing(rig.space)]
    await rig.store.write([{ type: 'del', key: `i!${testSpace}` }])
    await rig.space.rebuild()
    expect(await derivedRows(rig)).toEqual(rows)
    expect(await listing(rig.space)).toEqual(view)
  }
}

/** I7: everything once more changes nothing. */
async function expectQuiet({ rigs, log }: History): Promise<void> {
  for (const [index, rig] of rigs.entries()) {
    using _quiet = rig.host.on('stored', () => expect.unreachable('something was written'))
    for (const { to, name, update } of log)
      if (to === index) await rig.host.apply([{ name, update }], 'again')
  }
}

/** I4: another order of the same messages, on a device that was not there, gives the same view. */
async function expectOrderFree({ rigs, log }: History, seed: number): Promise<void> {
  const random = createSeededRandom(seed)
  await using late = await openRig({ seed: seed * 16 + 15 })
  const waiting = [...log]
  for (let rounds = 0; waiting.length > 0 && rounds < 10_000; rounds++) {
    const [message] = waiting.splice(randomBelow(random, waiting.length), 1)
    if (message === undefined) break
    const missing = await late.host.apply([message], 'log')
    if (missing.length > 0) waiting.push(message)
  }
  expect(waiting).toEqual([])
  for (const rig of rigs) expect(await listing(late.space)).toEqual(await listing(rig.space))
}

/** I9: what the documents keep is bounded by what lives, not by what happened. */
async function expectBounded({ rigs }: History): Promise<void> {
  const [rig] = rigs
  if (rig === undefined) return
  let structs = 0
  let live = 0
  for (const name of rig.host.names()) {
    await rig.host.read([name], (document) => {
      for (const list of document(name).store.clients.values()) {
        structs += list.length
        for (const struct of list) if (!struct.deleted && struct instanceof Y.Item) live += struct.length
      }
    })
  }
  // A run of deleted records between two living ones is one struct: at most two a living one, and one a writer
  expect(structs).toBeLessThanOrEqual(2 * live + rig.host.names().length * rigs.length * 2)
}

/** @returns how many merges the histories made. */
async function checkHistories(isContested: boolean): Promise<number> {
  let merges = 0
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.integer({ min: 2, max: 5 }),
      fc.integer({ min: 5, max: 50 }),
      async (seed, devices, steps) => {
        await using history = await runHistory(seed, devices, steps, isContested)
        merges += history.merged.size
        await expectOneView(history)
        await expectContent(history)
        await expectTree(history)
        await expectBounded(history)
        await expectOrderFree(history, seed)
        await expectFullIsIncremental(history)
        await expectQuiet(history)
      },
    ),
    { numRuns: runs, seed: 20_260_101, endOnFailure: true },
  )
  return merges
}

describe('a space after any history', () => {
  const timeout = 120_000

  test(`keeps I1-I4, I6, I7, I9 and full == incremental in ${runs} histories`, { timeout }, async () => {
    await checkHistories(false)
  })

  test(`and in ${runs} in which all edit the same files and merge`, { timeout }, async () => {
    expect(await checkHistories(true)).toBeGreaterThan(runs / 4)
  })
})
