/** What the `files` bench does to a pair of folders, and what it reads off them. Every scenario starts with a fresh pair. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lab } from '../../test/support/netns.ts'
import { percentile } from '../bench-report.ts'
import { costOf, type FolderPair, type FolderPeer, type SkeinPair, wireBytes } from './folder-pairs.ts'
import * as trees from './trees.ts'

export type Measured = Readonly<Record<string, number>>

export interface Scene {
  readonly pair: FolderPair
  readonly lab: Lab
  /** Share of the full size, 0 to 1. */
  readonly scale: number
  readonly signal: AbortSignal
  /** A path on the same disk outside the folders, for what is moved in at once. */
  readonly spare: string
}

export interface Scenario {
  readonly title: string
  /** Figures and their units. */
  readonly units: Readonly<Record<string, string>>
  readonly others: readonly FolderPeer['name'][]
  readonly timeoutMs: number
  /** Fills the folders before the pair starts. */
  prepare?(place: { readonly near: string; readonly far: string }, scale: number): Promise<void> | void
  measure(scene: Scene): Promise<Measured>
}

const all = ['rsync', 'unison', 'syncthing'] as const
const mebibyte = 1024 ** 2
const bigBytes = 1024 * mebibyte
const waitMs = 240_000

/** From the moment the tree stands in the near folder until it is right in the far one. Syncthing is told to look at once. */
function firstSync(
  figure: string,
  make: (root: string, scale: number) => void,
  timeoutMs = waitMs,
): Scenario {
  return {
    title: figure,
    units: { [figure]: 's' },
    others: all,
    timeoutMs: timeoutMs + 60_000,
    async measure({ pair, scale, signal, spare }) {
      fs.mkdirSync(spare)
      make(spare, scale)
      // What is still to be written back would be charged to whoever syncs first
      await flushDisk()
      const startMs = performance.now()
      fs.renameSync(spare, join(pair.near, 'new'))
      const passed = pair.pass?.()
      await trees.waitForTree(pair.near, pair.far, { signal, timeoutMs, everyMs: 20 })
      const elapsedMs = performance.now() - startMs
      await passed
      trees.compareTrees(pair.near, pair.far)
      return { [figure]: elapsedMs / 1000 }
    },
  }
}

const flushDisk = async (): Promise<void> => {
  const { execFileSync } = await import('node:child_process')
  execFileSync('sync')
}

/** One edit after the other, each until the far side has it. */
async function editTimes({ pair, signal }: Scene, count: number, path: string): Promise<readonly number[]> {
  const [near, far] = [join(pair.near, path), join(pair.far, path)]
  const timesMs: number[] = []
  for (let index = 0; index < count; index++) {
    const text = `${'x'.repeat(1500 + index)} ${index}\n`
    const startMs = performance.now()
    fs.writeFileSync(near, text)
    const passed = pair.pass?.()
    await trees.waitUntil(
      'the edit',
      () => fs.statSync(far).size === text.length && fs.readFileSync(far, 'utf8') === text,
      { signal, timeoutMs: 30_000, everyMs: 1 },
    )
    timesMs.push(performance.now() - startMs)
    await passed
    // Not in step with any beat of the program
    await delay(150 + ((index * 37) % 100), undefined, { signal })
  }
  // The first one meets cold code
  return timesMs.slice(1)
}

const edits: Scenario = {
  title: 'small edits',
  units: { edit_p50_ms: 'ms', edit_p95_ms: 'ms' },
  others: all,
  timeoutMs: 200_000,
  prepare: ({ near }) => void trees.makeTree(near, trees.smallTree(20), 1),
  async measure(scene) {
    await settled(scene)
    const timesMs = await editTimes(scene, scene.scale < 1 ? 21 : 41, 'edited.txt')
    return { edit_p50_ms: percentile(timesMs, 50), edit_p95_ms: percentile(timesMs, 95) }
  },
}

/** Until the far folder is like the near one. */
async function settled({ pair, signal }: Scene): Promise<void> {
  const passed = pair.pass?.()
  await trees.waitForTree(pair.near, pair.far, { signal, timeoutMs: waitMs, everyMs: 50 })
  await passed
  await flushDisk()
  await delay(1_500, undefined, { signal })
}

const burst: Scenario = {
  title: 'burst of 100 files',
  units: { burst100_ms: 'ms' },
  others: all,
  timeoutMs: 120_000,
  prepare: ({ near }) => void trees.makeTree(near, trees.smallTree(20), 1),
  async measure(scene) {
    await settled(scene)
    const { pair, signal } = scene
    const timesMs: number[] = []
    for (let round = 0; round < 3; round++) {
      fs.mkdirSync(join(pair.near, `b${round}`))
      const startMs = performance.now()
      trees.makeTree(join(pair.near, `b${round}`), { ...trees.smallTree(100), directories: 1 }, round)
      const passed = pair.pass?.()
      await trees.waitForTree(pair.near, pair.far, { signal, timeoutMs: 60_000, everyMs: 2 })
      timesMs.push(performance.now() - startMs)
      await passed
      await delay(700, undefined, { signal })
    }
    trees.compareTrees(pair.near, pair.far)
    return { burst100_ms: percentile(timesMs, 50) }
  },
}

