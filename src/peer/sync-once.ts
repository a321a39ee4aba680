/**
 * One round of sync for a space that is not kept in sync here: opens its folder, waits until this device and all in reach
 * are done, and closes it again. A pull sends nothing, a push changes nothing on this disk.
 */
import type { Env } from '../base/env.ts'
import { sleep } from '../base/clock.ts'
import { SkeinError } from '../base/errors.ts'
import type { SpaceSetting } from '../crdt/settings.ts'
import type { PartRules } from '../files/folder-part.ts'
import type { SyncOnceParams } from './api-part.ts'
import type { SyncReport } from './api-spaces.ts'
import type { Shelf } from './space-shelf.ts'
import type { SyncView } from './sync-wait.ts'
import { followSync } from './sync-wait.ts'

export interface SyncOnceParts {
  readonly shelf: Shelf
  readonly view: SyncView
  /** Checks and makes a directory for a space. */
  readonly place: (directory: string) => Promise<string>
}

/** Another device must be in reach: there is nothing to sync with otherwise. */
const reachMs = 5_000
const lookAgainMs = 50

/** @throws `usage`, `peer.gone`, the signal's reason. */
export async function* syncOnce(
  env: Env,
  { shelf, view, place }: SyncOnceParts,
  space: SpaceSetting,
  wish: Omit<SyncOnceParams, 'space'> & { readonly signal: AbortSignal },
): AsyncGenerator<SyncReport> {
  const { directory, direction, timeoutMs, signal } = wish
  await reach(env, view, signal)
  await ensurePlaced({ shelf, place }, space, directory)
  const held = shelf.joined.get(space.id)
  if (held === undefined) throw new SkeinError('not.found', `${space.name} could not be opened here`)
  const stored = { ...held.rules, isReadOnly: held.rules.isReadOnly || !held.mayWrite }
  await using open = await shelf.openOnce(space.id, rulesFor(stored, direction))
  void open
  yield* followSync(env, view, { spaceId: space.id, timeoutMs, signal })
}

function rulesFor(stored: PartRules, direction: SyncOnceParams['direction']): PartRules {
  if (direction === 'pull') return { ...stored, isReadOnly: true }
  if (direction === undefined) return stored
  if (!stored.isReadOnly) return { ...stored, isSendOnly: true }
  throw new SkeinError('usage', 'this device only receives that space', {
    fix: 'skein role SPACE --full first',
  })
}

async function ensurePlaced(
  { shelf, place }: Pick<SyncOnceParts, 'shelf' | 'place'>,
  { id, name }: SpaceSetting,
  directory: string | undefined,
): Promise<void> {
  const held = shelf.joined.get(id) ?? shelf.broken.get(id)
  if (held === undefined) {
    if (directory === undefined)
      throw new SkeinError('usage', `say where ${name} is to lie on this device`, {
        fix: `skein pull ${name} DIR, or skein push ${name} DIR`,
      })
    await shelf.add(id, await place(directory), { isPaused: true })
  } else if (directory !== undefined && held.directory !== directory) {
    throw new SkeinError('usage', `${name} lies in ${held.directory} on this device`, {
      fix: 'leave the directory out, or skein unshare it first',
    })
  }
}

async function reach(env: Env, { sync }: SyncView, signal: AbortSignal): Promise<void> {
  const untilMs = env.clock.monotonicMs() + reachMs
  while (sync.peers().length === 0) {
    if (env.clock.monotonicMs() >= untilMs)
      throw new SkeinError('peer.gone', 'no other device is in reach', { fix: 'skein devices shows them' })
    await sleep(env.clock, lookAgainMs, signal)
  }
}
