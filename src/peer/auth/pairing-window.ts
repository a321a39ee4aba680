/**
 * The pairing window of a person: open for limits.pairWindowMs, limits.pairCodes codes, one guess each. The window
 * holds the one code on offer; a pairing claims it before anything is compared, and what is claimed is never offered
 * again. Success, the last failure, the time or the person closes it. Time here is monotonic; the wall clock is only
 * written into the long code for the joiner's information.
 */
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { Events } from '../../base/events.ts'
import { createEmitter } from '../../base/events.ts'
import type { DeviceId, PeerId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { ShortCode } from './pairing-code.ts'
import { newShortCode, showLongCode, showShortCode } from './pairing-code.ts'
import type { PairingOffer } from './pairing-machine.ts'
import type { PairingMethod } from './pairing-proof.ts'

export interface PairingWindowView {
  readonly isOpen: boolean
  readonly closesInMs: number
  /** Codes not yet used up, the one on offer included. */
  readonly codesLeft: number
  /** Pairings that failed in this window, and contacts that did not know a code. */
  readonly failures: number
  readonly strays: number
  /** For QR or paste, and for typing; undefined while a pairing is at work on the code. */
  readonly code: { readonly long: string; readonly short: string } | undefined
}

export interface PairingWindowEvents {
  'pair.opened': PairingWindowView
  /** A new code is on offer after a failure. */
  'pair.offered': PairingWindowView
  'pair.failed': { readonly reason: string; readonly peerId: PeerId }
  'pair.joined': { readonly deviceId: DeviceId; readonly peerId: PeerId; readonly name: string }
  'pair.closed': { readonly reason: PairingCloseReason }
}

export type PairingCloseReason = 'person' | 'time' | 'codes' | 'paired' | 'stopped'

/** A pairing's hold on the code that was on offer. */
export interface PairingClaim {
  /** Aborts when the window closes under it. */
  readonly signal: AbortSignal
  /** Ends it: true keeps nothing on offer and closes the window, false burns the code and offers the next. */
  settle(isPaired: boolean): void
}

export interface PairingWindow extends Disposable {
  readonly events: Events<PairingWindowEvents>
  readonly isOpen: boolean
  view(): PairingWindowView
  /** Opens, or opens anew with fresh codes. @param methods what may be used; all unless said. */
  open(methods?: readonly PairingMethod[]): PairingWindowView
  close(reason?: PairingCloseReason): void
  /** What a newcomer's first message is held against. @throws `pair.closed`, `pair.busy`. */
  offer(): PairingOffer
  /** Takes the code off the offer. @throws `pair.closed`, `pair.busy` when it is not the one on offer any more. */
  claim(offer: PairingOffer): PairingClaim
  /** Counts somebody who did not know which code is meant; that is no guess. */
  stray(): void
  report<K extends 'pair.failed' | 'pair.joined'>(name: K, payload: PairingWindowEvents[K]): void
}

/** What the codes say about this device. */
export interface PairingHome {
  peerId(): PeerId
  addresses(): readonly string[]
}

interface OpenWindow {
  readonly methods: readonly PairingMethod[]
  readonly closesAtMs: number
  readonly timer: Disposable
  readonly controller: AbortController
  readonly codesLeft: number
  readonly failures: number
  readonly strays: number
  readonly offer:
    | (PairingOffer & { readonly text: { readonly long: string; readonly short: string } })
    | undefined
}

export function createPairingWindow(env: Env, home: PairingHome): PairingWindow {
  const emitter = createEmitter<PairingWindowEvents>(env.log)
  let held: OpenWindow | undefined
  const view = (): PairingWindowView => viewOf(env, held)
  const close = (reason: PairingCloseReason = 'person'): void => {
    if (held === undefined) return
    const { timer, controller } = held
    held = undefined
    timer[Symbol.dispose]()
    controller.abort(new SkeinError('pair.closed', 'the pairing window was closed'))
    emitter.emit('pair.closed', { reason })
  }
  const stillOpen = (): OpenWindow => {
    if (held !== undefined && env.clock.monotonicMs() >= held.closesAtMs) close('time')
    if (held !== undefined) return held
    throw new SkeinError('pair.closed', 'no pairing window is open', {
      fix: 'run `skein pair` on the other device',
    })
  }
  const settle = (window: AbortController, isPaired: boolean): void => {
    // A window that was closed, or opened anew since, owes this pairing nothing
    if (held?.controller !== window) return
    if (isPaired) return close('paired')
    held = { ...held, failures: held.failures + 1 }
    if (held.codesLeft === 0) return close('codes')
    held = { ...held, offer: newOffer(env, home, held) }
    emitter.emit('pair.offered', view())
  }
  const claim = (offer: PairingOffer): PairingClaim => {
    const window = stillOpen()
    if (window.offer !== offer) throw new SkeinError('pair.busy', 'that code was just used')
    const { controller } = window
    held = { ...window, offer: undefined, codesLeft: window.codesLeft - 1 }
    return { signal: controller.signal, settle: once((isPaired: boolean) => settle(controller, isPaired)) }
  }
  return {
    events: emitter,
    get isOpen() {
      return held !== undefined && env.clock.monotonicMs() < held.closesAtMs
    },
    view,
    open(methods = ['secret', 'code', 'compare']) {
      close('person')
      held = newWindow(env, home, methods, () => close('time'))
      emitter.emit('pair.opened', view())
      return view()
    },
    close,
    offer() {
      const { offer } = stillOpen()
      if (offer === undefined) throw new SkeinError('pair.busy', 'another device is pairing right now')
      return offer
    },
    claim,
    stray() {
      if (held !== undefined) held = { ...held, strays: held.strays + 1 }
    },
    report: (name, payload) => emitter.emit(name, payload),
    [Symbol.dispose]: () => close('stopped'),
  }
}

function once(work: (isPaired: boolean) => void): (isPaired: boolean) => void {
  let isDone = false
  return (isPaired) => {
    if (isDone) return
    isDone = true
    work(isPaired)
  }
}

function viewOf(env: Env, held: OpenWindow | undefined): PairingWindowView {
  return {
    isOpen: held !== undefined,
    closesInMs: held === undefined ? 0 : Math.max(0, held.closesAtMs - env.clock.monotonicMs()),
    codesLeft: held?.codesLeft ?? 0,
    failures: held?.failures ?? 0,
    strays: held?.strays ?? 0,
    code: held?.offer?.text,
  }
}

function newWindow(
  env: Env,
  home: PairingHome,
  methods: readonly PairingMethod[],
  onTime: () => void,
): OpenWindow {
  const closesAtMs = env.clock.monotonicMs() + limits.pairWindowMs
  return {
    methods,
    closesAtMs,
    timer: env.clock.setTimer(limits.pairWindowMs, onTime),
    controller: new AbortController(),
    codesLeft: limits.pairCodes,
    failures: 0,
    strays: 0,
    offer: newOffer(env, home, { methods, closesAtMs }),
  }
}

function newOffer(
  env: Env,
  home: PairingHome,
  window: Pick<OpenWindow, 'methods' | 'closesAtMs'>,
): NonNullable<OpenWindow['offer']> {
  const secret = env.random.bytes(16)
  const short: ShortCode = newShortCode(env.random)
  const expiresMs = env.clock.nowMs() + (window.closesAtMs - env.clock.monotonicMs())
  const long = showLongCode({ peerId: home.peerId(), secret, expiresMs, addresses: home.addresses() })
  const has = (method: PairingMethod): boolean => window.methods.includes(method)
  return {
    secret: has('secret') ? secret : undefined,
    short: has('code') ? short : undefined,
    mayCompare: has('compare'),
    text: { long: has('secret') ? long : '', short: has('code') ? showShortCode(short) : '' },
  }
}
