/** What the `files` bench does to pairs of folders, and what it reads off them. Every scenario starts with a fresh pair. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { percentile } from '../bench-report.ts'
import { bigFile } from './big-file-steps.ts'
import { equalTrees } from './equal-trees-steps.ts'
import { wireBytes } from './folder-costs.ts'
import { editTimes, flushDisk, programs, settled, type Scenario, type Step } from './folder-scene.ts'
import { textFile } from './text-file-steps.ts'
import * as trees from './trees.ts'

const waitMs = 240_000

/** From the moment the tree stands in the near folder until it is right in the far one. */
function firstSync(
  figure: string,
  roughSeconds: number,
  make: (root: string, scale: number) => void,
): Scenario {
  const step: Step = {
    units: { [figure]: 's' },
    others: ['cp', ...programs],
    timeoutMs: waitMs + 60_000,
    async measure({ pair, scale, signal, spare }) {
      fs.mkdirSync(spare)
      make(spare, scale)
      flushDisk(pair.near)
      const startMs = performance.now()
      fs.renameSync(spare, join(pair.near, 'new'))
      const passed = pair.pass?.()
      await trees.waitForTree(pair.near, pair.far, { signal, timeoutMs: waitMs, everyMs: 10 })
      if (pair.isWholeAtEnd === true) await passed
      const elapsedMs = performance.now() - startMs
      await passed
      trees.compareTrees(pair.near, pair.far)
      return { [figure]: elapsedMs / 1000 }
    },
  }
  return { title: `first sync (${figure})`, roughSeconds, steps: [step] }
}

const edits: Step = {
  units: { edit_p50_ms: 'ms', edit_p95_ms: 'ms' },
  others: programs,
  timeoutMs: 200_000,
  async measure(scene) {
    await settled(scene)
    const timesMs = await editTimes(scene, scene.scale < 1 ? 21 : 41, 'edited.txt')
    return { edit_p50_ms: percentile(timesMs, 50), edit_p95_ms: percentile(timesMs, 95) }
  },
}

const burst: Step = {
  units: { burst100_ms: 'ms' },
  others: programs,
  timeoutMs: 120_000,
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

const renameDirectory: Step = {
  units: { rename_dir_s: 's', rename_dir_kB: 'kB' },
  others: programs,
  timeoutMs: 300_000,
  async measure(scene) {
    const { pair, lab, signal } = scene
    fs.mkdirSync(scene.spare)
    for (let index = 0; index < 1000; index++)
      fs.writeFileSync(join(scene.spare, `f${index}`), trees.noise(34_000))
    fs.renameSync(scene.spare, join(pair.near, 'before'))
    await settled(scene)
    const before = await wireBytes(lab)
    const startMs = performance.now()
    fs.renameSync(join(pair.near, 'before'), join(pair.near, 'after'))
    const passed = pair.pass?.()
    const isThere = (): boolean =>
      fs.readdirSync(join(pair.far, 'after')).length >= 1000 && !fs.existsSync(join(pair.far, 'before'))
    await trees.waitUntil('the new name', isThere, { signal, timeoutMs: 120_000, everyMs: 5 })
    const seconds = (performance.now() - startMs) / 1000
    await passed
    const kilobytes = ((await wireBytes(lab)) - before) / 1000
    trees.compareTrees(pair.near, pair.far)
    return { rename_dir_s: seconds, rename_dir_kB: kilobytes }
  },
}

/** 1,000 changes on each side while they cannot reach each other: half new files, half edits of files of their own. */
const heal: Step = {
  units: { heal_s: 's' },
  others: ['unison', 'syncthing'],
  timeoutMs: 400_000,
  async measure(scene) {
    await settled(scene)
    const { pair, lab, signal } = scene
    await lab.cut(0, 1)
    for (const [side, root] of [pair.near, pair.far].entries()) {
      fs.mkdirSync(join(root, `new${side}`))
      for (let index = 0; index < 1000; index++) {
        const number = index + side * 1000
        const path =
          index % 2 === 0 ? `new${side}/n${index}` : `d${(number % 30) % 20}/e${number % 30}/f${number}.bin`
        fs.writeFileSync(join(root, path), trees.noise(2000 + index))
      }
    }
    await delay(15_000, undefined, { signal })
    await lab.heal()
    const startMs = performance.now()
    const passed = pair.pass?.()
    const isRight = (): boolean => {
      const [a, b] = [trees.listTree(pair.near), trees.listTree(pair.far)]
      return a.size === b.size && a.size === 4000 && [...a].every(([path, size]) => b.get(path) === size)
    }
    await trees.waitUntil('both to be equal', isRight, { signal, timeoutMs: 120_000, everyMs: 20 })
    const seconds = (performance.now() - startMs) / 1000
    await passed
    trees.compareTrees(pair.near, pair.far)
    return { heal_s: seconds }
  },
}

export const scenarios: readonly Scenario[] = [
  firstSync('small10k_s', 30, (root, scale) => trees.makeTree(root, trees.smallTree(10_000 * scale), 11)),
  firstSync('mid1k_s', 20, (root, scale) =>
    trees.makeTree(root, { files: 1000 * scale, directories: 10, sizeBytes: () => 102_400 }, 12),
  ),
  firstSync('tree_s', 80, (root, scale) => trees.makeTree(root, trees.moduleTree(30_000 * scale), 13)),
  bigFile,
  textFile,
  {
    title: 'small changes',
    roughSeconds: 50,
    prepare: ({ near }) => void trees.makeTree(near, trees.smallTree(20), 1),
    steps: [edits, burst, renameDirectory],
  },
  equalTrees('100k', 100_000),
  {
    title: 'healing with 1,000 changes on each side',
    roughSeconds: 50,
    prepare: ({ near }) => void trees.makeTree(near, trees.smallTree(3000), 2),
    steps: [heal],
  },
  { ...equalTrees('1M', 1_000_000), isOnRequest: true },
]
