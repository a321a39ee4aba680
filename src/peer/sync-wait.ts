/** `skein sync`: waits until every document is equal with every connected device by digest, and every folder is done. */
import type { Env } from '../base/env.ts'
import { throwIfAborted } from '../base/clock.ts'
import type { SpaceId } from '../base/ids.ts'
import type { Sync } from '../crdt/sync.ts'
import type { SpaceStatus, SyncReport } from './api-spaces.ts'

export interface SyncView {
  readonly sync: Pick<Sync, 'peers' | 'inSync'>
  /** The spaces on this device. */
  statuses(): Promise<readonly SpaceStatus[]>
}

export interface SyncWish {
  /** Only this space; all when undefined. */
  readonly spaceId: SpaceId | undefined
  /** Answers with what is true then. */
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal
}

const pollMs = 50
/** Between two reports of progress. */
const reportMs = 200

/** @throws the signal's reason. */
export async function waitForSync(env: Env, view: SyncView, wish: SyncWish): Promise<SyncReport> {
  const untilMs = deadlineOf(env, wish)
  for (;;) {
    throwIfAborted(wish.signal)
    const report = await look(view, wish)
    if (report.isInSync || env.clock.monotonicMs() >= untilMs) return report
    await pause(env, Math.min(pollMs, untilMs - env.clock.monotonicMs()))
  }
}

/** A report whenever it differs from the one before; ends with the one that `waitForSync` would give. @throws the signal's reason. */
export async function* followSync(env: Env, view: SyncView, wish: SyncWish): AsyncGenerator<SyncReport> {
  const untilMs = deadlineOf(env, wish)
  let toldText = ''
  let toldMs = -Infinity
  for (;;) {
    throwIfAborted(wish.signal)
    const report = await look(view, wish)
    const nowMs = env.clock.monotonicMs()
    const isLast = report.isInSync || nowMs >= untilMs
    const text = JSON.stringify(report)
    if (isLast || (text !== toldText && nowMs - toldMs >= reportMs)) {
      toldText = text
      toldMs = nowMs
      yield report
    }
    if (isLast) return
    await pause(env, Math.min(pollMs, untilMs - nowMs))
  }
}

const deadlineOf = (env: Env, { timeoutMs = Infinity }: SyncWish): number =>
  env.clock.monotonicMs() + timeoutMs

async function look(view: SyncView, { spaceId }: SyncWish): Promise<SyncReport> {
  const spaces = (await view.statuses()).filter(
    ({ id, state }) => state !== 'not-joined' && (spaceId === undefined || id === spaceId),
  )
  const areEqual = view.sync.peers().every((peer) => view.sync.inSync(peer))
  // What a person paused is not waited for, unless it was asked for by name
  const isDone = ({ state }: SpaceStatus): boolean =>
    state === 'in-sync' || (state === 'paused' && spaceId === undefined)
  return { isInSync: areEqual && spaces.every(isDone), spaces }
}

/** Not by the caller's signal: a listener each time on a long-lived one would pile up, and the wait is short. */
const pause = (env: Env, delayMs: number): Promise<void> =>
  new Promise((resolve) => void env.clock.setTimer(delayMs, resolve))
