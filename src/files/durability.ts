/**
 * Brings what was placed on the disk behind the rounds, in batches: files that are new at their places and directories whose
 * entries changed. A round does not wait for it. A power cut before may leave such a file empty or short under its own
 * name: `isTorn` tells it from an edit, and it is fetched again.
 */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import { errorFields } from '../base/log.ts'
import type { Touched } from './apply.ts'
import type { FileStat, Filesystem } from './filesystem.ts'
import type { EntryData } from './folder-tree.ts'

export interface Durability {
  /** These are to be on the disk soon. */
  add(touched: Touched): void
  /** Syncs what was added, until aborted; then once more what is left. */
  run(signal: AbortSignal): Promise<void>
}

/** Quiet for so long, or waiting for so long: a batch begins. */
const quietMs = 250
const patienceMs = 2_000

export function createDurability(env: Env, filesystem: Filesystem): Durability {
  let files = new Set<string>()
  let directories = new Set<string>()
  let woken = Promise.withResolvers<void>()
  let lastMs = 0
  const syncAll = async (): Promise<void> => {
    const batch = [[...files], [...directories]] as const
    files = new Set()
    directories = new Set()
    if (batch[0].length + batch[1].length === 0) return
    try {
      await filesystem.syncAll(...batch)
    } catch (error) {
      // because: it is on the disk by the system's own flushing a little later; a full or broken disk shows in the next round
      if (!hasCode(error, 'folder.missing'))
        env.log.warn('placed files could not be synced', errorFields(error))
    }
  }
  return {
    add(touched) {
      for (const path of touched.files) files.add(path)
      for (const path of touched.directories) directories.add(path)
      lastMs = env.clock.monotonicMs()
      if (files.size + directories.size > 0) woken.resolve()
    },
    async run(signal) {
      const onAbort = (): void => woken.resolve()
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        while (!signal.aborted) {
          await woken.promise
          woken = Promise.withResolvers()
          const untilMs = env.clock.monotonicMs() + patienceMs
          for (let nowMs = env.clock.monotonicMs(); nowMs < Math.min(lastMs + quietMs, untilMs);) {
            await sleep(env.clock, quietMs, signal)
            nowMs = env.clock.monotonicMs()
          }
          await syncAll()
        }
      } finally {
        signal.removeEventListener('abort', onAbort)
        await syncAll()
      }
    },
  }
}

/** Placing a file sets its time, to a microsecond, before it gets its name. */
const timeStepNs = 1_000n

/**
 * Whether a file that differs from what was placed there was cut short by a power cut before it was on the disk: its time is
 * still the one that was set, and bytes are missing. Whoever writes to a file changes its time.
 */
export function isTorn(stat: FileStat, placed: Pick<EntryData, 'kind' | 'size' | 'mtimeNs'>): boolean {
  const apartNs = stat.mtimeNs - placed.mtimeNs
  return (
    placed.kind === 'file' &&
    stat.kind === 'file' &&
    stat.size < placed.size &&
    apartNs < timeStepNs &&
    apartNs > -timeStepNs
  )
}
