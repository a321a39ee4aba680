/**
 * One connection to an X display: promises and events of the few requests that selections need (ICCCM section 2), over
 * the package `x11`. Every answer is awaited for a bounded time; a display that gives none is taken for gone.
 */
import { stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import type { XClient, XDisplay, XEvent, XFixes, XProperty } from 'x11'
import { abortReason, withDeadline } from '../../base/clock.ts'
import type { Env } from '../../base/env.ts'
import { asSkeinError, SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { isTrustedOwner, type DisplayCookie, type DisplayPlace } from './x11-display.ts'
import { createXPackets } from './x11-packets.ts'
import { createXWire, type XWire } from './x11-wire.ts'

/** What happened on the display, as far as it concerns selections. Times are the server's, 32 bits, wrapping. */
export type XHappening =
  /** The clipboard has a new owner. `isEnd`: there is none because the program or its window ended. */
  | { readonly kind: 'owner'; readonly owner: number; readonly timeMs: number; readonly isEnd: boolean }
  | ({ readonly kind: 'request' } & XRequest)
  | { readonly kind: 'answer'; readonly window: number; readonly target: number; readonly property: number }
  | { readonly kind: 'property'; readonly window: number; readonly property: number; readonly isNew: boolean }
  | { readonly kind: 'destroyed'; readonly window: number }

/** Somebody wants our selection. */
export interface XRequest {
  readonly owner: number
  readonly selection: number
  readonly requestor: number
  readonly target: number
  readonly property: number
  readonly timeMs: number
}

export interface XConnection {
  readonly window: number
  readonly atoms: ReadonlyMap<string, number>
  /** Largest content of one ChangeProperty. */
  readonly chunkBytes: number
  /** Settles when the connection is over, with the reason. */
  readonly closed: Promise<SkeinError>
  fail(reason: SkeinError): void
  /** What concerns the lasting window, the selection or windows of other programs. */
  listen(listener: (event: XHappening) => void): void
  /** An invisible window for one conversion, with what happens to it. */
  createWindow(listener: (event: XHappening) => void): number
  destroyWindow(window: number): void
  convert(window: number, target: number, property: number, timeMs: number): void
  /**
   * Reads so many words of four bytes at most, and deletes the property once all of it was read.
   * @param take is handed what was read, valid only during the call.
   */
  readProperty<T>(
    window: number,
    property: number,
    range: { readonly offsetWords: number; readonly words: number },
    take: (found: XProperty) => T,
  ): Promise<T>
  /** Replaces a property. Failures (the window is gone) are not heard of. */
  writeProperty(window: number, property: number, content: XContent): void
  answer(request: XRequest, property: number): void
  isOwn(window: number): boolean
  /** Property and end of another program's window; all of them or none. @returns false: the window is gone. */
  watchWindow(window: number, watches: boolean): Promise<boolean>
  /** @param owner a window, or 0 for nobody. */
  setOwner(owner: number, timeMs: number): void
  readOwner(): Promise<number>
  /** The server's clock now. */
  readTime(): Promise<number>
}

export interface XContent {
  readonly type: number
  readonly format: 8 | 32
  readonly data: Uint8Array
}

const eventMasks = { structure: 0x20000, property: 0x400000 }
/** Owner set, window gone, program gone. */
const allSelectionEvents = 7
const eventTypes = { destroyed: 17, property: 28, request: 30, answer: 31 }
const inputOnly = 2
/** Windows are ours one after another; an id comes back only after so many others. */
const windowIds = 4096
const bigRequestHeaderBytes = 28
const changePropertyRequest = 18
/** Enough that the number of parts does not count, little enough that none holds up the others. */
const chunkBytesMax = 1024 * 1024
const receiveBytes = 256 * 1024
const timeProperty = 'SKEIN_TIME'

export interface ConnectOptions {
  readonly place: DisplayPlace
  readonly cookie: DisplayCookie
  /** What will be in `atoms`. */
  readonly atomNames: readonly string[]
  readonly signal: AbortSignal
}

/** @throws `peer.gone` | `auth.denied` | `deadline.exceeded` */
export async function connectDisplay(env: Env, options: ConnectOptions): Promise<XConnection> {
  const { place, cookie, atomNames } = options
  const timeoutMs = limits.displayAnswerMs
  const deadline = { timeoutMs, what: `the display ${place.name}`, signal: options.signal }
  let wire: XWire | undefined
  try {
    return await withDeadline(env.clock, deadline, async (signal) => {
      await checkSocket(place)
      const ownWire = await openWire(env, place, signal)
      wire = ownWire
      const session = await openSession(ownWire, place, cookie)
      const atoms = new Map<string, number>()
      await Promise.all(
        [...atomNames, timeProperty].map(async (name) => {
          atoms.set(name, await ownWire.ask<number>((done) => session.client.InternAtom(false, name, done)))
        }),
      )
      return openConnection({ ...session, wire: ownWire, atoms })
    })
  } catch (error) {
    wire?.fail(asSkeinError(error))
    throw error
  }
}

interface Session {
  readonly client: XClient
  readonly fixes: XFixes
  readonly display: XDisplay
}

interface OpenSession extends Session {
  readonly wire: XWire
  readonly atoms: ReadonlyMap<string, number>
}

/** @throws `auth.denied` for a display that another user put there. */
async function checkSocket({ name, address }: DisplayPlace): Promise<void> {
  if (!('path' in address)) return
  const found = await stat(address.path).catch(() => undefined) // because: connecting says better what is missing
  if (found === undefined || isTrustedOwner(found.uid, process.getuid?.())) return
  throw new SkeinError('auth.denied', `the display ${name} belongs to another user`)
}

function openWire(env: Env, place: DisplayPlace, signal: AbortSignal): Promise<XWire> {
  return new Promise((resolve, reject) => {
    let wire: XWire | undefined
    // One buffer for all that comes: each chunk is copied or used up at once
    const onread = {
      buffer: Buffer.allocUnsafeSlow(receiveBytes),
      callback(length: number, buffer: Uint8Array) {
        wire?.receive(buffer.subarray(0, length))
        return true
      },
    }
    const socket = createConnection({ ...place.address, onread })
    const onAbort = (): void => {
      socket.destroy()
      reject(abortReason(signal))
    }
    const onError = (cause: Error): void =>
      reject(new SkeinError('peer.gone', `there is no display ${place.name}`, { cause }))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('error', onError)
      wire = createXWire(env, socket)
      resolve(wire)
    })
    socket.once('error', onError)
  })
}

