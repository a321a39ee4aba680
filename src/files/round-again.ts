/**
 * What a round asks to look at again. A folder must never go round for ever, whatever fault or odd disk made it: where the very
 * same things were planned time and again, what the round itself asks for waits longer each time, and the person is told. What
 * disk, document and other devices tell comes in by the inbox as ever: no change waits for this.
 */
import type { Clock } from '../base/clock.ts'
import type { Inbox } from './folder-inbox.ts'
import type { FolderOptions } from './folder-options.ts'
import type { PassResult } from './folder-pass.ts'
import type { Later } from './later.ts'
import type { Problems } from './problems.ts'

export interface RoundAgain extends Disposable {
  take(result: Pick<PassResult, 'again' | 'news' | 'made' | 'later' | 'plan'>): void
  /** Directories that wait to be looked at again. */
  readonly waiting: number
}

export interface RoundAgainPlace {
  readonly inbox: Pick<Inbox, 'add' | 'addFound'>
  readonly later: Pick<Later, 'once'>
  readonly problems: Pick<Problems, 'set'>
}

/** The same plan so often is no progress: the longest chain of looks that lead somewhere repeats none. */
const triesMax = 8
const firstWaitMs = 10
const longestWaitMs = 60_000
/** Of rounds that found nothing to do: a file may be written all the while, and the folder is in sync soon after. */
const longestLookMs = 1_000
/** From so long a wait on a person is told. */
const toldFromMs = 5_000
/** Of a round that does nothing: enough to tell it from others. */
const idsMax = 64
/** Plans that are remembered: a ring of rounds is short. */
const plansMax = 16
const forgottenAfterMs = 600_000

/** What stood in the way of something may be gone when the grace for vanished places is over. */
export function createRoundAgain(
  clock: Clock,
  place: RoundAgainPlace,
  { deleteGraceMs }: Pick<Required<FolderOptions>, 'deleteGraceMs'>,
): RoundAgain {
  const { inbox, later, problems } = place
  const triesOf = createTries(clock)
  const waits = createWaits(clock, (ids) => inbox.add(ids))
  return {
    take({ plan, ...found }) {
      const ids = [...found.again, ...found.news, ...found.made, ...found.later]
      const isLookOnly = plan.text === ''
      const tries = triesOf(isLookOnly ? ids.slice(0, idsMax).join(' ') : plan.text)
      if (tries <= triesMax) {
        inbox.addFound(found)
        if (found.later.length > 0) later.once(deleteGraceMs, () => inbox.add(found.later))
        return
      }
      if (ids.length === 0) return
      const mostMs = isLookOnly ? longestLookMs : longestWaitMs
      const backoffMs = Math.min(mostMs, firstWaitMs * 2 ** Math.min(tries - triesMax, 30))
      const waitMs = found.later.length > 0 ? Math.max(backoffMs, deleteGraceMs) : backoffMs
      waits.add(ids, waitMs)
      if (waitMs < toldFromMs || plan.path === undefined) return
      problems.set(plan.path, {
        cause: 'what is to be done here was tried again and again, and changed nothing',
        fix: 'rename or move it, or what stands in its place; it is tried again once a minute',
      })
    },
    get waiting() {
      return waits.count
    },
    [Symbol.dispose]: () => waits[Symbol.dispose](),
  }
}

interface Waits extends Disposable {
  /** An id that waits already waits no longer than it did. */
  add(ids: readonly string[], waitMs: number): void
  readonly count: number
}

function createWaits(clock: Clock, onDue: (ids: readonly string[]) => void): Waits {
  const dueAtMs = new Map<string, number>()
  let timer: Disposable | undefined
  const arm = (): void => {
    timer?.[Symbol.dispose]()
    timer = undefined
    let earliestMs = Number.POSITIVE_INFINITY
    for (const atMs of dueAtMs.values()) earliestMs = Math.min(earliestMs, atMs)
    if (dueAtMs.size > 0) timer = clock.setTimer(Math.max(0, earliestMs - clock.monotonicMs()), fire)
  }
  const fire = (): void => {
    const nowMs = clock.monotonicMs()
    const due = [...dueAtMs].filter(([, atMs]) => atMs <= nowMs).map(([id]) => id)
    for (const id of due) dueAtMs.delete(id)
    arm()
    onDue(due)
  }
  return {
    add(ids, waitMs) {
      const atMs = clock.monotonicMs() + waitMs
      for (const id of ids) dueAtMs.set(id, Math.min(atMs, dueAtMs.get(id) ?? atMs))
      arm()
    },
    get count() {
      return dueAtMs.size
    },
    [Symbol.dispose]: () => timer?.[Symbol.dispose](),
  }
}

/** @returns how often this plan was made lately. */
function createTries({ monotonicMs }: Pick<Clock, 'monotonicMs'>): (text: string) => number {
  const plans = new Map<string, { tries: number; atMs: number }>()
  return (text) => {
    if (text === '') return 0
    const nowMs = monotonicMs()
    const known = plans.get(text)
    const isFresh = known !== undefined && nowMs - known.atMs < forgottenAfterMs
    const tries = isFresh ? known.tries + 1 : 1
    plans.delete(text)
    plans.set(text, { tries, atMs: nowMs })
    for (const oldest of plans.keys()) {
      if (plans.size <= plansMax) break
      plans.delete(oldest)
    }
    return tries
  }
}
