/**
 * Pairing over a channel of protocol /skein/pair/1 whose two PeerIds the connection has authenticated.
 * After the proof (pairing-machine.ts) everything is sealed under its keys:
 *
 *   joiner  about {name, kind}           the host's person decides; a proof alone never admits anybody
 *   host    refused | welcome {mesh, pages, key}, then page {statements} x pages
 *   joiner  joined                        after it has checked and stored the roster
 *   host    closes
 *
 * The joiner takes the roster only if the key it proved is a full member there and it is one itself.
 */
import type { Channel } from '../../base/channel.ts'
import {
  array,
  bytes,
  decodeCanonical,
  encodeCanonical,
  integer,
  object,
  oneOf,
  textOf,
  variants,
} from '../../base/codec.ts'
import type { Env } from '../../base/env.ts'
import { asSkeinError, SkeinError } from '../../base/errors.ts'
import type { MeshId, PeerId } from '../../base/ids.ts'
import { isMeshId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { deviceName } from './device-name.ts'
import type { DeviceKind } from './keys.ts'
import { deviceKinds } from './keys.ts'
import type { Mailbox } from './pairing-mailbox.ts'
import type { PairingKeys, PairingSide } from './pairing-proof.ts'
import { createOpener, createSealer } from './pairing-proof.ts'
import type { PairingState, PairingStep } from './pairing-machine.ts'
import { stepPairing } from './pairing-machine.ts'

export const pairingProtocol = '/skein/pair/1'

/** Shows the six digits to this side's person. @returns whether the other screen shows the same. */
export type Compare = (digits: string, signal: AbortSignal) => Promise<boolean>

export type SealedMessage =
  | { readonly t: 'about'; readonly name: string; readonly kind: DeviceKind }
  | { readonly t: 'refused' }
  | { readonly t: 'welcome'; readonly mesh: MeshId; readonly pages: number; readonly key: Uint8Array }
  | { readonly t: 'page'; readonly statements: readonly Uint8Array[] }
  | { readonly t: 'joined' }

const sealedMessage = variants<SealedMessage>('t', {
  about: object({ t: oneOf('about'), name: deviceName, kind: oneOf(...deviceKinds) }),
  refused: object({ t: oneOf('refused') }),
  welcome: object({
    t: oneOf('welcome'),
    mesh: textOf(isMeshId, 'a mesh id'),
    pages: integer(limits.rosterStatements, 1),
    key: bytes(limits.pairMessageBytes),
  }),
  page: object({
    t: oneOf('page'),
    statements: array(bytes(limits.rosterStatementBytes), limits.rosterStatements),
  }),
  joined: object({ t: oneOf('joined') }),
})

/** One pairing's side of the channel. */
export interface PairingLine {
  readonly env: Env
  readonly channel: Channel
  readonly mailbox: Mailbox
  readonly signal: AbortSignal
}

/** What moves the machine on the way to the proof, besides messages. */
export interface ProofHooks {
  readonly compare: Compare
  /** Sees each new state before anything is sent. May throw to end it. */
  readonly moved?: (before: PairingState, after: PairingState) => void
}

/** Drives the machine until it has proved the keys. @throws why it failed. */
export async function prove(line: PairingLine, first: PairingStep, hooks: ProofHooks): Promise<PairingKeys> {
  let step = first
  let before = first.state
  let answer: Promise<boolean> | undefined
  let isAnswered = false
  for (;;) {
    const { stage } = step.state
    if (stage.at === 'failed') throw stage.error
    hooks.moved?.(before, step.state)
    for (const wire of step.send) line.channel.send(wire)
    if (stage.at === 'proved') return stage.keys
    if (step.compare !== undefined) answer = hooks.compare(step.compare, line.signal)
    before = step.state
    const timeoutMs = answer === undefined ? limits.pairStepMs : limits.pairConfirmMs
    const next =
      answer === undefined || isAnswered
        ? { message: await line.mailbox.next(timeoutMs) }
        : await line.mailbox.nextOr(answer, timeoutMs)
    if ('message' in next) {
      step = stepPairing(step.state, { type: 'message', wire: next.message })
    } else {
      isAnswered = true
      step = stepPairing(step.state, { type: 'compared', isSame: next.value })
    }
  }
}

/** Both directions of the sealed part. */
export interface SealedLine {
  send(message: SealedMessage): Promise<void>
  /** @throws `pair.failed` for another kind of message than the one whose moment it is. */
  expect<K extends SealedMessage['t']>(
    timeoutMs: number,
    ...kinds: readonly K[]
  ): Promise<Extract<SealedMessage, { t: K }>>
}

export function sealLine(line: PairingLine, keys: PairingKeys, side: PairingSide): SealedLine {
  const isHost = side === 'host'
  const sealer = createSealer(isHost ? keys.sealHost : keys.sealJoiner)
  const opener = createOpener(isHost ? keys.sealJoiner : keys.sealHost)
  return {
    async send(message) {
      const isRoom = line.channel.send(sealer.seal(encodeCanonical(message)))
      if (!isRoom) await line.channel.drained(line.signal)
    },
    async expect(timeoutMs, ...kinds) {
      const plain = opener.open(await line.mailbox.next(timeoutMs))
      const message = decodeCanonical(plain, sealedMessage, limits.messageBytes)
      const found = kinds.find((kind) => kind === message.t)
      if (found === undefined) throw new SkeinError('pair.failed', `an unexpected message, ${message.t}`)
      // because: `find` has just compared the tag
      return message as Extract<SealedMessage, { t: (typeof kinds)[number] }>
    },
  }
}

/** Ends a pairing that went wrong: the other side sees the channel cut, this side's caller the reason. */
export function failPairing(line: Pick<PairingLine, 'channel'>, error: unknown): SkeinError {
  const reason = asSkeinError(error, 'pair.failed')
  line.channel.abort(reason)
  return reason
}

/** Statements cut into pages of at most limits.pairPageBytes. */
export function pagesOf(statements: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const pages: Uint8Array[][] = [[]]
  let sizeBytes = 0
  for (const statement of statements) {
    if (sizeBytes + statement.byteLength > limits.pairPageBytes) {
      pages.push([])
      sizeBytes = 0
    }
    pages.at(-1)?.push(statement)
    sizeBytes += statement.byteLength + 8
  }
  return pages
}

/** The two keys in their places, whichever side this is. */
export const partiesOf = (env: Env, host: PeerId, joiner: PeerId): PairingState['parties'] => ({
  host,
  joiner,
  randomness: env.random.bytes(64),
})