/** Shakes hands. The package is loaded here, so that machines without a display do without it. */
async function openSession(wire: XWire, place: DisplayPlace, cookie: DisplayCookie): Promise<Session> {
  const { createClient } = await import('x11')
  let client: XClient | undefined
  let isOpen = false
  const display = await wire.ask<XDisplay>((done) => {
    const stream = wire.stream
    const options = { display: `:${place.number}`, stream, auth: cookie, disableBigRequests: false }
    client = createClient(options, done)
    client.on('error', (cause) => {
      // Later ones: a window of another program that is gone by now; whoever needs to know asks with an answer
      if (!isOpen) wire.fail(new SkeinError('auth.denied', 'the display refuses us', { cause }))
    })
  })
  isOpen = true
  if (client === undefined) throw new SkeinError('internal', 'no client')
  const session = client
  const packets = createXPackets()
  // The one read that the package has begun, for the first packet after the handshake
  for (const { length, callback } of session.pack_stream._readQueue.splice(0)) packets.get(length, callback)
  session.pack_stream.get = packets.get
  wire.receiveBy(packets.take)
  // because: the package keeps one table of atoms for all displays of a process, but every server has its own
  session.atoms = Object.create(null) as Record<string, number>
  const fixes = await wire.ask<XFixes>((done) => session.require.call(session, 'fixes', done))
  return { client: session, fixes, display }
}

function openConnection({ client, fixes, display, wire, atoms }: OpenSession): XConnection {
  const root = display.screen[0]?.root ?? 0
  const clipboard = atoms.get('CLIPBOARD') ?? 0
  const timeAtom = atoms.get(timeProperty) ?? 0
  const nextWindow = createIds(client)
  const listeners: ((event: XHappening) => void)[] = []
  const windows = new Map<number, (event: XHappening) => void>()
  const timeWaiters: ((timeMs: number) => void)[] = []
  const createWindow = (listener: (event: XHappening) => void): number => {
    const id = nextWindow()
    client.CreateWindow(id, root, -10, -10, 1, 1, 0, 0, inputOnly, 0, { eventMask: eventMasks.property })
    windows.set(id, listener)
    return id
  }
  const tellAll = (event: XHappening): void => listeners.forEach((listener) => listener(event))
  const window = createWindow(tellAll)
  client.on('event', (event) => {
    if (event.name === 'PropertyNotify' && event['wid'] === window && event['atom'] === timeAtom) {
      timeWaiters.shift()?.(Number(event['time']))
      return
    }
    const happening = describeEvent(event, fixes, clipboard)
    if (happening === undefined) return
    const tell = 'window' in happening ? windows.get(happening.window) : undefined
    ;(tell ?? tellAll)(happening)
  })
  fixes.SelectSelectionInput(window, clipboard, allSelectionEvents)
  return {
    window,
    atoms,
    chunkBytes: Math.min(display.max_request_length * 4 - bigRequestHeaderBytes, chunkBytesMax),
    closed: wire.closed,
    fail: wire.fail,
    listen: (listener) => void listeners.push(listener),
    createWindow,
    destroyWindow(id) {
      windows.delete(id)
      client.DestroyWindow(id)
    },
    isOwn: (id) => windows.has(id),
    ...createRequests(client, wire, clipboard),
    readTime: () =>
      wire.ask<number>((done) => {
        timeWaiters.push((timeMs) => done(undefined, timeMs))
        client.ChangeProperty(0, window, timeAtom, timeAtom, 8, Buffer.alloc(0))
      }),
  }
}

