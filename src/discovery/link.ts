/**
 * The link protocol `/skein/link/1`: the first thing said on a connection, by which both sides agree that it is up.
 * Messages, each one CBOR map of at most limits.helloBytes on the dialler's link channel:
 *   dialler  {kind: 'hello', version: 1, lane, deviceId, incarnation, agent, name?, replaces?, pulse?}
 *   acceptor the same, or {kind: 'refused', code, message} and close
 *   dialler  {kind: 'ready'}: now the acceptor too knows that both hellos arrived
 * After that the channel carries RPC (base/rpc.ts). Unknown fields are ignored, unknown versions refused.
 * Who the other side is follows from the key of the connection alone; the hello can only agree with it.
 */
import type { Channel, Receiver } from '../base/channel.ts'
import type { Clock } from '../base/clock.ts'
import { withDeadline } from '../base/clock.ts'
import { boolean, decode, encode, integer, object, oneOf, optional, text, textOf } from '../base/codec.ts'
import { asSkeinError, fromWireError, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { isDeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Lane } from '../base/link.ts'
import type { PulseInvitation } from './pulse.ts'
import { pulseInvitationShape } from './pulse.ts'

export const linkProtocol = '/skein/link/1'
const linkVersion = 1

export interface Hello {
  readonly lane: Lane
  readonly deviceId: DeviceId
  /** 26 random characters per process start: a new one means that everything of the old process is gone. */
  readonly incarnation: string
  /** Name and version of the software. */
  readonly agent: string
  readonly name: string | undefined
  /** The dialler hears nothing on the connection it has. */
  readonly replaces: boolean
  /** Where and how this side takes pulses for this connection. */
  readonly pulse: PulseInvitation | undefined
}

export interface Greeting {
  /** What the other side said of itself, already checked. */
  readonly hello: Hello
  /** The link channel, ready for the RPC that takes it over. */
  readonly channel: Channel
}

export interface HandshakeOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Refuses by throwing: the roster's word on the key of this connection. */
  readonly check: (hello: Hello) => void
}

const openingShape = object({ kind: oneOf('hello', 'refused', 'ready'), version: optional(integer()) })
const helloShape = object({
  lane: oneOf('control', 'bulk'),
  deviceId: textOf(isDeviceId, 'a device id'),
  incarnation: text(26, /^[0-9a-z]{26}$/),
  agent: text(limits.nameBytes),
  name: optional(text(limits.nameBytes)),
  replaces: optional(boolean),
  pulse: optional(pulseInvitationShape),
})
const refusedShape = object({ code: text(64), message: text(512) })

const encodeHello = (hello: Hello): Uint8Array => encode({ kind: 'hello', version: linkVersion, ...hello })

/**
 * The dialler's half. The channel is aborted on failure.
 * @throws `codec.*` for what is not this protocol, the other side's refusal by its code, `deadline.exceeded`.
 */
export function greet(raw: Channel, own: Hello, options: HandshakeOptions): Promise<Greeting> {
  return handshake(raw, options, async (handover) => {
    raw.send(encodeHello(own))
    const hello = decodeHello(await handover.next())
    if (hello.lane !== own.lane)
      throw new SkeinError('codec.invalid', `hello for lane ${hello.lane}, not ${own.lane}`)
    options.check(hello)
    raw.send(encode({ kind: 'ready' }))
    return hello
  })
}

/** The acceptor's half; `own` is completed with the dialler's lane. A failure is told to the dialler. */
export function answerGreeting(
  raw: Channel,
  own: Omit<Hello, 'lane'>,
  options: HandshakeOptions,
): Promise<Greeting> {
  return handshake(raw, options, async (handover) => {
    const first = await handover.next()
    let hello: Hello
    try {
      hello = decodeHello(first)
      options.check(hello)
    } catch (error) {
      await refuse(raw, asSkeinError(error))
      throw error
    }
    raw.send(encodeHello({ ...own, lane: hello.lane }))
    const { kind } = decode(await handover.next(), openingShape, limits.helloBytes)
    if (kind !== 'ready') throw new SkeinError('codec.invalid', `expected ready, not ${kind}`)
    return hello
  })
}

