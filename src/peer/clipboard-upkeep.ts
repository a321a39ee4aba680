/**
 * What the clipboard needs beside copies: small blobs fetched as soon as their item is seen, items that have grown old or
 * fallen out of the bounds deleted, blobs that no item names any more removed, and keys asked for.
 */
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { ClipboardAges } from '../crdt/clipboard-ages.ts'
import type { Clipboard, ClipboardEntry } from '../crdt/clipboard.ts'
import type { ClipboardBlobs } from './clipboard-blobs.ts'
import type { ClipboardContents } from './clipboard-contents.ts'
import type { PastedFiles } from './clipboard-files.ts'

export interface UpkeepParts {
  readonly self: DeviceId
  readonly clipboard: Clipboard
  readonly contents: ClipboardContents
  readonly blobs: ClipboardBlobs
  readonly pasted: PastedFiles
  readonly ages: ClipboardAges
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
  /** An item came whose key is not here. */
  readonly askForKeys: () => void
}

/** A burst is one sweep. */
const sweepSoonMs = 500
const sweepEveryMs = 3_600_000
/** Surplus that is let stand: deleting one with each copy would double what a copy writes. */
const surplusMax = 64

export function startClipboardUpkeep(env: Env, scope: Scope, parts: UpkeepParts): void {
  const { clipboard } = parts
  const fetcher = createFetcher(env, scope, parts)
  let soon: Disposable | undefined
  const sweep = async (): Promise<void> => {
    try {
      await parts.inTurn(() => sweepNow(parts))
    } catch (error) {
      // because: a store or disk that fails says so itself; the next sweep does what is left
      env.log.info('clipboard not swept', errorFields(error))
    }
  }
  const sweepSoon = (): void => {
    soon ??= env.clock.setTimer(sweepSoonMs, () => {
      soon = undefined
      scope.spawn('sweep clipboard', sweep)
    })
  }
  scope.defer(() => soon?.[Symbol.dispose]())
  scope.own(
    clipboard.on('changed', ({ added, removed, isFirst }) => {
      if (added.some((entry) => entry.unreadable === 'no-key')) parts.askForKeys()
      if (!isFirst) fetcher.want(added)
      if (added.length > 0 || removed.length > 0) sweepSoon()
      if (removed.length > 0) scope.spawn('forget pasted files', () => forgetPasted(parts, removed))
    }),
  )
  scope.own(
    clipboard.on('invalid', ({ shard, count }) =>
      env.log.warn('the clipboard holds what is no item', { document: shard, count }),
    ),
  )
  scope.spawn('keep the clipboard', async (signal) => {
    await clipboard.ready
    for (;;) {
      await sweep()
      await sleep(env.clock, sweepEveryMs, signal)
    }
  })
}

async function forgetPasted(
  { pasted, clipboard }: UpkeepParts,
  removed: readonly ClipboardEntry[],
): Promise<void> {
  for (const { id } of removed)
    if (!clipboard.entries.some((entry) => entry.id === id)) await pasted.forget(id)
}

async function sweepNow({ clipboard, ages, blobs }: UpkeepParts): Promise<void> {
  await clipboard.ready
  await ages.look()
  const { entries } = clipboard
  await ages.keep(new Set(entries.map((entry) => entry.id)))
  const old = entries.filter(
    (entry) => !clipboard.isPinned(entry.id) && ages.daysOf(entry.id) > limits.clipboardDays,
  )
  if (old.length > 0) await clipboard.remove(old.map((entry) => entry.id))
  if (clipboard.surplusCount > surplusMax) await clipboard.prune()
  // While a key is missing nobody knows what its items name
  if (clipboard.entries.some((entry) => entry.unreadable === 'no-key')) return
  await blobs.keepOnly(new Set(clipboard.entries.flatMap((entry) => entry.summary?.blobs ?? [])))
}

interface Fetcher {
  want(entries: readonly ClipboardEntry[]): void
}

/** Newest first, one after the other; what cannot be had now is fetched when somebody asks. */
function createFetcher(env: Env, scope: Scope, { self, clipboard, contents }: UpkeepParts): Fetcher {
  const waiting: ClipboardEntry[] = []
  let isFetching = false
  const fetchOne = async ({ id, device }: ClipboardEntry, signal: AbortSignal): Promise<void> => {
    try {
      const payload = await clipboard.read(id)
      await contents.fetch({ entry: { id, device }, payload }, limits.clipboardEagerBytes, signal)
    } catch (error) {
      if (signal.aborted) throw error
      if (!hasCode(error, 'not.found', 'blob.missing'))
        env.log.info('clipboard content not fetched', errorFields(error))
    }
  }
  return {
    want(entries) {
      for (const entry of entries) {
        const isWanted = entry.device !== self && (entry.summary?.blobs.length ?? 0) > 0
        if (isWanted) waiting.push(entry)
      }
      if (waiting.length > limits.clipboardFetches)
        waiting.splice(0, waiting.length - limits.clipboardFetches)
      if (isFetching || waiting.length === 0) return
      isFetching = true
      scope.spawn('fetch clipboard contents', async (signal) => {
        try {
          for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
            await fetchOne(next, signal)
        } finally {
          isFetching = false
        }
      })
    },
  }
}
