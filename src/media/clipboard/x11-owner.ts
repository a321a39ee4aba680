/**
 * Hands what is offered to the programs that paste (ICCCM 2.2 and 2.7.2): all formats at once, contents read when they
 * are asked for, long ones in parts (INCR), to many programs at a time. One that dies or stops reading costs nothing
 * but its own paste.
 */
import type { XProperty } from 'x11'
import { withDeadline } from '../../base/clock.ts'
import type { Env } from '../../base/env.ts'
import { limits } from '../../base/limits.ts'
import { errorFields } from '../../base/log.ts'
import type { Scope } from '../../base/scope.ts'
import type { OfferedFormat } from './port.ts'
import type { XConnection, XRequest } from './x11-connection.ts'
import { encodeTarget, latinTarget, originTarget, targetsOf } from './x11-formats.ts'
import { createParts, type Parts } from './x11-parts.ts'

export interface XOwner {
  /**
   * Takes the clipboard.
   * @param isWanted asked when it would be taken; until then it may have been taken back.
   * @returns false when it was not wanted any more, or another program took it later.
   */
  take(formats: readonly OfferedFormat[], isWanted: () => boolean): Promise<boolean>
  /** Gives the clipboard back if it is still ours. */
  release(): void
  /** Another program has it now. Pastes in progress go on. */
  lose(): void
}

interface Offer {
  /** When we took the clipboard, by the server's clock. */
  readonly timeMs: number
  /** By target. */
  readonly formats: ReadonlyMap<string, OfferedFormat>
  /** Contents being read or on their way: however many programs paste one, it is held once. */
  readonly reads: Map<OfferedFormat, SharedContent>
}

const sharedTargets = ['TARGETS', 'TIMESTAMP', 'MULTIPLE', 'SAVE_TARGETS', originTarget] as const
const textTargets: ReadonlySet<string> = new Set(['UTF8_STRING', 'TEXT'])
const pairsMax = 64

/** @param scope of this connection. */
export function createXOwner(env: Env, scope: Scope, connection: XConnection): XOwner {
  let offer: Offer | undefined
  let pastes = 0
  const parts = createParts(env, connection)
  const answer = async (request: XRequest, current: Offer, signal: AbortSignal): Promise<void> => {
    // Old programs name no property and mean the target
    const property = request.property === 0 ? request.target : request.property
    const paste: Paste = { env, connection, scope, parts, offer: current, signal }
    const isMultiple = request.target === connection.atoms.get('MULTIPLE')
    const { requestor, target } = request
    const isDone = isMultiple
      ? await convertAll(paste, requestor, property)
      : await convert(paste, { requestor, target, property })
    connection.answer(request, isDone ? property : 0)
  }
  const onRequest = (request: XRequest): void => {
    if (request.owner !== connection.window || connection.isOwn(request.requestor)) return
    const current = offer
    const isFull = pastes + parts.count >= limits.desktopPastes
    const isRefused = current === undefined || isBefore(request.timeMs, current.timeMs) || isFull
    if (isRefused) return connection.answer(request, 0)
    pastes++
    scope.spawn('paste', async (signal) => {
      try {
        await answer(request, current, signal)
      } catch (error) {
        env.log.debug('a paste got nothing', errorFields(error))
        connection.answer(request, 0)
      } finally {
        pastes--
      }
    })
  }
  connection.listen((event) => {
    if (event.kind === 'request') onRequest(event)
    else parts.observe(event)
  })
  return {
    async take(formats, isWanted) {
      const timeMs = await connection.readTime()
      if (!isWanted()) return false
      const taken: Offer = { timeMs, formats: byTarget(connection, formats), reads: new Map() }
      offer = taken
      connection.setOwner(connection.window, timeMs)
      if ((await connection.readOwner()) === connection.window) return true
      if (offer === taken) offer = undefined
      return false
    },
    release() {
      if (offer !== undefined) connection.setOwner(0, offer.timeMs)
      offer = undefined
    },
    lose: () => void (offer = undefined),
  }
}

/** One request and what is needed to answer it. */
interface Paste {
  readonly env: Env
  readonly connection: XConnection
  readonly scope: Scope
  readonly parts: Parts
  readonly offer: Offer
  readonly signal: AbortSignal
}

interface Place {
  readonly requestor: number
  readonly target: number
  readonly property: number
}

/** Writes one target where it is wanted, or begins to. @returns false for what is not offered. */
async function convert(paste: Paste, place: Place): Promise<boolean> {
  const { connection, offer } = paste
  const { requestor, property } = place
  const atom = (name: string): number => connection.atoms.get(name) ?? 0
  const write = (type: string, data: readonly number[]): boolean => {
    connection.writeProperty(requestor, property, { type: atom(type), format: 32, data: asWords(data) })
    return true
  }
  const name = [...connection.atoms].find(([, one]) => one === place.target)?.[0]
  switch (name) {
    case undefined:
      return false
    case 'TARGETS':
      return write('ATOM', [...sharedTargets, ...offer.formats.keys()].map(atom))
    case 'TIMESTAMP':
      return write('INTEGER', [offer.timeMs])
    // A clipboard manager is told that it may keep all of it
    case 'SAVE_TARGETS':
      return write('NULL', [])
    case originTarget:
      return write(originTarget, [1])
    default: {
      const format = offer.formats.get(name)
      return format !== undefined && (await convertFormat(paste, place, { name, format }))
    }
  }
}

