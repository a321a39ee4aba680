/**
 * The clipboard of an X display (the selection CLIPBOARD; what is merely marked with the mouse is left alone). XFIXES
 * tells of every change, so nothing is polled. A display that goes away is tried again until it is back, and gets the
 * last offer again unless somebody copied something there in the meantime.
 */
import { sleep, untilAborted } from '../../base/clock.ts'
import { backoffMs } from '../../base/backoff.ts'
import type { Env } from '../../base/env.ts'
import { asSkeinError, SkeinError } from '../../base/errors.ts'
import { createEmitter, type Emitter } from '../../base/events.ts'
import { limits } from '../../base/limits.ts'
import { errorFields } from '../../base/log.ts'
import { createScope, type Scope } from '../../base/scope.ts'
import type { ClipboardState, Copy, DesktopClipboard, OfferedFormat } from './port.ts'
import { connectDisplay, type XConnection, type XHappening } from './x11-connection.ts'
import { findCookie, type DisplayPlace } from './x11-display.ts'
import { atomNames } from './x11-formats.ts'
import { createXOwner, type XOwner } from './x11-owner.ts'
import { readCopy } from './x11-reader.ts'

export interface X11ClipboardOptions {
  readonly place: DisplayPlace
  /** For the cookie: HOME, XAUTHORITY. */
  readonly variables: Readonly<Record<string, string | undefined>>
}

interface ClipboardEvents {
  copied: Copy
  changed: ClipboardState
}

/** The offer that should stand; replaced as a whole, so that its identity says whether it still is the one. */
interface Standing {
  readonly formats: readonly OfferedFormat[]
}

/** What lasts over reconnections. */
interface Desk {
  readonly emitter: Emitter<ClipboardEvents>
  standing: Standing | undefined
  session: Session | undefined
}

interface Session {
  readonly owner: XOwner
  readonly connection: XConnection
}

export function createX11Clipboard(env: Env, options: X11ClipboardOptions): DesktopClipboard {
  const scope = createScope(env, 'x11 clipboard')
  const emitter = createEmitter<ClipboardEvents>(env.log)
  const desk: Desk = { emitter, standing: undefined, session: undefined }
  let state: ClipboardState = away(options.place, new SkeinError('peer.gone', 'not connected yet'))
  const setState = (next: ClipboardState): void => {
    const isNews = next.kind !== state.kind
    state = next
    if (isNews) emitter.emit('changed', next)
  }
  scope.spawn('display', async (signal) => {
    for (let attempt = 0, isFirst = true; ; attempt++, isFirst = false) {
      const startMs = env.clock.monotonicMs()
      try {
        await followDisplay(env, scope, {
          ...options,
          desk,
          signal,
          isFirst,
          onReady: () => setState({ kind: 'ready' }),
        })
      } catch (error) {
        if (signal.aborted) throw error
        env.log[state.kind === 'ready' ? 'info' : 'debug']('the display is away', errorFields(error))
        setState(away(options.place, asSkeinError(error)))
      }
      if (env.clock.monotonicMs() - startMs > limits.displayRetryMaxMs) attempt = 0
      const pauses = { firstMs: limits.displayRetryMs, maxMs: limits.displayRetryMaxMs }
      await sleep(env.clock, backoffMs(attempt, pauses, env.random), signal)
    }
  })
  return {
    name: 'x11',
    get state() {
      return state
    },
    onState: (listener) => emitter.on('changed', listener),
    onCopy: (listener) => emitter.on('copied', listener),
    async offer(formats) {
      if (scope.signal.aborted) throw new SkeinError('cancelled', 'the clipboard was closed')
      desk.standing = { formats }
      await takeClipboard(env, desk)
    },
    withdraw() {
      desk.standing = undefined
      desk.session?.owner.release()
      return Promise.resolve()
    },
    async [Symbol.asyncDispose]() {
      desk.session?.owner.release()
      await scope.close()
    },
  }
}

interface FollowOptions extends X11ClipboardOptions {
  readonly desk: Desk
  readonly signal: AbortSignal
  readonly isFirst: boolean
  readonly onReady: () => void
}

/** One connection from its beginning to its end. @throws why it ended. */
async function followDisplay(env: Env, parent: Scope, options: FollowOptions): Promise<never> {
  const { desk, place, signal } = options
  const cookie = await findCookie(options.variables, place)
  const connection = await connectDisplay(env, { place, cookie, atomNames, signal })
  await using scope = parent.child('display')
  scope.defer(() => {
    desk.session = undefined
    connection.fail(new SkeinError('cancelled', 'closed'))
  })
  const owner = createXOwner(env, scope, connection)
  const look = createLook(env, scope, { connection, emitter: desk.emitter })
  connection.listen((event) => {
    if (event.kind !== 'owner') return
    if (event.owner !== connection.window && (event.owner !== 0 || event.isEnd)) {
      owner.lose()
      if (event.owner !== 0) desk.standing = undefined
    }
    look(event, event.owner === connection.window)
  })
  const current = await connection.readOwner()
  desk.session = { owner, connection }
  options.onReady()
  if (current === 0) await takeClipboard(env, desk)
  else if (!options.isFirst) {
    // Copied while we were away
    desk.standing = undefined
    look({ kind: 'owner', owner: current, timeMs: await connection.readTime(), isEnd: false }, false)
  }
  throw await untilAborted(connection.closed, signal)
}

/** Makes the standing offer the content of the clipboard, if the display is there and nobody copied in between. */
async function takeClipboard(env: Env, desk: Desk): Promise<void> {
  const { standing, session } = desk
  if (standing === undefined || session === undefined) return
  try {
    const isTaken = await session.owner.take(standing.formats, () => desk.standing === standing)
    if (!isTaken && desk.standing === standing) desk.standing = undefined
  } catch (error) {
    // The display went away: it gets the offer when it is back
    env.log.debug('the clipboard was not taken', errorFields(error))
  }
}

interface LookParts {
  readonly connection: XConnection
  readonly emitter: Emitter<ClipboardEvents>
}

type OwnerChange = Extract<XHappening, { kind: 'owner' }>

/** @returns what is called with every change of the owner: each one makes what is being read from the former void. */
function createLook(env: Env, scope: Scope, parts: LookParts): (change: OwnerChange, isOwn: boolean) => void {
  let current: { readonly giveUp: AbortController; readonly ended: AbortController } | undefined
  scope.defer(() => current?.giveUp.abort(new SkeinError('cancelled', 'closed')))
  return (change, isOwn) => {
    if (change.isEnd) return current?.ended.abort()
    current?.giveUp.abort(new SkeinError('cancelled', 'somebody copied something else'))
    current = undefined
    if (isOwn || change.owner === 0) return
    const reading = { giveUp: new AbortController(), ended: new AbortController() }
    current = reading
    scope.spawn('read a copy', async () => {
      const { signal } = reading.giveUp
      try {
        const options = { timeMs: change.timeMs, signal, ended: reading.ended.signal }
        const copy = await readCopy(env, parts.connection, options)
        if (copy !== undefined && !signal.aborted) parts.emitter.emit('copied', copy)
      } catch (error) {
        if (!signal.aborted) env.log.debug('a copy could not be read', errorFields(error))
      } finally {
        if (current === reading) current = undefined
      }
    })
  }
}

function away(place: DisplayPlace, error: SkeinError): ClipboardState {
  const fix =
    error.code === 'auth.denied'
      ? 'start Skein as the person who is logged in, with DISPLAY and XAUTHORITY of the desktop'
      : `start the display ${place.name}, or log in to the desktop`
  return { kind: 'away', reason: error.message, fix }
}
