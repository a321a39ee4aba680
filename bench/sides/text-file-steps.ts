/** One log of 256 MiB coming over for the first time: what compressing on the way saves, and what it costs. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { wireBytes } from './folder-costs.ts'
import { flushDisk, programs, type Scenario, type Step } from './folder-scene.ts'
import * as trees from './trees.ts'

const mebibyte = 1024 ** 2
const waitMs = 240_000

function makeLog(path: string, sizeBytes: number): void {
  const handle = fs.openSync(path, 'w')
  try {
    let line = 0
    for (let at = 0; at < sizeBytes;) {
      let text = ''
      while (text.length < mebibyte) {
        const second = String(line % 60).padStart(2, '0')
        text += `2026-11-22T01:02:${second}.${line % 997}Z info served {"path":"/api/items/${(line * 7919) % 100_003}"}\n`
        line++
      }
      at += fs.writeSync(handle, text.slice(0, sizeBytes - at))
    }
  } finally {
    fs.closeSync(handle)
  }
}

const first: Step = {
  units: { text256_s: 's', text256_MiB: 'MiB' },
  others: programs,
  timeoutMs: waitMs + 60_000,
  async measure({ pair, lab, scale, signal, spare }) {
    makeLog(spare, 256 * mebibyte * scale)
    flushDisk(pair.near)
    const before = await wireBytes(lab)
    const startMs = performance.now()
    fs.renameSync(spare, join(pair.near, 'text.log'))
    const passed = pair.pass?.()
    await trees.waitForTree(pair.near, pair.far, { signal, timeoutMs: waitMs, everyMs: 10 })
    if (pair.isWholeAtEnd === true) await passed
    const seconds = (performance.now() - startMs) / 1000
    await passed
    const MiB = ((await wireBytes(lab)) - before) / mebibyte
    trees.compareTrees(pair.near, pair.far)
    return { text256_s: seconds, text256_MiB: MiB }
  },
}

export const textFile: Scenario = { title: 'a log of 256 MiB', roughSeconds: 25, steps: [first] }
