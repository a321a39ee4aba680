/** `skein sync`: waits until every document is equal with every connected device by digest, and every folder is done. */
import { withDeadline } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import type { SpaceId } from '../base/ids.ts'
import type { Sync } from '../crdt/sync.ts'
import type { SpaceStatus, SyncReport } from './api.ts'

export interface SyncView {
  readonly sync: Sync
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

/** @throws the signal's reason. */
export async function waitForSync(env: Env, view: SyncView, wish: SyncWish): Promise<SyncReport> {
  const look = async (): Promise<SyncReport> => {
    const spaces = (await view.statuses()).filter(
      ({ id, state }) => state !== 'not-joined' && (wish.spaceId === undefined || id === wish.spaceId),
    )
    const areEqual = view.sync.peers().every((peer) => view.sync.inSync(peer))
    return { isInSync: areEqual && spaces.every((space) => space.state === 'in-sync'), spaces }
  }
  const wait = async (signal: AbortSignal): Promise<SyncReport> => {
    for (;;) {
      const report = await look()
      if (report.isInSync || signal.aborted) return report
      await new Promise<void>((done) => void env.clock.setTimer(pollMs, done))
    }
  }
  if (wish.timeoutMs === undefined) return await wait(wish.signal)
  try {
    return await withDeadline(
      env.clock,
      { timeoutMs: wish.timeoutMs, what: 'sync', signal: wish.signal },
      wait,
    )
  } catch (error) {
    if (hasCode(error, 'deadline.exceeded')) return await look()
    throw error
  }
}
