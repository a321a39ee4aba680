/**
 * `skein sync`: waits until every document is equal with every connected device by digest, every folder here is done,
 * and no device in reach is still looking at files of these folders or fetching them. What only a person can mend is
 * not waited for: the report says so.
 */
import type { Env } from '../base/env.ts'
import { throwIfAborted } from '../base/clock.ts'
import type { SpaceId } from '../base/ids.ts'
import type { Sync } from '../crdt/sync.ts'
import type { SpaceStatus, SyncReport } from './api-spaces.ts'
import type { AskBusyMembers } from './busy-members.ts'

export interface SyncView {
  readonly sync: Pick<Sync, 'peers' | 'inSync'>
  /** The spaces on this device. */
  statuses(): Promise<readonly SpaceStatus[]>
  readonly busyMembers: AskBusyMembers
  /** @param peer as `sync` names it: a device id. */
  nameOf(peer: string): string
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
/** Looks in a row that must say the same: another device's last update may be on its way while it says that it is done. */
const calmLooks = 2

/** @throws the signal's reason. */
export async function waitForSync(env: Env, view: SyncView, wish: SyncWish): Promise<SyncReport> {
  let last: SyncReport | undefined
  for await (const { report } of looks(env, view, wish)) last = report
  return last ?? (await look(view, wish))
}

/** A report whenever it differs from the one before; ends with the one that `waitForSync` would give. @throws the signal's reason. */
export async function* followSync(env: Env, view: SyncView, wish: SyncWish): AsyncGenerator<SyncReport> {
  let toldText = ''
  let toldMs = -Infinity
  for await (const { report, isLast } of looks(env, view, wish)) {
    const nowMs = env.clock.monotonicMs()
    const text = JSON.stringify(report)
    if (!isLast && (text === toldText || nowMs - toldMs < reportMs)) continue
    toldText = text
    toldMs = nowMs
    yield report
  }
}

interface Look {
  readonly report: SyncReport
  readonly isLast: boolean
}

async function* looks(env: Env, view: SyncView, wish: SyncWish): AsyncGenerator<Look> {
  const untilMs = env.clock.monotonicMs() + (wish.timeoutMs ?? Infinity)
  let calm = 0
  for (;;) {
    throwIfAborted(wish.signal)
    const report = await look(view, wish)
    calm = report.isInSync || report.needsPerson === true ? calm + 1 : 0
    const nowMs = env.clock.monotonicMs()
    const isLate = nowMs >= untilMs
    if (calm >= calmLooks || isLate) return yield { report, isLast: true }
    // What was not seen twice is not said yet
    yield { report: { ...report, isInSync: false }, isLast: false }
    await pause(env, Math.min(pollMs, untilMs - nowMs))
  }
}

async function look(view: SyncView, { spaceId, signal }: SyncWish): Promise<SyncReport> {
  const spaces = (await view.statuses()).filter(
    ({ id, state }) => state !== 'not-joined' && (spaceId === undefined || id === spaceId),
  )
  // What a person paused is not waited for, unless it was asked for by name
  const isDone = ({ state }: SpaceStatus): boolean =>
    state === 'in-sync' || (state === 'paused' && spaceId === undefined)
  const unequal = (): readonly string[] =>
    view.sync.peers().flatMap((peer) => (view.sync.inSync(peer) ? [] : [view.nameOf(peer)]))
  const notYet = (busy: readonly string[]): SyncReport =>
    busy.length === 0 ? { isInSync: false, spaces } : { isInSync: false, spaces, busyDevices: busy }
  const isCalm = spaces.every((space) => isDone(space) || space.needsPerson === true)
  if (!isCalm || unequal().length > 0) return notYet(isCalm ? unequal() : [])
  const busyDevices = await view.busyMembers(
    spaces.map(({ id }) => id),
    signal,
  )
  // Once more: what the others did until they answered may have come to be known here
  const left = [...new Set([...busyDevices, ...unequal()])]
  if (left.length > 0) return notYet(left)
  return spaces.every(isDone) ? { isInSync: true, spaces } : { isInSync: false, needsPerson: true, spaces }
}

/** Not by the caller's signal: a listener each time on a long-lived one would pile up, and the wait is short. */
const pause = (env: Env, delayMs: number): Promise<void> =>
  new Promise((resolve) => void env.clock.setTimer(delayMs, resolve))
