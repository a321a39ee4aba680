/**
 * Pairing as a person sees it: the window on a device of the mesh, with its codes and the confirmation, and joining
 * by a code on a new device. Connects the pairing protocol (auth/pairing-*.ts) to the network and to the verbs.
 */
import type { Env } from '../base/env.ts'
import { asSkeinError, SkeinError, toWireError } from '../base/errors.ts'
import { encodeId } from '../base/ids.ts'
import type { Connection } from '../base/link.ts'
import { errorFields } from '../base/log.ts'
import { createQueue } from '../base/queue.ts'
import type { Queue } from '../base/queue.ts'
import type { Scope } from '../base/scope.ts'
import type { PeerApi } from './api.ts'
import type { Role } from './api-device.ts'
import type { PairEvent } from './api-pairing.ts'
import type { Audit } from './auth/audit.ts'
import type { Identity } from './auth/keys.ts'
import type { MeshKeys } from './auth/mesh-keys.ts'
import { hostPairing } from './auth/pairing-host.ts'
import type { PairingAnswer, PairingRequest } from './auth/pairing-host.ts'
import type { PairingCloseReason, PairingWindow } from './auth/pairing-window.ts'
import { pairingProtocol } from './auth/pairing.ts'
import type { Roster } from './auth/roster.ts'
import type { EventBus } from './event-bus.ts'
import type { Mesh } from './mesh.ts'

export interface PairingParts {
  readonly identity: Identity
  readonly roster: Roster
  readonly meshKeys: MeshKeys
  readonly window: PairingWindow
  readonly mesh: Mesh
  readonly audit: Audit
  readonly bus: EventBus
  readonly questions: Questions
}

/** Questions that wait for a person, by request id. */
export interface Questions {
  /** @returns the request id and the answer to come; false when the signal aborts first. */
  ask(signal: AbortSignal): { readonly requestId: string; readonly answer: Promise<Answer> }
  /** @throws `not.found`. */
  answer(requestId: string, answer: Answer): void
}

export interface Answer {
  readonly accept: boolean
  readonly role?: Role | undefined
}

export function createQuestions(env: Env): Questions {
  const open = new Map<string, (answer: Answer) => void>()
  return {
    ask(signal) {
      const requestId = encodeId(env.random.bytes(16))
      const { promise, resolve } = Promise.withResolvers<Answer>()
      open.set(requestId, resolve)
      const onAbort = (): void => resolve({ accept: false })
      signal.addEventListener('abort', onAbort, { once: true })
      const answer = promise.finally(() => {
        open.delete(requestId)
        signal.removeEventListener('abort', onAbort)
      })
      return { requestId, answer }
    },
    answer(requestId, answer) {
      const resolve = open.get(requestId)
      if (resolve === undefined) {
        throw new SkeinError('not.found', 'nothing waits for this answer any more', {
          fix: 'start again: skein pair',
        })
      }
      resolve(answer)
    },
  }
}

/** Events beyond this wait for the reader of the stream. */
const eventsAhead = 64
const closeReasons: Readonly<Record<PairingCloseReason, 'joined' | 'expired' | 'codes-used' | 'cancelled'>> =
  {
    paired: 'joined',
    time: 'expired',
    codes: 'codes-used',
    person: 'cancelled',
    stopped: 'cancelled',
  }

