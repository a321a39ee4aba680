/** Two equal trees of very many files: taken up for the first time, resting, edited, started again. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { percentile } from '../bench-report.ts'
import { residentBytes, watchCosts } from './folder-costs.ts'
import { editTimes, flushDisk, programs, type Scenario, type Scene, type Step } from './folder-scene.ts'
import * as trees from './trees.ts'

/** From in sync to rest: what is put off until then (compaction, garbage, watchers) is not idling. */
const settleMs = 30_000
const idleMs = 30_000
const joinMs = 660_000

/** @param label of the figures, e.g. 100k. */
export function equalTrees(label: string, files: number): Scenario {
  const index: Step = {
    units: { [`index${label}_s`]: 's' },
    others: programs,
    timeoutMs: joinMs,
    isGround: true,
    async measure({ pair }) {
      const startMs = performance.now()
      await pair.join()
      return { [`index${label}_s`]: (performance.now() - startMs) / 1000 }
    },
  }
  const idle: Step = {
    units: { [`idle${label}_cpu_percent`]: '% of a core', [`rss${label}_MB`]: 'MB' },
    others: ['syncthing'],
    timeoutMs: settleMs + idleMs + 30_000,
    async measure({ pair, signal }) {
      await delay(settleMs, undefined, { signal })
      const end = watchCosts(() => pair.charged())
      await delay(idleMs, undefined, { signal })
      const { cpuSeconds } = end()
      const { near, far } = pair.charged()
      return {
        // Of the two sides the one that takes more
        [`idle${label}_cpu_percent`]: (Math.max(...cpuSeconds) / (idleMs / 1000)) * 100,
        [`rss${label}_MB`]: Math.max(residentBytes(near), residentBytes(far)) / 1e6,
      }
    },
  }
  const edit: Step = {
    units: { [`edit${label}_p50_ms`]: 'ms' },
    others: programs,
    timeoutMs: 400_000,
    measure: async (scene) => ({
      [`edit${label}_p50_ms`]: percentile(await editTimes(scene, 11, 'all/edited.txt'), 50),
    }),
  }
  const cold: Step = {
    units: { [`cold${label}_s`]: 's' },
    others: ['syncthing'],
    timeoutMs: 200_000,
    measure: async (scene) => ({ [`cold${label}_s`]: await coldStart(scene) }),
  }
  return {
    title: `two equal trees of ${files.toLocaleString('en')} files`,
    roughSeconds: 150,
    isJoinMeasured: true,
    prepare({ near, far }, scale) {
      const plan = { ...trees.smallTree(files * scale), sizeBytes: () => 300 }
      trees.makeTree(join(near, 'all'), plan, 3)
      fs.cpSync(join(near, 'all'), join(far, 'all'), { recursive: true, preserveTimestamps: true })
      flushDisk(near)
    },
    steps: [index, idle, edit, cold],
  }
}

/** Both stopped, one file made, both started at once, until the other side has it. */
async function coldStart({ pair, signal }: Scene): Promise<number> {
  if (pair.restart === undefined) throw new Error('it does not run on')
  let startMs = 0
  await pair.restart(() => {
    fs.writeFileSync(join(pair.near, 'all', 'cold.txt'), 'made while off')
    startMs = performance.now()
  })
  const arrived = (): boolean => fs.existsSync(join(pair.far, 'all', 'cold.txt'))
  await trees.waitUntil('the offline edit', arrived, { signal, timeoutMs: 120_000, everyMs: 5 })
  return (performance.now() - startMs) / 1000
}
