/**
 * The order of a pairing, as two strict state machines: (state, event) to (state, effects), no I/O, no time.
 *
 *   secret   joiner hello(handle, nonce)      host reply(nonce)   joiner proof          host proof
 *   code     joiner hello(plate, nonce)       host reply(nonce)   joiner share   host share   joiner proof   host proof
 *   compare  joiner hello(commitment)         host reply(nonce)   joiner reveal(nonce)  both agree, in any order
 *
 * Each state knows the one message that may come. Anything else (another kind, a repetition, a malformed one, one
 * more after the end) ends the pairing for good, and a failed state has no way out. The first proof is the
 * joiner's: a stranger that guesses shows its guess before it learns anything.
 */
import { asSkeinError, SkeinError } from '../../base/errors.ts'
import type { PeerId } from '../../base/ids.ts'
import type { CpaceRun } from './cpace.ts'
import { isSameBytes, startCpace } from './cpace.ts'
import type { ShortCode } from './pairing-code.ts'
import type { PairingMessage } from './pairing-message.ts'
import { decodePairingMessage, encodePairingMessage } from './pairing-message.ts'
import type { PairingKeys, PairingMethod, PairingSide, Transcript } from './pairing-proof.ts'
import {
  commitmentTo,
  comparisonDigits,
  derivePairingKeys,
  extendTranscript,
  handleOf,
  proofTag,
  startTranscript,
} from './pairing-proof.ts'

export interface PairingParties {
  readonly host: PeerId
  readonly joiner: PeerId
  /** 64 fresh bytes for this side and this run. */
  readonly randomness: Uint8Array
}

/** What the host's window offers now. */
export interface PairingOffer {
  readonly secret: Uint8Array | undefined
  readonly short: ShortCode | undefined
  readonly mayCompare: boolean
}

/** What the joiner's person holds. */
export type PairingTicket =
  | { readonly method: 'secret'; readonly secret: Uint8Array }
  | { readonly method: 'code'; readonly short: ShortCode }
  | { readonly method: 'compare' }

export type PairingEvent =
  | { readonly type: 'message'; readonly wire: Uint8Array }
  /** This side's person said whether the digits are the same. */
  | { readonly type: 'compared'; readonly isSame: boolean }

type Stage =
  | { readonly at: 'hello' }
  | { readonly at: 'reply'; readonly nonce: Uint8Array }
  | { readonly at: 'share'; readonly run: CpaceRun; readonly own: Uint8Array | undefined }
  | { readonly at: 'proof'; readonly keys: PairingKeys }
  | { readonly at: 'reveal'; readonly commitment: Uint8Array; readonly nonce: Uint8Array }
  | { readonly at: 'comparing'; readonly keys: PairingKeys; readonly mine: boolean; readonly theirs: boolean }
  | { readonly at: 'proved'; readonly keys: PairingKeys }
  | { readonly at: 'failed'; readonly error: SkeinError }

export interface PairingState {
  readonly side: PairingSide
  readonly parties: PairingParties
  /** Known to the host from the hello on. */
  readonly method: PairingMethod | undefined
  readonly offer: PairingOffer
  readonly transcript: Transcript
  readonly stage: Stage
}

export interface PairingStep {
  readonly state: PairingState
  readonly send: readonly Uint8Array[]
  /** Digits to show to this side's person, who answers with a `compared` event. */
  readonly compare?: string
}

export function startHost(parties: PairingParties, offer: PairingOffer): PairingState {
  const transcript = startTranscript(parties.host, parties.joiner)
  return { side: 'host', parties, method: undefined, offer, transcript, stage: { at: 'hello' } }
}

export function startJoiner(parties: PairingParties, ticket: PairingTicket): PairingStep {
  const nonce = parties.randomness.slice(0, 32)
  const offer = {
    secret: ticket.method === 'secret' ? ticket.secret : undefined,
    short: ticket.method === 'code' ? ticket.short : undefined,
    mayCompare: ticket.method === 'compare',
  }
  const start = startHost(parties, offer)
  const state: PairingState = {
    ...start,
    side: 'joiner',
    method: ticket.method,
    stage: { at: 'reply', nonce },
  }
  const isCompare = ticket.method === 'compare'
  return say(state, {
    t: 'hello',
    v: 1,
    method: ticket.method,
    code: codeName(offer, ticket.method),
    nonce: isCompare ? commitmentTo(parties.host, parties.joiner, nonce) : nonce,
  })
}

