/** The clipboard of this device: its documents, keys, contents, desktop and verbs, wired to each other. */
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Scope } from '../base/scope.ts'
import type { BlobExchange } from '../blobs/exchange.ts'
import { openClipboardAges } from '../crdt/clipboard-ages.ts'
import type { Clipboard } from '../crdt/clipboard.ts'
import { openClipboard } from '../crdt/clipboard.ts'
import type { DesktopClipboard } from '../media/clipboard/port.ts'
import type { ClipState } from './api-clipboard.ts'
import { may } from './auth/access.ts'
import { openClipboardKeys } from './auth/clipboard-keys.ts'
import type { Identity } from './auth/keys.ts'
import type { Roster } from './auth/roster.ts'
import { openClipboardBlobs } from './clipboard-blobs.ts'
import { createClipboardContents } from './clipboard-contents.ts'
import type { ClipboardDesk } from './clipboard-desk.ts'
import { startClipboardDesk } from './clipboard-desk.ts'
import { createPastedFiles } from './clipboard-files.ts'
import { startClipboardKeySync } from './clipboard-key-sync.ts'
import type { ClipboardPause } from './clipboard-pause.ts'
import { openClipboardPause } from './clipboard-pause.ts'
import { startClipboardUpkeep } from './clipboard-upkeep.ts'
import { createClipboardUploads } from './clipboard-uploads.ts'
import type { ClipboardVerbs } from './clipboard-verbs.ts'
import { createClipboardVerbs } from './clipboard-verbs.ts'
import type { Documents } from './documents.ts'
import type { EventBus } from './event-bus.ts'
import type { Home } from './home.ts'
import type { Mesh } from './mesh.ts'

export interface ClipboardParts {
  readonly home: Pick<Home, 'keep' | 'dataDirectory'>
  readonly documents: Pick<Documents, 'host'>
  readonly exchange: BlobExchange
  readonly identity: Identity
  readonly roster: Roster
  readonly mesh: Pick<Mesh, 'keeper' | 'methods'>
  readonly bus: EventBus
  /** Undefined: this desktop takes no part. */
  readonly openDesktop: (() => DesktopClipboard) | undefined
}

export interface ClipboardService {
  readonly verbs: ClipboardVerbs
  state(): ClipState
}

/** @throws `store.*`, `disk.*`. */
export async function openClipboardService(
  outer: Env,
  scope: Scope,
  parts: ClipboardParts,
): Promise<ClipboardService> {
  const env = withLogScope(outer, 'clipboard')
  const { home, roster, identity, documents, exchange, mesh } = parts
  const self = identity.deviceId
  const mayRead = (device: DeviceId): boolean => may(roster.state, device, 'clipboard.read').allowed
  const keys = await openClipboardKeys(env, home.keep, identity, () => roster.state)
  const blobs = await openClipboardBlobs(env, scope, {
    directory: await home.dataDirectory('clipboard'),
    exchange,
    mayRead,
  })
  const pasted = createPastedFiles(await home.dataDirectory('pasted'))
  await pasted.clear()
  scope.defer(() => pasted.clear())
  const ages = await openClipboardAges(env, documents.host.store)
  const clipboard = scope.own(openClipboard(env, documents.host, { device: self, sealer: keys }))
  const pause = scope.own(await openClipboardPause(env, home.keep))
  const keySync = startClipboardKeySync(env, scope, {
    self,
    keys,
    roster,
    mesh,
    onNew: () => clipboard.tryAgain(),
  })
  const contents = createClipboardContents(env, { self, blobs, pasted })
  const inTurn = createTurns()
  const shared = { self, clipboard, contents, blobs, pasted, ages, pause, inTurn }
  startClipboardUpkeep(env, scope, { ...shared, askForKeys: () => keySync.ask() })
  tellOfItems(scope, clipboard, parts.bus)
  const state = (): ClipState => describeState({ desk, pause, clipboard, heldBytes: blobs.heldBytes, parts })
  let desk: ClipboardDesk | undefined
  const onState = (): void => {
    if (desk !== undefined) parts.bus.publish('clipboard.state', { state: state().state })
  }
  desk = startClipboardDesk(env, scope, { ...shared, openDesktop: parts.openDesktop, onState })
  const uploads = scope.own(createClipboardUploads(env))
  return { verbs: createClipboardVerbs({ ...shared, uploads, roster, state }), state }
}

/** One work after the other; a failed one does not stop the next. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const turn = last.then(work, work)
    last = turn.catch(() => undefined) // because: the one who asked for it is told
    return turn
  }
}

function tellOfItems(scope: Scope, clipboard: Clipboard, bus: EventBus): void {
  let lastId: string | undefined
  scope.own(
    clipboard.on('changed', ({ isFirst }) => {
      const [newest] = clipboard.entries
      if (newest?.id === lastId) return
      lastId = newest?.id
      if (isFirst || newest === undefined) return
      bus.publish('clipboard.changed', {
        deviceId: newest.device,
        sizeBytes: newest.summary?.sizeBytes ?? 0,
      })
    }),
  )
}

interface StateView {
  readonly desk: ClipboardDesk | undefined
  readonly pause: ClipboardPause
  readonly clipboard: Clipboard
  readonly heldBytes: number
  readonly parts: ClipboardParts
}

function describeState({ desk, pause, clipboard, heldBytes, parts }: StateView): ClipState {
  const base = { desktop: desk?.desktop ?? 'none', itemCount: clipboard.entries.length, heldBytes }
  if (parts.openDesktop === undefined) return { ...base, desktop: 'none', state: 'off' }
  if (pause.isPaused) {
    const { untilMs } = pause
    return { ...base, state: 'paused', ...(untilMs !== undefined && { pausedUntilMs: untilMs }) }
  }
  const state = desk?.state
  if (state?.kind === 'away') return { ...base, state: 'away', reason: state.reason, fix: state.fix }
  return { ...base, state: 'ready' }
}
