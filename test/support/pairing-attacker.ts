/**
 * Attacks on the pairing protocol, for `attacker.ts`: messages out of order, a recorded transcript played again, and
 * a device in the middle that carries every message between two people who trust it with nothing.
 */
import { createSystemEnv } from '../../src/base/env.ts'
import type { Channel } from '../../src/base/channel.ts'
import { asSkeinError } from '../../src/base/errors.ts'
import type { PeerId } from '../../src/base/ids.ts'
import type { Host } from '../../src/base/link.ts'
import { parseLongCode } from '../../src/peer/auth/pairing-code.ts'
import { encodePairingMessage } from '../../src/peer/auth/pairing-message.ts'
import { startJoiner, stepPairing } from '../../src/peer/auth/pairing-machine.ts'
import { pairingProtocol } from '../../src/peer/auth/pairing.ts'
import { createLibp2pHost } from '../../src/transport/host.ts'

const env = createSystemEnv()

export interface Target {
  readonly peerId: PeerId
  /** Noise multiaddr. */
  readonly address: string
}

export const openHost = (listen: readonly string[], isPairingOpen = false): Promise<Host> =>
  createLibp2pHost(
    env,
    {
      privateKey: env.random.bytes(32),
      membership: { deviceOf: () => undefined, isPairingOpen: () => isPairingOpen },
    },
    { listen: { addresses: listen, port: 0, tlsPort: 0 } },
  )

/** What came back, in order, until the other side ended it. */
interface Talk {
  readonly channel: Channel
  readonly heard: Uint8Array[]
  readonly ended: Promise<string>
  /** Waits for the next message or the end. */
  next(): Promise<Uint8Array | undefined>
}

async function talkTo(host: Host, target: Target): Promise<Talk> {
  const connection = await host.dial(target.peerId, [target.address], { lane: 'control' })
  const channel = await connection.open(pairingProtocol)
  const heard: Uint8Array[] = []
  let wake: (() => void) | undefined
  let read = 0
  channel.receive((message) => {
    heard.push(message.slice())
    wake?.()
  })
  let isOver = false
  const ended = channel.closed.then((error) => {
    isOver = true
    wake?.()
    void connection.close()
    return error === undefined ? 'closed' : error.code
  })
  return {
    channel,
    heard,
    ended,
    async next() {
      for (;;) {
        const message = heard[read]
        if (message !== undefined) {
          read++
          return message
        }
        if (isOver) return undefined
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}

/** Each list of messages on a connection of its own. @returns how each ended, and how many answers it got. */
export async function sendOutOfOrder(target: Target): Promise<readonly object[]> {
  const b32 = (): Uint8Array => env.random.bytes(32)
  const hello = encodePairingMessage({ t: 'hello', v: 1, method: 'compare', code: undefined, nonce: b32() })
  const proof = encodePairingMessage({ t: 'proof', tag: b32() })
  const cases: Readonly<Record<string, readonly Uint8Array[]>> = {
    'a proof first': [proof],
    'agreement first': [encodePairingMessage({ t: 'agree' })],
    'a reveal first': [encodePairingMessage({ t: 'reveal', nonce: b32() })],
    garbage: [env.random.bytes(500)],
    'nothing in it': [new Uint8Array()],
    'far too long': [new Uint8Array(900_000)],
    'another version': [
      Uint8Array.of(0xa2, 0x61, 0x74, 0x65, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x61, 0x76, 0x07),
    ],
    'hello twice': [hello, hello],
    'agreement before the reveal': [hello, encodePairingMessage({ t: 'agree' })],
    'a proof in a comparison': [hello, proof],
  }
  const results: object[] = []
  for (const [what, messages] of Object.entries(cases)) {
    await using host = await openHost(['127.0.0.1'])
    try {
      const talk = await talkTo(host, target)
      for (const message of messages) talk.channel.send(message)
      results.push({ what, ended: await talk.ended, answers: talk.heard.length })
    } catch (error) {
      results.push({ what, ended: asSkeinError(error).code, answers: 0 })
    }
  }
  return results
}

/** Proves the code like an honest joiner but stops there; then says the very same again, as itself and as another. */
export async function replayTranscript(target: Target, longCode: string): Promise<readonly object[]> {
  const { secret } = parseLongCode(longCode)
  const recorded: Uint8Array[] = []
  const results: object[] = []
  const identity = await openHost(['127.0.0.1'])
  {
    const talk = await talkTo(identity, target)
    const say = (wire: Uint8Array): void => {
      recorded.push(wire.slice())
      talk.channel.send(wire)
    }
    let step = startJoiner(
      { host: target.peerId, joiner: identity.peerId, randomness: env.random.bytes(64) },
      { method: 'secret', secret },
    )
    step.send.forEach(say)
    while (step.state.stage.at !== 'proved' && step.state.stage.at !== 'failed') {
      const wire = await talk.next()
      if (wire === undefined) break
      step = stepPairing(step.state, { type: 'message', wire })
      step.send.forEach(say)
    }
    results.push({ what: 'honest so far', stage: step.state.stage.at })
    talk.channel.abort(asSkeinError(new Error('gone')))
    await talk.ended
  }
  for (const [what, host] of [
    ['the same device', identity],
    ['another device', await openHost(['127.0.0.1'])],
  ] as const) {
    try {
      const talk = await talkTo(host, target)
      for (const wire of recorded) talk.channel.send(wire)
      results.push({ what, ended: await talk.ended, answers: talk.heard.length })
    } catch (error) {
      results.push({ what, ended: asSkeinError(error).code, answers: 0 })
    }
    await host[Symbol.asyncDispose]()
  }
  return results
}

/** Carries the messages of whoever joins through us to the target and back, for ever. */
export async function relayPairing(target: Target, say: (line: object) => void): Promise<void> {
  const host = await openHost(['0.0.0.0'], true)
  host.handle(pairingProtocol, 'pairing', async (channel) => {
    const onward = await host.dial(target.peerId, [target.address], { lane: 'control' })
    const other = await onward.open(pairingProtocol)
    let [there, back] = [0, 0]
    channel.receive((message) => {
      there++
      other.send(message.slice())
    })
    other.receive((message) => {
      back++
      channel.send(message.slice())
    })
    void channel.closed.then((error) => other.abort(error ?? asSkeinError(new Error('closed'))))
    const end = await other.closed
    channel.abort(end ?? asSkeinError(new Error('closed')))
    say({ event: 'relayed', there, back, ended: end?.code ?? 'closed' })
  })
  const address = host.addresses().find((one) => one.startsWith('/ip4/10.') && !one.endsWith('/tls'))
  say({ event: 'ready', address, peerId: host.peerId })
  await new Promise(() => undefined)
}