/** One event. A failure is a state, never a throw: what went wrong is in `stage.error`. */
export function stepPairing(state: PairingState, event: PairingEvent): PairingStep {
  if (state.stage.at === 'failed') return { state, send: [] }
  try {
    if (event.type === 'compared') return compared(state, event.isSame)
    const message = decodePairingMessage(event.wire)
    const other: PairingSide = state.side === 'host' ? 'joiner' : 'host'
    const before = state.transcript
    const heard = { ...state, transcript: extendTranscript(before, other, event.wire) }
    return state.side === 'host' ? hostHears(heard, message, before) : joinerHears(heard, message, before)
  } catch (error) {
    return failed(state, asSkeinError(error))
  }
}

function hostHears(state: PairingState, message: PairingMessage, before: Transcript): PairingStep {
  const { stage } = state
  if (stage.at === 'hello' && message.t === 'hello') return hostHearsHello(state, message)
  if (stage.at === 'share' && message.t === 'share') {
    const joiner = { share: message.share, associated: before }
    const host = { share: stage.run.share, associated: state.transcript }
    const key = stage.run.finish(joiner, host, message.share)
    const answered = say(state, { t: 'share', share: stage.run.share })
    return { ...answered, state: withKeys(answered.state, key, 'proof') }
  }
  if (stage.at === 'proof' && message.t === 'proof') {
    checkProof(stage.keys, message.tag, before, 'joiner')
    const answered = say(state, { t: 'proof', tag: proofTag(stage.keys, 'host', state.transcript) })
    return { ...answered, state: { ...answered.state, stage: { at: 'proved', keys: stage.keys } } }
  }
  if (stage.at === 'reveal' && message.t === 'reveal') {
    const { host, joiner } = state.parties
    if (!isSameBytes(commitmentTo(host, joiner, message.nonce), stage.commitment)) {
      throw new SkeinError('pair.failed', 'the other device did not keep its commitment')
    }
    return comparing(state, message.nonce, stage.nonce)
  }
  return agreed(state, message)
}

function hostHearsHello(state: PairingState, message: Extract<PairingMessage, { t: 'hello' }>): PairingStep {
  const { method } = message
  const expected = codeName(state.offer, method)
  const isOffered = method === 'compare' ? state.offer.mayCompare : expected !== undefined
  const isMeant = isSameBytes(message.code ?? new Uint8Array(), expected ?? new Uint8Array())
  if (!isOffered || !isMeant)
    throw new SkeinError('pair.failed', 'no such pairing code is on offer', { fix: 'use the code shown now' })
  const nonce = state.parties.randomness.slice(0, 32)
  const answered = say({ ...state, method }, { t: 'reply', nonce })
  return { ...answered, state: afterReply(answered.state, message.nonce, nonce) }
}

/** The host's place after its reply; the joiner's after hearing it, except that the joiner speaks next. */
function afterReply(state: PairingState, joinerNonce: Uint8Array, hostNonce: Uint8Array): PairingState {
  const { secret, short } = state.offer
  if (state.method === 'secret' && secret !== undefined) return withKeys(state, secret, 'proof')
  if (state.method === 'code' && short !== undefined) {
    const password = Buffer.from(short.plate + short.secret)
    const channel = startTranscript(state.parties.host, state.parties.joiner)
    const session = Buffer.concat([joinerNonce, hostNonce])
    const run = startCpace({ password, channel, session }, state.parties.randomness.slice(32, 64))
    return { ...state, stage: { at: 'share', run, own: undefined } }
  }
  // On the host the joiner's "nonce" is its commitment here
  return { ...state, stage: { at: 'reveal', commitment: joinerNonce, nonce: hostNonce } }
}

