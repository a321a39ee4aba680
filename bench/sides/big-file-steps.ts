/** One file of 1 GiB: coming over for the first time, then changed, grown at the front, copied and renamed. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { FolderPair } from './folder-pairs.ts'
import { wireBytes } from './folder-costs.ts'
import { flushDisk, programs, settled, type Scenario, type Scene, type Step } from './folder-scene.ts'
import * as trees from './trees.ts'

const mebibyte = 1024 ** 2
const bigBytes = 1024 * mebibyte
const waitMs = 240_000

const first: Step = {
  units: { big1g_s: 's' },
  others: ['cp', ...programs],
  timeoutMs: waitMs + 60_000,
  isGround: true,
  async measure({ pair, scale, signal, spare }) {
    trees.makeBigFile(spare, bigBytes * scale)
    flushDisk(pair.near)
    const startMs = performance.now()
    fs.renameSync(spare, join(pair.near, 'big.bin'))
    const passed = pair.pass?.()
    await trees.waitForTree(pair.near, pair.far, { signal, timeoutMs: waitMs, everyMs: 10 })
    if (pair.isWholeAtEnd === true) await passed
    const seconds = (performance.now() - startMs) / 1000
    await passed
    trees.compareTrees(pair.near, pair.far)
    return { big1g_s: seconds }
  },
}

interface BigChange {
  /** What takes long and is not part of the change: before the clock starts. */
  prepare?(near: string, spare: string): void
  change(near: string, spare: string): void
  hasArrived(pair: FolderPair): boolean
}

/** Changes the file or its name, and reads time and bytes on the wire. */
function bigChange(names: { seconds: string; MiB: string }, steps: BigChange): Step {
  return {
    units: { [names.seconds]: 's', [names.MiB]: 'MiB' },
    others: programs,
    timeoutMs: waitMs + 160_000,
    async measure(scene: Scene) {
      await settled(scene)
      const { pair, lab, signal, spare } = scene
      steps.prepare?.(pair.near, spare)
      flushDisk(pair.near)
      const before = await wireBytes(lab)
      const startMs = performance.now()
      steps.change(pair.near, spare)
      const passed = pair.pass?.()
      await trees.waitUntil(names.seconds, () => steps.hasArrived(pair), {
        signal,
        timeoutMs: waitMs,
        everyMs: 5,
      })
      if (pair.isWholeAtEnd === true) await passed
      const seconds = (performance.now() - startMs) / 1000
      await passed
      const MiB = ((await wireBytes(lab)) - before) / mebibyte
      trees.compareTrees(pair.near, pair.far)
      return { [names.seconds]: seconds, [names.MiB]: MiB }
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

const sizeOf = (directory: string, file: string): number => fs.statSync(join(directory, file)).size

const overwrite = bigChange(
  { seconds: 'overwrite_s', MiB: 'overwrite_MiB' },
  {
    change(near) {
      const path = join(near, 'big.bin')
      const handle = fs.openSync(path, 'r+')
      fs.writeSync(handle, middle, 0, middle.byteLength, Math.floor(fs.statSync(path).size / 2))
      fs.closeSync(handle)
    },
    hasArrived: ({ near, far }) =>
      readAt(join(far, 'big.bin'), Math.floor(sizeOf(near, 'big.bin') / 2), 4096).equals(middle),
  },
)

const insert = bigChange(
  { seconds: 'insert_s', MiB: 'insert_MiB' },
  {
    prepare(near, spare) {
      const longer = fs.openSync(spare, 'w')
      fs.writeSync(longer, Buffer.from('!'))
      const from = fs.openSync(join(near, 'big.bin'), 'r')
      const block = Buffer.alloc(4 * mebibyte)
      for (let got = fs.readSync(from, block); got > 0; got = fs.readSync(from, block))
        fs.writeSync(longer, block, 0, got)
      fs.closeSync(from)
      fs.closeSync(longer)
    },
    change: (near, spare) => fs.renameSync(spare, join(near, 'big.bin')),
    hasArrived: ({ near, far }) => sizeOf(far, 'big.bin') === sizeOf(near, 'big.bin'),
  },
)

/** From the moment the copy stands in the near folder. */
const copy: Step = {
  ...bigChange(
    { seconds: 'copy_big_s', MiB: 'copy_big_MiB' },
    {
      prepare: (near, spare) => fs.copyFileSync(join(near, 'big.bin'), spare),
      change: (near, spare) => fs.renameSync(spare, join(near, 'copy.bin')),
      hasArrived: ({ near, far }) => sizeOf(far, 'copy.bin') === sizeOf(near, 'copy.bin'),
    },
  ),
  others: ['cp', ...programs],
}

const rename = bigChange(
  { seconds: 'rename_big_s', MiB: 'rename_big_MiB' },
  {
    change: (near) => fs.renameSync(join(near, 'big.bin'), join(near, 'other.bin')),
    hasArrived: ({ near, far }) =>
      sizeOf(far, 'other.bin') === sizeOf(near, 'other.bin') && !fs.existsSync(join(far, 'big.bin')),
  },
)

export const bigFile: Scenario = {
  title: 'one file of 1 GiB',
  roughSeconds: 100,
  steps: [first, overwrite, insert, copy, rename],
}