type Requests = Pick<
  XConnection,
  'convert' | 'readProperty' | 'writeProperty' | 'answer' | 'watchWindow' | 'setOwner' | 'readOwner'
>

function createRequests(client: XClient, wire: XWire, clipboard: number): Requests {
  return {
    convert: (id, target, property, timeMs) =>
      client.ConvertSelection(id, clipboard, target, property, timeMs),
    readProperty: (id, property, { offsetWords, words }, take) =>
      wire.ask((done) => {
        client.GetProperty(1, id, property, 0, offsetWords, words, (error, found) => {
          if (error) return done(error)
          try {
            return done(undefined, take(found))
          } catch (refusal) {
            return done(refusal)
          }
        })
      }),
    writeProperty: (id, property, content) => changeProperty(client, id, property, content),
    answer({ requestor, selection, target, timeMs: time }, property) {
      const name = 'SelectionNotify'
      client.SendEvent(requestor, 0, 0, { name, requestor, selection, target, property, time })
    },
    watchWindow: (id, watches) => {
      const eventMask = watches ? eventMasks.property | eventMasks.structure : 0
      return wire
        .ask<void>((done) => client.ChangeWindowAttributes(id, { eventMask }, done))
        .then(
          () => true,
          () => false,
        )
    },
    setOwner: (owner, timeMs) => client.SetSelectionOwner(owner, clipboard, timeMs),
    readOwner: () => wire.ask((done) => client.GetSelectionOwner(clipboard, done)),
  }
}

/** Ids of windows, each again only after many others: what comes late for an old one finds nobody. */
function createIds(client: XClient): () => number {
  const ids: number[] = []
  let count = 0
  return () => {
    const index = count++ % windowIds
    const id = ids[index] ?? client.AllocID()
    ids[index] = id
    return id
  }
}

/** @returns undefined for what is none of our business. Anybody may send anything here. */
function describeEvent(event: XEvent, fixes: XFixes, clipboard: number): XHappening | undefined {
  const number = (field: string): number => Number(event[field] ?? 0)
  const window = number('wid')
  if (event.type === fixes.firstEvent) {
    if (event['selection'] !== clipboard) return undefined
    const isEnd = number('subtype') !== 0
    return { kind: 'owner', owner: isEnd ? 0 : number('owner'), timeMs: number('timestamp'), isEnd }
  }
  switch (event.type) {
    case eventTypes.request: {
      if (event['selection'] !== clipboard) return undefined
      const [owner, requestor, target] = [number('owner'), number('requestor'), number('target')]
      const [property, timeMs] = [number('property'), number('time')]
      return { kind: 'request', owner, requestor, selection: clipboard, target, property, timeMs }
    }
    case eventTypes.answer:
      return {
        kind: 'answer',
        window: number('requestor'),
        target: number('target'),
        property: number('property'),
      }
    case eventTypes.property:
      return { kind: 'property', window, property: number('atom'), isNew: number('state') === 0 }
    case eventTypes.destroyed:
      return { kind: 'destroyed', window }
    default:
      return undefined
  }
}

/**
 * As the package's own request, but for its length, which may be beyond 256 KiB (BIG-REQUESTS), and for the content,
 * which is written from where it lies.
 */
function changeProperty(client: XClient, window: number, property: number, content: XContent): void {
  const { type, format, data } = content
  const words = Math.ceil((bigRequestHeaderBytes + data.byteLength) / 4)
  const head = Buffer.alloc(bigRequestHeaderBytes)
  head[0] = changePropertyRequest
  // A length of 0 says that the length follows
  const fields = [words, window, property, type, format, data.byteLength / (format / 8)]
  for (const [index, field] of fields.entries()) head.writeUInt32LE(field >>> 0, (index + 1) * 4)
  client.seq_num++
  client.pack_stream.put(head)
  client.pack_stream.put(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  client.pack_stream.put(Buffer.alloc(words * 4 - head.byteLength - data.byteLength))
  client.pack_stream.submit(false)
}