function joinerHears(state: PairingState, message: PairingMessage, before: Transcript): PairingStep {
  const { stage } = state
  if (stage.at === 'reply' && message.t === 'reply') {
    const next = afterReply(state, stage.nonce, message.nonce)
    switch (next.stage.at) {
      case 'proof':
        return say(next, { t: 'proof', tag: proofTag(next.stage.keys, 'joiner', next.transcript) })
      case 'share': {
        const said = say(next, { t: 'share', share: next.stage.run.share })
        return { ...said, state: { ...said.state, stage: { ...next.stage, own: next.transcript } } }
      }
      default: {
        const said = say(next, { t: 'reveal', nonce: stage.nonce })
        const shown = comparing(said.state, stage.nonce, message.nonce)
        return { ...shown, send: said.send }
      }
    }
  }
  if (stage.at === 'share' && message.t === 'share' && stage.own !== undefined) {
    const joiner = { share: stage.run.share, associated: stage.own }
    const host = { share: message.share, associated: before }
    const keyed = withKeys(state, stage.run.finish(joiner, host, message.share), 'proof')
    if (keyed.stage.at !== 'proof') return refused(state, message)
    return say(keyed, { t: 'proof', tag: proofTag(keyed.stage.keys, 'joiner', keyed.transcript) })
  }
  if (stage.at === 'proof' && message.t === 'proof') {
    checkProof(stage.keys, message.tag, before, 'host')
    return { state: { ...state, stage: { at: 'proved', keys: stage.keys } }, send: [] }
  }
  return agreed(state, message)
}

function comparing(state: PairingState, joinerNonce: Uint8Array, hostNonce: Uint8Array): PairingStep {
  const keys = derivePairingKeys(Buffer.concat([joinerNonce, hostNonce]), state.transcript, 'compare')
  const digits = comparisonDigits(state.parties, joinerNonce, hostNonce)
  return {
    state: { ...state, stage: { at: 'comparing', keys, mine: false, theirs: false } },
    send: [],
    compare: digits,
  }
}

function compared(state: PairingState, isSame: boolean): PairingStep {
  const { stage } = state
  if (stage.at !== 'comparing' || stage.mine) throw new SkeinError('pair.failed', 'nothing to compare now')
  if (!isSame)
    throw new SkeinError('pair.failed', 'the digits were not the same: somebody may be in between', {
      fix: 'try again on a network you trust',
    })
  const said = say(state, { t: 'agree' })
  const next: Stage = stage.theirs ? { at: 'proved', keys: stage.keys } : { ...stage, mine: true }
  return { ...said, state: { ...said.state, stage: next } }
}

function agreed(state: PairingState, message: PairingMessage): PairingStep {
  const { stage } = state
  if (stage.at !== 'comparing' || message.t !== 'agree' || stage.theirs) return refused(state, message)
  const next: Stage = stage.mine ? { at: 'proved', keys: stage.keys } : { ...stage, theirs: true }
  return { state: { ...state, stage: next }, send: [] }
}

function refused(state: PairingState, message: PairingMessage): never {
  throw new SkeinError(
    'pair.failed',
    `an unexpected message, ${message.t} while waiting at ${state.stage.at}`,
  )
}

function checkProof(keys: PairingKeys, tag: Uint8Array, transcript: Transcript, from: PairingSide): void {
  if (isSameBytes(tag, proofTag(keys, from, transcript))) return
  throw new SkeinError('pair.failed', 'the code was not right', { fix: 'ask for a new code and try again' })
}

function withKeys(state: PairingState, inputKey: Uint8Array, at: 'proof'): PairingState {
  const keys = derivePairingKeys(inputKey, state.transcript, state.method ?? 'secret')
  return { ...state, stage: { at, keys } }
}

function codeName(offer: PairingOffer, method: PairingMethod): Uint8Array | undefined {
  if (method === 'secret') return offer.secret === undefined ? undefined : handleOf(offer.secret)
  if (method === 'code')
    return offer.short === undefined ? undefined : Uint8Array.from(Buffer.from(offer.short.plate))
  return undefined
}

function say(state: PairingState, message: PairingMessage): PairingStep {
  const wire = encodePairingMessage(message)
  return {
    state: { ...state, transcript: extendTranscript(state.transcript, state.side, wire) },
    send: [wire],
  }
}

function failed(state: PairingState, error: SkeinError): PairingStep {
  return { state: { ...state, stage: { at: 'failed', error } }, send: [] }
}