async function handshake(
  raw: Channel,
  options: HandshakeOptions,
  talk: (handover: Handover) => Promise<Hello>,
): Promise<Greeting> {
  const handover = createHandover(raw)
  try {
    const hello = await withDeadline(
      options.clock,
      { timeoutMs: limits.helloMs, what: 'link hello', signal: options.signal },
      () => talk(handover),
    )
    return { hello, channel: handover.channel }
  } catch (error) {
    raw.abort(asSkeinError(error))
    throw error
  }
}

function decodeHello(bytes: Uint8Array): Hello {
  const { kind, version } = decode(bytes, openingShape, limits.helloBytes)
  if (kind === 'refused') {
    const refusal = decode(bytes, refusedShape, limits.helloBytes)
    throw fromWireError(refusal)
  }
  if (kind !== 'hello') throw new SkeinError('codec.invalid', `expected a hello, not ${kind}`)
  if (version !== linkVersion) {
    throw new SkeinError(
      'codec.version',
      `the other device speaks link version ${version ?? 'unknown'}, this one ${linkVersion}`,
      {
        fix: 'Update Skein on both devices.',
      },
    )
  }
  const { replaces, ...rest } = decode(bytes, helloShape, limits.helloBytes)
  return { ...rest, replaces: replaces ?? false }
}

/** Says why, and gives it the time to arrive before the caller cuts the connection. */
async function refuse(raw: Channel, error: SkeinError): Promise<void> {
  raw.send(encode({ kind: 'refused', code: error.code, message: error.message.slice(0, 170) }))
  await raw.close()
}

interface Handover {
  readonly channel: Channel
  /** The next message, copied. @throws `channel.*` when the channel ends first. */
  next(): Promise<Uint8Array>
}

/**
 * A channel has one receiver, the handshake and then RPC both want it: this one takes it, serves the handshake one
 * message at a time, and passes everything from then on to whoever calls `receive`. What comes in between waits.
 */
function createHandover(raw: Channel): Handover {
  let receiver: Receiver | undefined
  let asked: PromiseWithResolvers<Uint8Array> | undefined
  let held: { readonly message: Uint8Array; readonly taken: PromiseWithResolvers<void> } | undefined
  let ended: SkeinError | undefined
  raw.receive((message) => {
    if (receiver !== undefined) return receiver(message)
    if (asked !== undefined) {
      asked.resolve(message.slice())
      asked = undefined
      return undefined
    }
    held = { message, taken: Promise.withResolvers<void>() }
    return held.taken.promise
  })
  void raw.closed.then((error) => {
    ended = error ?? new SkeinError('channel.closed', 'the other device closed the link')
    asked?.reject(ended)
    // Only a cut ends a channel with a message left: its bytes are the channel's, and gone with it
    held?.taken.resolve()
    held = undefined
  })
  return {
    async next() {
      if (held !== undefined) {
        const { message, taken } = held
        held = undefined
        const copy = message.slice()
        taken.resolve()
        return copy
      }
      if (ended !== undefined) throw ended
      asked = Promise.withResolvers<Uint8Array>()
      asked.promise.catch(() => undefined) // because: the deadline may have taken its reader away
      return asked.promise
    },
    channel: {
      label: raw.label,
      closed: raw.closed,
      send: (...parts) => raw.send(...parts),
      drained: (signal) => raw.drained(signal),
      close: () => raw.close(),
      abort: (error) => raw.abort(error),
      [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose](),
      receive(next) {
        receiver = next
        if (held === undefined) return
        const { message, taken } = held
        held = undefined
        const passOn = async (): Promise<void> => next(message)
        taken.resolve(passOn())
      },
    },
  }
}
