/**
 * Who may use the console: launch tokens (one use, a minute) that become sessions of one browser tab. A session has two
 * secrets, and a request needs both: an HttpOnly cookie, which no script of a page can read, and a token that the tab
 * sends as a header. The cookie alone would not do: browsers send it to every port of the host, so another program's
 * page on this machine sees it.
 *
 * Only hashes are held, and compared in constant time. They are kept on disk so that a page survives a crash of the
 * peer; a stop in good order (`skein down`) ends every session and removes them.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { array, bytes, decodeCanonical, encodeCanonical, integer, object, text } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { ConsoleSession } from '../peer/api-console.ts'

/** An admitted session; its signal aborts when it ends. */
export interface OpenSession extends ConsoleSession {
  readonly signal: AbortSignal
}

export interface NewSession {
  readonly id: string
  readonly cookie: string
  readonly tab: string
}

export interface Sessions {
  /** A token good for one redeem within limits.consoleLaunchMs. @param isForOwnUser of this machine, and for no other. */
  launch(isForOwnUser?: boolean): { readonly token: string; readonly expiresAtMs: number }
  /**
   * @param isOwnUser who asks is the user that the peer runs as, or it cannot be told.
   * @returns undefined when the token is wrong, used, too old, or not for this user: then it stays good for the right one.
   */
  redeem(token: string, agent: string, isOwnUser?: boolean): Promise<NewSession | undefined>
  /** @returns the session that both secrets belong to. */
  find(cookie: string, tab: string): OpenSession | undefined
  list(): readonly ConsoleSession[]
  end(id: string): Promise<boolean>
  endAll(): Promise<void>
}

const keepName = 'console.sessions'
const secretBytes = 32
const agentBytes = 200

interface Held {
  readonly id: string
  readonly cookie: Uint8Array
  readonly tab: Uint8Array
  readonly createdAtMs: number
  readonly agent: string
  lastSeenMs: number
  readonly ending: AbortController
}

const kept = array(
  object({
    id: text(32),
    cookie: bytes(32, 32),
    tab: bytes(32, 32),
    createdAtMs: integer(),
    lastSeenMs: integer(),
    agent: text(agentBytes * 4),
  }),
  limits.consoleSessions,
)

export async function createSessions(env: Env, keep: Keep): Promise<Sessions> {
  const launches = createLaunches(env)
  let held = await readKept(env, keep)
  const save = (): Promise<void> => saveHeld(env, keep, held)
  const drop = (gone: readonly Held[]): void => {
    held = held.filter((session) => !gone.includes(session))
    for (const session of gone) session.ending.abort()
  }
  const expire = (): void => {
    const nowMs = env.clock.nowMs()
    drop(held.filter((session) => isOver(session, nowMs)))
  }
  return {
    launch: (isForOwnUser = false) => launches.make(isForOwnUser),
    async redeem(token, agent, isOwnUser = true) {
      if (!launches.take(token, isOwnUser)) return undefined
      expire()
      const [cookie, tab] = [secret(env), secret(env)]
      const atMs = env.clock.nowMs()
      if (held.length >= limits.consoleSessions) {
        const [oldest] = held.toSorted((a, b) => a.lastSeenMs - b.lastSeenMs)
        if (oldest !== undefined) drop([oldest])
      }
      const id = Buffer.from(env.random.bytes(6)).toString('hex')
      held.push({
        id,
        cookie: hash(cookie),
        tab: hash(tab),
        createdAtMs: atMs,
        lastSeenMs: atMs,
        agent: agent.toWellFormed().slice(0, agentBytes),
        ending: new AbortController(),
      })
      await save()
      return { id, cookie, tab }
    },
    find(cookie, tab) {
      expire()
      const [cookieHash, tabHash] = [hash(cookie), hash(tab)]
      let found: Held | undefined
      // Every one is compared in full, both secrets: how long it takes says nothing
      for (const session of held) {
        const isCookie = timingSafeEqual(session.cookie, cookieHash)
        const isTab = timingSafeEqual(session.tab, tabHash)
        if (isCookie && isTab) found = session
      }
      if (found === undefined) return undefined
      found.lastSeenMs = env.clock.nowMs()
      return { ...describe(found), signal: found.ending.signal }
    },
    list() {
      expire()
      return held.map(describe)
    },
    async end(id) {
      const gone = held.filter((session) => session.id === id)
      drop(gone)
      await save()
      return gone.length > 0
    },
    async endAll() {
      drop(held)
      launches.clear()
      await save()
    },
  }
}

async function saveHeld(env: Env, keep: Keep, held: readonly Held[]): Promise<void> {
  try {
    if (held.length === 0) return await keep.remove(keepName)
    const rows = held.map(({ id, cookie, tab, createdAtMs, lastSeenMs, agent }) => ({
      id,
      cookie,
      tab,
      createdAtMs,
      lastSeenMs,
      agent,
    }))
    await keep.write(keepName, encodeCanonical(rows), { secret: true })
  } catch (error) {
    // because: a session that is not kept ends with the process; the person loses a click, not data
    env.log.warn('console sessions not kept', errorFields(error))
  }
}

const hash = (secret: string): Uint8Array => createHash('sha256').update(secret).digest()

const describe = ({ id, createdAtMs, lastSeenMs, agent }: Held): ConsoleSession => ({
  id,
  createdAtMs,
  lastSeenMs,
  agent,
})

const isOver = (session: Held, nowMs: number): boolean =>
  nowMs - session.lastSeenMs > limits.consoleIdleMs || nowMs - session.createdAtMs > limits.consoleSessionMs

const secret = (env: Env): string => Buffer.from(env.random.bytes(secretBytes)).toString('base64url')

interface Launch {
  readonly hash: Uint8Array
  readonly untilMs: number
  readonly isForOwnUser: boolean
}

interface Launches {
  make(isForOwnUser: boolean): { readonly token: string; readonly expiresAtMs: number }
  /** @returns whether it was good; it is not any more. */
  take(token: string, isOwnUser: boolean): boolean
  clear(): void
}

function createLaunches(env: Env): Launches {
  const open: Launch[] = []
  return {
    make(isForOwnUser) {
      const token = secret(env)
      const untilMs = env.clock.monotonicMs() + limits.consoleLaunchMs
      open.push({ hash: hash(token), untilMs, isForOwnUser })
      if (open.length > limits.consoleLaunches) open.shift()
      return { token, expiresAtMs: env.clock.nowMs() + limits.consoleLaunchMs }
    },
    take(token, isOwnUser) {
      const wanted = hash(token)
      let found = -1
      for (const [index, launch] of open.entries()) if (timingSafeEqual(launch.hash, wanted)) found = index
      if (open[found]?.isForOwnUser === true && !isOwnUser) return false
      const [launch] = found < 0 ? [] : open.splice(found, 1)
      return launch !== undefined && launch.untilMs >= env.clock.monotonicMs()
    },
    clear: () => void (open.length = 0),
  }
}

/** What cannot be read costs a new link, nothing else. */
async function readKept(env: Env, keep: Keep): Promise<Held[]> {
  try {
    const value = await keep.read(keepName)
    if (value === undefined || value.byteLength === 0) return []
    const nowMs = env.clock.nowMs()
    return decodeCanonical(value, kept, limits.settingsBytes)
      .map((row) => ({ ...row, ending: new AbortController() }))
      .filter((session) => !isOver(session, nowMs))
  } catch (error) {
    env.log.warn('console sessions not read', errorFields(error))
    return []
  }
}
