/** What waits for the next round of a folder: dirty directories, contents that arrived, or everything. */
import type { Applier } from './apply.ts'
import type { Directories } from './directories.ts'
import { joinPath } from './filesystem.ts'
import type { PassResult } from './folder-pass.ts'
import type { ReadyPlace, TransferEvents } from './transfers.ts'
import type { WatchHints } from './watch.ts'

export interface Inbox {
  add(ids: readonly string[]): void
  /** A directory on the disk. One that has no rows yet may get them in the round under way: then it is looked at in the next. */
  addPath(path: string): void
  /** News of others: taken some at a time, so that contents are placed while more of them come in. */
  addNews(ids: readonly string[]): void
  /** As addNews, for what need not wait for more of its kind. */
  addUrgent(ids: readonly string[]): void
  /** What a round led to. */
  addFound(found: Pick<PassResult, 'again' | 'news' | 'made'>): void
  addAll(): void
  /** The disk may be another one anywhere; the document has told all that it had to. */
  addDisk(): void
  addReady(places: readonly ReadyPlace[]): void
  /** Wakes the loop without work, so that it sees a changed state. */
  poke(this: void): void
  take(): {
    readonly dirty: ReadonlySet<string>
    readonly all: boolean
    readonly disk: boolean
    readonly ready: readonly ReadyPlace[]
  }
  /** @param onlyPoke work alone does not wake it: the folder is paused. */
  wait(this: void, signal: AbortSignal, onlyPoke: boolean): Promise<void>
  readonly hasWork: boolean
  /** Something in it need not wait. */
  readonly isUrgent: boolean
}

/** Directories of one round, beside those that changed on the disk: a rename on the disk is seen only with both its ends. */
const newsAtOnce = 32
/** The same of directories that are not on this disk: there is little to do about them, mostly they come with their parents. */
const farNewsAtOnce = 1_024

type Places = Pick<Directories, 'idOf' | 'nearestOf' | 'pathOf'>

export function createInbox({ idOf, nearestOf, pathOf }: Places): Inbox {
  let dirty = new Set<string>()
  const news = new Set<string>()
  const early = new Set<string>()
  let ready: ReadyPlace[] = []
  let all = false
  let disk = false
  let urgent = false
  const hasWork = (): boolean => all || disk || dirty.size + news.size + ready.length > 0
  const { wake, poke, wait } = createBell(hasWork)
  const put = (into: Set<string>, ids: readonly string[]): void => {
    for (const id of ids) into.add(id)
    if (ids.length > 0) wake()
  }
  const inbox: Inbox = {
    add: (ids) => put(dirty, ids),
    addPath(path) {
      if (idOf(path) === undefined) early.add(path)
      dirty.add(nearestOf(path))
      wake()
    },
    addNews: (ids) => put(news, ids),
    addUrgent(ids) {
      urgent ||= ids.length > 0
      put(news, ids)
    },
    addFound({ again, news: found, made }) {
      inbox.add(again)
      inbox.addNews(found)
      inbox.addUrgent(made)
    },
    addAll() {
      all = true
      wake()
    },
    addDisk() {
      disk = true
      wake()
    },
    addReady(places) {
      ready.push(...places)
      urgent = true
      wake()
    },
    poke,
    take() {
      for (const path of early) dirty.add(nearestOf(path))
      early.clear()
      for (const id of all ? news : nextNews(news, pathOf)) {
        dirty.add(id)
        news.delete(id)
      }
      const work = { dirty, all, disk, ready }
      dirty = new Set()
      ready = []
      all = false
      disk = false
      urgent = news.size > 0
      return work
    },
    wait,
    get hasWork() {
      return hasWork()
    },
    get isUrgent() {
      return urgent
    },
  }
  return inbox
}

function* nextNews(news: ReadonlySet<string>, pathOf: Places['pathOf']): Generator<string> {
  let [left, farLeft] = [newsAtOnce, farNewsAtOnce]
  for (const id of news) {
    if ((pathOf(id) === undefined ? farLeft-- : left--) === 0) return
    yield id
  }
}

/** Wakes the one who waits for work. */
function createBell(hasWork: () => boolean): Pick<Inbox, 'poke' | 'wait'> & { wake(this: void): void } {
  let poked = false
  let woken = Promise.withResolvers<void>()
  const wake = (): void => woken.resolve()
  return {
    wake,
    poke() {
      poked = true
      wake()
    },
    async wait(signal, onlyPoke) {
      if (hasWork() && !poked && !onlyPoke) return
      const onAbort = (): void => wake()
      signal.addEventListener('abort', onAbort, { once: true })
      while (!signal.aborted && !poked) {
        await woken.promise
        woken = Promise.withResolvers()
        if (hasWork() && !onlyPoke) break
      }
      signal.removeEventListener('abort', onAbort)
      signal.throwIfAborted()
      poked = false
    },
  }
}

/** The disk speaks up: an event of what was placed here a moment ago says nothing new. */
export function hintsFor(inbox: Inbox, applier: Pick<Applier, 'isEcho' | 'wasPlaced'>): WatchHints {
  const look = async (path: string, name: string): Promise<void> => {
    if (!(await applier.isEcho(joinPath(path, name)))) inbox.addPath(path)
  }
  return {
    onDirty: (path, name) => (name === undefined ? inbox.addPath(path) : void look(path, name)),
    onSuspectAll: () => inbox.addDisk(),
    isLikelyOwn: (path, name) => applier.wasPlaced(joinPath(path, name)),
  }
}

/** What was fetched, and what could not be. */
export const arrivalsFor = (inbox: Inbox): TransferEvents => ({
  onReady: (places) => inbox.addReady(places),
  // It may not be wanted any more
  onFailed: (places) => inbox.add(places.map(({ parentId }) => parentId)),
})