interface BigChange {
  /** What takes long and is not part of the change: before the clock starts. */
  prepare?(near: string): void
  change(near: string): void
}

/** Changes a file of 1 GiB, or its name, and reads time and bytes on the wire. */
function bigChange(
  names: { readonly seconds: string; readonly MiB?: string },
  steps: BigChange,
  arrived: (pair: FolderPair, sizeBytes: number) => boolean,
): Scenario {
  return {
    title: names.seconds,
    units: { [names.seconds]: 's', ...(names.MiB === undefined ? {} : { [names.MiB]: 'MiB' }) },
    others: all,
    timeoutMs: 400_000,
    prepare: ({ near }, scale) => trees.makeBigFile(join(near, 'big.bin'), bigBytes * scale),
    async measure(scene) {
      await settled(scene)
      const { pair, lab, signal, scale } = scene
      steps.prepare?.(pair.near)
      await flushDisk()
      const before = await wireBytes(lab)
      const startMs = performance.now()
      steps.change(pair.near)
      const passed = pair.pass?.()
      await trees.waitUntil('the change', () => arrived(pair, bigBytes * scale), {
        signal,
        timeoutMs: waitMs,
        everyMs: 5,
      })
      const seconds = (performance.now() - startMs) / 1000
      await passed
      const MiB = ((await wireBytes(lab)) - before) / mebibyte
      trees.compareTrees(pair.near, pair.far)
      return { [names.seconds]: seconds, ...(names.MiB === undefined ? {} : { [names.MiB]: MiB }) }
    },
  }
}

const middle = Buffer.alloc(4096, 'overwritten')

function readAt(path: string, at: number, lengthBytes: number): Buffer {
  const handle = fs.openSync(path, 'r')
  try {
    const into = Buffer.alloc(lengthBytes)
    fs.readSync(handle, into, 0, lengthBytes, at)
    return into
  } finally {
    fs.closeSync(handle)
  }
}

const overwrite = bigChange(
  { seconds: 'overwrite_s', MiB: 'overwrite_MiB' },
  {
    change(near) {
      const path = join(near, 'big.bin')
      const handle = fs.openSync(path, 'r+')
      fs.writeSync(handle, middle, 0, middle.byteLength, Math.floor(fs.statSync(path).size / 2))
      fs.closeSync(handle)
    },
  },
  ({ far }, sizeBytes) => readAt(join(far, 'big.bin'), Math.floor(sizeBytes / 2), 4096).equals(middle),
)

const insert = bigChange(
  { seconds: 'insert_s', MiB: 'insert_MiB' },
  {
    prepare(near) {
      const path = join(near, 'big.bin')
      const longer = fs.openSync(`${near}-longer`, 'w')
      fs.writeSync(longer, Buffer.from('!'))
      const from = fs.openSync(path, 'r')
      const block = Buffer.alloc(4 * mebibyte)
      for (let got = fs.readSync(from, block); got > 0; got = fs.readSync(from, block))
        fs.writeSync(longer, block, 0, got)
      fs.closeSync(from)
      fs.closeSync(longer)
    },
    change: (near) => fs.renameSync(`${near}-longer`, join(near, 'big.bin')),
  },
  ({ far }, sizeBytes) => fs.statSync(join(far, 'big.bin')).size === sizeBytes + 1,
)

const renameBig = bigChange(
  { seconds: 'rename_big_s' },
  { change: (near) => fs.renameSync(join(near, 'big.bin'), join(near, 'other.bin')) },
  ({ far }, sizeBytes) =>
    fs.statSync(join(far, 'other.bin')).size === sizeBytes && !fs.existsSync(join(far, 'big.bin')),
)

const copyBig = bigChange(
  { seconds: 'copy_big_s', MiB: 'copy_big_MiB' },
  { change: (near) => fs.copyFileSync(join(near, 'big.bin'), join(near, 'other.bin')) },
  ({ far }, sizeBytes) => fs.statSync(join(far, 'other.bin')).size === sizeBytes,
)

const renameDirectory: Scenario = {
  title: 'a directory of 1,000 files renamed',
  units: { rename_dir_s: 's', rename_dir_kB: 'kB' },
  others: all,
  timeoutMs: 300_000,
  prepare({ near }) {
    fs.mkdirSync(join(near, 'before'))
    for (let index = 0; index < 1000; index++)
      fs.writeFileSync(join(near, 'before', `f${index}`), trees.noise(34_000))
  },
  async measure(scene) {
    await settled(scene)
    const { pair, lab, signal } = scene
    const before = await wireBytes(lab)
    const startMs = performance.now()
    fs.renameSync(join(pair.near, 'before'), join(pair.near, 'after'))
    const passed = pair.pass?.()
    await trees.waitUntil(
      'the new name',
      () =>
        fs.readdirSync(join(pair.far, 'after')).length >= 1000 && !fs.existsSync(join(pair.far, 'before')),
      { signal, timeoutMs: 120_000, everyMs: 5 },
    )
    const seconds = (performance.now() - startMs) / 1000
    await passed
    const kilobytes = ((await wireBytes(lab)) - before) / 1000
    trees.compareTrees(pair.near, pair.far)
    return { rename_dir_s: seconds, rename_dir_kB: kilobytes }
  },
}

