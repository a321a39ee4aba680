/** Merging in any order: random histories of 2 to 4 devices that edit one file with repeated lines and merge what they hear of. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BlobHash } from '../../src/blobs/hash.ts'
import { partsOfVersion, type SyncedRow } from '../../src/files/folder-tree.ts'
import type { MergeDevice } from './merge-device.ts'
import {
  createMergeHistory,
  type History,
  type MergeHistory,
  type MergeHistoryOptions,
  runMergeHistory,
} from './merge-history.ts'

const runs = Number(process.env['SKEIN_RUNS'] ?? 3_000)
const timeout = 120_000

const histories = fc.record({
  seed: fc.integer({ min: 1, max: 1_000_000_000 }),
  devices: fc.integer({ min: 2, max: 4 }),
  steps: fc.integer({ min: 1, max: 4 }),
  isJson: fc.boolean(),
})

/** One view, and every disk holds exactly that: nobody believes to be in sync with other bytes. */
function expectOneTruth({ devices }: MergeHistory): void {
  const views = devices.map((device) => device.entries().map(({ name, version }) => `${name} ${version}`))
  for (const view of views) expect(view).toEqual(views[0])
  for (const { disk, entries } of devices.map((device) => ({
    disk: device.disk,
    entries: device.entries(),
  }))) {
    const shown = entries.map(({ name, hash }) => `${name} ${hash}`)
    expect([...disk].map(([name, { hash }]) => `${name} ${hash}`).sort()).toEqual(shown.sort())
  }
}

/** Every line that somebody wrote and nobody took out stands in a file or in a kept version. */
function expectAllLines(history: MergeHistory): void {
  const hashes = new Set<BlobHash>()
  for (const { disk, kept } of history.devices) {
    for (const { hash } of disk.values()) if (hash !== undefined) hashes.add(hash)
    for (const hash of kept) hashes.add(hash)
  }
  const all = [...hashes].map((hash) => history.textOf(hash)).join('')
  for (const line of history.written) expect(all).toContain(line)
}

/** @returns how often they merged, and what of that was merged again from its parts. */
async function check(numRuns: number, options: Partial<MergeHistoryOptions> = {}) {
  const sum = { merges: 0, remerges: 0, fallbacks: 0, rivals: 0, copies: 0 }
  await fc.assert(
    fc.asyncProperty(histories, async (one) => {
      const history = await runMergeHistory({ ...one, ...options })
      expectOneTruth(history)
      expectAllLines(history)
      const rivals = history.rivals()
      if (options.otherMakeFrom === undefined) expect(rivals).toEqual([])
      sum.rivals += rivals.length
      sum.merges += history.counts.merges
      sum.remerges += history.counts.remerges
      sum.fallbacks += history.counts.fallbacks
      sum.copies += (history.devices[0]?.entries().length ?? 1) - 1
    }),
    { numRuns, seed: 20_261_121, endOnFailure: true },
  )
  return sum
}

describe('random histories of a file with repeated lines or of JSON, merged in any order', () => {
  test(
    `${runs}: all devices end with the same bytes, and no version ever has two contents`,
    { timeout },
    async () => {
      const { merges, remerges } = await check(runs)
      expect(merges).toBeGreaterThan(runs)
      expect(remerges).toBeGreaterThan(runs / 10)
    },
  )

  test('also when what was merged before can often not be had any more', { timeout }, async () => {
    const { fallbacks } = await check(runs / 5, { missing: 0.5 })
    expect(fallbacks).toBeGreaterThan(runs / 50)
  })

  test('also when some merge by another rule: both contents stand side by side', { timeout }, async () => {
    const { rivals } = await check(runs / 10, { otherMakeFrom: 1 })
    expect(rivals).toBeGreaterThan(runs / 100)
  })
})

/** JSON members that everybody puts at the same place: which comes first depends on what is merged with what. */
const members = (names: readonly string[]): string =>
  `${JSON.stringify(Object.fromEntries(names.map((name) => [name, true])), undefined, 2)}\n`

/** Three wrote apart; a fourth merges a and b and then c, and c's own device a and c and then b. */
async function mergedInTwoOrders(options: Partial<MergeHistoryOptions> = {}): Promise<History> {
  const history = createMergeHistory({ seed: 1, devices: 4, steps: 0, isJson: true, ...options })
  const [a, b, c, d] = history.devices
  if (a === undefined || b === undefined || c === undefined || d === undefined)
    throw new Error('four devices')
  const write = (device: MergeDevice, names: readonly string[]): void => {
    const [row] = device.disk.values()
    if (row !== undefined) history.write(device, row, members(names))
  }
  write(a, ['z', 'm'])
  await history.heal()
  write(a, ['z', 'm', 'a1'])
  write(b, ['z', 'm', 'b1'])
  write(c, ['z', 'm', 'c1'])
  for (const from of [0, 1]) history.take(d, from, Infinity)
  await history.mergeAll(d)
  history.take(d, 2, Infinity)
  await history.mergeAll(d)
  history.take(c, 0, Infinity)
  await history.mergeAll(c)
  history.take(c, 1, Infinity)
  await history.mergeAll(c)
  for (const device of [c, d]) device.followDocument()
  return history
}

describe('three sides merged in two orders', () => {
  test('are one version with one content', async () => {
    const history = await mergedInTwoOrders()
    const [, , c, d] = history.devices
    expect(c?.entries()).toHaveLength(1)
    expect(c?.entries()).toEqual(d?.entries())
    await history.heal()
    expectOneTruth(history)
    expect(history.counts.remerges).toBe(2)
    expect(history.rivals()).toEqual([])
    expect([...(c?.disk.values() ?? [])].map(({ hash }) => hash && history.textOf(hash))).toEqual([
      members(['z', 'm', 'c1', 'b1', 'a1']),
    ])
  })

  describe('by different rules are one version with two contents', () => {
    async function rivals() {
      const history = await mergedInTwoOrders({ otherMakeFrom: 3 })
      await history.heal()
      expectOneTruth(history)
      expect(history.rivals()).toHaveLength(1)
      const [a] = history.devices
      const rowOf = (isCopy: boolean) =>
        [...(a?.disk.values() ?? [])].find(({ name }) => name.includes('conflict') === isCopy)
      const [main, copy] = [rowOf(false), rowOf(true)]
      if (a === undefined || main?.hash === undefined || copy?.hash === undefined)
        throw new Error('two files')
      const [ofMain, ofCopy] = [partsOfVersion(main.version), partsOfVersion(copy.version)]
      expect(ofMain.vector).toBe(ofCopy.vector)
      expect(ofMain.hash).not.toBe(ofCopy.hash)
      const texts = () =>
        [...a.disk.values()].map(({ hash }) => (hash === undefined ? '' : history.textOf(hash))).sort()
      return {
        history,
        a,
        main,
        copy,
        texts,
        textOf: (row: SyncedRow) => (row.hash ? history.textOf(row.hash) : ''),
      }
    }

    test('both shown on every disk; deleting the one leaves the other', async () => {
      const { history, a, main, copy, texts, textOf } = await rivals()
      history.delete(a, copy)
      await history.heal()
      expectOneTruth(history)
      expect(texts()).toEqual([textOf(main)])
    })

    test('and editing the one leaves the other', async () => {
      const { history, a, main, copy, texts, textOf } = await rivals()
      history.write(a, main, members(['z', 'new']))
      await history.heal()
      expectOneTruth(history)
      expect(texts()).toEqual([members(['z', 'new']), textOf(copy)].sort())
    })
  })
})