async function convertFormat(
  paste: Paste,
  place: Place,
  { name, format }: { readonly name: string; readonly format: OfferedFormat },
): Promise<boolean> {
  const { connection } = paste
  const shared = useContent(paste, format)
  let isOnItsWay = false
  try {
    const whole = await shared.content
    if (whole.byteLength > limits.desktopFormatBytes) return false
    const isLong = whole.byteLength > connection.chunkBytes
    // Only old programs ask for Latin-1, which would be a copy for each of them
    if (isLong && name === latinTarget) return false
    const content = encodeTarget(name, whole)
    const type = textTargets.has(name) ? (connection.atoms.get('UTF8_STRING') ?? 0) : place.target
    if (isLong) {
      isOnItsWay = await beginParts(paste, place, { type, content, release: shared.release })
      return isOnItsWay
    }
    connection.writeProperty(place.requestor, place.property, { type, format: 8, data: content })
    return true
  } finally {
    if (!isOnItsWay) shared.release()
  }
}

/** MULTIPLE: pairs of target and property; what cannot be had is marked in the list itself. */
async function convertAll(paste: Paste, requestor: number, property: number): Promise<boolean> {
  const { connection } = paste
  const range = { offsetWords: 0, words: pairsMax * 2 }
  const words = await connection.readProperty(requestor, property, range, readPairs)
  if (words === undefined) return false
  for (let index = 0; index < words.length; index += 2) {
    const [target = 0, own = 0] = words.slice(index, index + 2)
    const isNested = target === connection.atoms.get('MULTIPLE')
    const isDone = !isNested && own !== 0 && (await convert(paste, { requestor, target, property: own }))
    if (!isDone) words[index + 1] = 0
  }
  const type = connection.atoms.get('ATOM_PAIR') ?? 0
  connection.writeProperty(requestor, property, { type, format: 32, data: asWords(words) })
  return true
}

/** @returns undefined for what is no list of pairs, or too long a one. */
function readPairs({ format, bytesAfter, data }: XProperty): number[] | undefined {
  if (format !== 32 || bytesAfter > 0 || data.byteLength % 8 !== 0) return undefined
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  return Array.from({ length: data.byteLength / 4 }, (_word, index) => view.getUint32(index * 4, true))
}

interface SharedContent {
  readonly content: Promise<Uint8Array>
  users: number
}

/** @returns the content and what says, once, that it is not used any more. */
function useContent(
  { env, offer, signal }: Paste,
  format: OfferedFormat,
): { readonly content: Promise<Uint8Array>; readonly release: () => void } {
  const deadline = { timeoutMs: limits.desktopPasteMs, what: `reading ${format.mime}`, signal }
  const shared = offer.reads.get(format) ?? {
    content: withDeadline(env.clock, deadline, (inner) => format.read(inner)),
    users: 0,
  }
  offer.reads.set(format, shared)
  shared.users++
  const release = (): void => {
    shared.users--
    if (shared.users === 0) offer.reads.delete(format)
  }
  return { content: shared.content, release }
}

interface Outgoing {
  readonly type: number
  readonly content: Uint8Array
  /** Called once it is on its way no more. */
  readonly release: () => void
}

/** @returns false when the program that pastes is gone. */
async function beginParts(
  { env, scope, connection, parts }: Paste,
  { requestor, property }: Place,
  { type, content, release }: Outgoing,
): Promise<boolean> {
  const transfer = parts.open(requestor, property)
  if (!(await connection.watchWindow(requestor, true))) {
    parts.close(transfer)
    return false
  }
  const incr = connection.atoms.get('INCR') ?? 0
  connection.writeProperty(requestor, property, {
    type: incr,
    format: 32,
    data: asWords([content.byteLength]),
  })
  scope.spawn('paste in parts', async (signal) => {
    try {
      for (let offset = 0, sent = 0; ; offset += connection.chunkBytes, sent++) {
        await parts.taken(transfer, sent + 1, signal)
        const data = content.subarray(offset, offset + connection.chunkBytes)
        connection.writeProperty(requestor, property, { type, format: 8, data })
        if (data.byteLength === 0) return
      }
    } catch (error) {
      env.log.debug('a paste was not read to its end', errorFields(error))
    } finally {
      parts.close(transfer)
      release()
    }
  })
  return true
}

/** Formats that no program here would know by name are not offered. */
function byTarget(
  { atoms }: XConnection,
  formats: readonly OfferedFormat[],
): ReadonlyMap<string, OfferedFormat> {
  const targets = formats.flatMap((format) =>
    targetsOf(format.mime).map((target) => [target, format] as const),
  )
  return new Map(targets.filter(([target]) => atoms.has(target)))
}

function asWords(words: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(words).buffer)
}

/** By the server's clock, which wraps after 49 days; 0 stands for now. */
function isBefore(timeMs: number, otherMs: number): boolean {
  return timeMs !== 0 && ((timeMs - otherMs) | 0) < 0
}