const heal: Scenario = {
  title: 'healing with 1,000 changes on each side',
  units: { heal_s: 's' },
  others: ['syncthing'],
  timeoutMs: 400_000,
  prepare: ({ near }) => void trees.makeTree(near, trees.smallTree(3000), 2),
  async measure(scene) {
    await settled(scene)
    const { pair, lab, signal } = scene
    await lab.cut(0, 1)
    for (const [side, root] of [pair.near, pair.far].entries()) {
      fs.mkdirSync(join(root, `new${side}`))
      for (let index = 0; index < 1000; index++) {
        // Half new files, half edits of files that the other side leaves alone
        const number = index + side * 1000
        const path =
          index % 2 === 0 ? `new${side}/n${index}` : `d${(number % 30) % 20}/e${number % 30}/f${number}.bin`
        fs.writeFileSync(join(root, path), trees.noise(2000 + index))
      }
    }
    await delay(15_000, undefined, { signal })
    await lab.heal()
    const startMs = performance.now()
    const isRight = (): boolean => {
      const [a, b] = [trees.listTree(pair.near), trees.listTree(pair.far)]
      return a.size === b.size && a.size === 4000 && [...a].every(([path, size]) => b.get(path) === size)
    }
    await trees.waitUntil('both to be equal', isRight, { signal, timeoutMs: 120_000, everyMs: 50 })
    const seconds = (performance.now() - startMs) / 1000
    trees.compareTrees(pair.near, pair.far)
    return { heal_s: seconds }
  },
}

/** Two equal trees of 100,000 files: joining them, idling, one edit, a cold start. */
const hundredThousand: Scenario = {
  title: '100,000 files',
  units: {
    index100k_s: 's',
    cold100k_s: 's',
    edit100k_p50_ms: 'ms',
    idle100k_cpu_percent: '% of a core',
    rss100k_MB: 'MB',
  },
  others: [],
  timeoutMs: 900_000,
  async measure(scene) {
    // because: no other program takes part in this scenario
    const pair = scene.pair as SkeinPair
    const { signal, scale, spare } = scene
    fs.mkdirSync(spare)
    trees.makeTree(spare, { ...trees.smallTree(100_000 * scale), sizeBytes: () => 300 }, 3)
    const [a, b] = pair.peers
    for (const peer of [a, b]) await peer.json('unshare', 'bench')
    fs.cpSync(spare, join(pair.far, 'all'), { recursive: true, preserveTimestamps: true })
    fs.renameSync(spare, join(pair.near, 'all'))
    await flushDisk()
    const startMs = performance.now()
    await Promise.all([a.json('join', 'bench', pair.near), b.json('join', 'bench', pair.far)])
    await Promise.all([a.json('sync', '--timeout', '25s'), b.json('sync', '--timeout', '25s')])
    const indexSeconds = (performance.now() - startMs) / 1000
    await delay(10_000, undefined, { signal })
    const before = costOf(pair.pids())
    await delay(20_000, undefined, { signal })
    const after = costOf(pair.pids())
    const timesMs = await editTimes(scene, 11, 'all/edited.txt')
    const resident = pair.pids().map((pid) => {
      const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
      return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024) / 1e6
    })
    let coldMs = 0
    await pair.restart(() => {
      fs.writeFileSync(join(pair.near, 'all', 'cold.txt'), 'made while off')
      coldMs = performance.now()
    })
    await trees.waitUntil('the offline edit', () => fs.existsSync(join(pair.far, 'all', 'cold.txt')), {
      signal,
      timeoutMs: 120_000,
      everyMs: 5,
    })
    return {
      index100k_s: indexSeconds,
      cold100k_s: (performance.now() - coldMs) / 1000,
      edit100k_p50_ms: percentile(timesMs, 50),
      idle100k_cpu_percent: ((after.cpuSeconds - before.cpuSeconds) / 20 / 2) * 100,
      rss100k_MB: Math.max(...resident),
    }
  },
}

export const scenarios: readonly Scenario[] = [
  firstSync('small10k_s', (root, scale) => trees.makeTree(root, trees.smallTree(10_000 * scale), 11)),
  firstSync('mid1k_s', (root, scale) =>
    trees.makeTree(root, { files: 1000 * scale, directories: 10, sizeBytes: () => 102_400 }, 12),
  ),
  firstSync('big1g_s', (root, scale) => trees.makeBigFile(join(root, 'big.bin'), bigBytes * scale)),
  firstSync('tree_s', (root, scale) => trees.makeTree(root, trees.moduleTree(30_000 * scale), 13)),
  edits,
  burst,
  overwrite,
  insert,
  renameBig,
  copyBig,
  renameDirectory,
  hundredThousand,
  heal,
]