/** Serves the protocol and gives the host's verb. */
export function startPairing(
  env: Env,
  scope: Scope,
  parts: PairingParts,
): Pick<PeerApi, 'pair' | 'pairConfirm'> {
  const { window, mesh, questions, bus, audit } = parts
  // The one stream that has the window open; nobody there = nobody to confirm = refused
  let person: { readonly events: Queue<PairEvent>; readonly role: Role; addressOf: string } | undefined
  const tell = (event: PairEvent): void => void person?.events.offer(event)

  const confirm = async (request: PairingRequest, signal: AbortSignal): Promise<PairingAnswer> => {
    if (person === undefined) return { accept: false }
    const { requestId, answer } = questions.ask(signal)
    const { name, kind, peerId } = request
    const { role } = person
    bus.publish('pair.requested', { name, kind })
    tell({ kind: 'confirm', requestId, name, deviceKind: kind, peerId, role, address: person.addressOf })
    const given = await answer
    if (!given.accept) return { accept: false }
    return { accept: true, role: given.role ?? role }
  }
  const compare = async (digits: string, signal: AbortSignal): Promise<boolean> => {
    const { requestId, answer } = questions.ask(signal)
    tell({ kind: 'compare', requestId, digits })
    return (await answer).accept
  }
  const serve = (channel: Parameters<typeof hostPairing>[1], connection: Connection): Promise<void> => {
    if (person !== undefined) person.addressOf = connection.address
    return hostPairing(env, channel, connection.peerId, { ...parts, confirm, compare }).then(
      () => undefined,
      (error: unknown) =>
        env.log.info('pairing failed', { peerId: connection.peerId, ...errorFields(error) }),
    )
  }
  scope.own(mesh.onHost((host) => host.handle(pairingProtocol, 'pairing', serve)))
  scope.own(window)
  followWindow(env, scope, parts, tell)

  return {
    pairConfirm({ requestId, accept, role }) {
      questions.answer(requestId, { accept, role })
      return Promise.resolve({})
    },
    async *pair({ role = 'full' }, call) {
      if (person !== undefined)
        throw new SkeinError('pair.busy', 'a pairing window is open already', {
          fix: 'finish it, or end the other skein pair',
        })
      const own = { events: createQueue<PairEvent>(eventsAhead), role, addressOf: '' }
      person = own
      try {
        const view = window.open()
        bus.publish('pair.opened', { expiresAtMs: env.clock.nowMs() + view.closesInMs })
        await audit.record('pair', { act: 'window opened', role })
        for (;;) {
          const event = await own.events.take(call.signal)
          if (event === undefined) return
          yield event
          if (event.kind === 'closed') return
        }
      } finally {
        person = undefined
        window.close('person')
      }
    },
  }
}

/** Tells the person, the network and the log what becomes of the window. */
function followWindow(env: Env, scope: Scope, parts: PairingParts, tell: (event: PairEvent) => void): void {
  const { window, mesh, bus, audit } = parts
  const note = (kind: 'pair' | 'pair.failed', fields: Readonly<Record<string, string>>): void => {
    audit
      .record(kind, fields)
      .catch((error: unknown) => env.log.error('audit not written', errorFields(error)))
  }
  const { events } = window
  scope.own(
    events.on('pair.opened', ({ code, closesInMs }) => {
      mesh.finder.setPairing(plateOf(code?.short))
      const expiresAtMs = Math.round(env.clock.nowMs() + closesInMs)
      tell({ kind: 'opened', shortCode: code?.short ?? '', longCode: code?.long ?? '', expiresAtMs })
    }),
  )
  scope.own(
    events.on('pair.offered', ({ code, codesLeft }) => {
      mesh.finder.setPairing(plateOf(code?.short))
      tell({ kind: 'code', shortCode: code?.short ?? '', codesLeft })
    }),
  )
  scope.own(
    events.on('pair.failed', ({ reason, peerId }) => {
      tell({ kind: 'failed', error: toWireError(new SkeinError('pair.failed', reason)) })
      bus.publish('pair.failed', { reason })
      note('pair.failed', { reason, peerId })
    }),
  )
  scope.own(
    events.on('pair.joined', ({ deviceId, peerId, name }) => {
      tell({ kind: 'joined', requestId: '', deviceId, name })
      note('pair', { act: 'joined', device: deviceId, peerId })
    }),
  )
  scope.own(
    events.on('pair.closed', ({ reason }) => {
      mesh.finder.setPairing(undefined)
      // Strangers that hold a connection have nothing to do here any more
      for (const host of mesh.keeper.hosts()) host.recheck()
      tell({ kind: 'closed', reason: closeReasons[reason] })
      bus.publish('pair.closed', { reason })
    }),
  )
}

/** The public part of a short code: its first two characters. */
const plateOf = (shortCode: string | undefined): string => shortCode?.slice(0, 2) ?? ''

/** What a failed attempt says to the person who tried. */
export const describePairingFailure = (error: unknown): SkeinError => {
  const known = asSkeinError(error)
  if (known.fix !== undefined) return known
  return new SkeinError(known.code, known.message, {
    cause: error,
    fix: 'ask the other device for a new code: skein pair',
  })
}
