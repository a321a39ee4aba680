/**
 * The host's side of a pairing: proves the code, asks its person, adds the device, hands over roster and mesh key.
 * The code is claimed with the first message that names it and is settled exactly once, whatever happens.
 */
import type { Channel } from '../../base/channel.ts'
import { withDeadline } from '../../base/clock.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { DeviceId, PeerId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { deviceIdOf, publicKeyOf } from './device-key.ts'
import type { Identity } from './keys.ts'
import type { MeshKeys } from './mesh-keys.ts'
import { startHost } from './pairing-machine.ts'
import type { PairingOffer } from './pairing-machine.ts'
import { createMailbox } from './pairing-mailbox.ts'
import type { PairingKeys, PairingMethod } from './pairing-proof.ts'
import type { PairingClaim, PairingWindow } from './pairing-window.ts'
import type { Compare, PairingLine, SealedLine } from './pairing.ts'
import { failPairing, pagesOf, partiesOf, prove, sealLine } from './pairing.ts'
import type { Roster } from './roster.ts'
import type { Grant, Role } from './statement.ts'

/** What the host's person is shown. The name is checked (device-name.ts) and still is somebody else's text. */
export interface PairingRequest {
  readonly peerId: PeerId
  readonly deviceId: DeviceId
  readonly name: string
  readonly kind: Parameters<Roster['add']>[0]['kind']
  readonly method: PairingMethod
  /** What it gets unless the person says otherwise. */
  readonly role: Role
  readonly grants: readonly Grant[]
}

export type PairingAnswer =
  | { readonly accept: true; readonly role: Role; readonly grants?: readonly Grant[]; readonly name?: string }
  | { readonly accept: false }

export interface PairingHost {
  readonly identity: Identity
  readonly roster: Roster
  readonly meshKeys: MeshKeys
  readonly window: PairingWindow
  /** Asks the person; aborted when the window closes or limits.pairConfirmMs are over. */
  confirm(request: PairingRequest, signal: AbortSignal): Promise<PairingAnswer>
  readonly compare: Compare
}

export interface PairedDevice {
  readonly deviceId: DeviceId
  readonly peerId: PeerId
  readonly name: string
  readonly role: Role
  /** True once the joiner said that it stored the roster; if not, it is a member and will catch up or be removed. */
  readonly hasJoined: boolean
}

/**
 * Serves one pairing channel to its end.
 * @param remote PeerId the connection authenticated.
 * @throws `pair.closed`, `pair.busy`, `pair.failed`, `auth.denied`, `deadline.exceeded`, `channel.*`.
 */
export async function hostPairing(
  env: Env,
  channel: Channel,
  remote: PeerId,
  host: PairingHost,
): Promise<PairedDevice> {
  const { window } = host
  const controller = new AbortController()
  const holding: Holding = { claim: undefined, isSettled: false, controller }
  const line: PairingLine = {
    env,
    channel,
    signal: controller.signal,
    mailbox: createMailbox(env, channel, controller.signal),
  }
  try {
    const { keys, method } = await proveToHost(line, remote, { host, holding })
    const paired = await admit(sealLine(line, keys, 'host'), line, { host, remote, method })
    // Before the window closes: who watches it learns why
    window.report('pair.joined', { deviceId: paired.deviceId, peerId: remote, name: paired.name })
    settle(holding, true)
    await channel.close()
    return paired
  } catch (error) {
    settle(holding, false)
    const reason = failPairing(line, error)
    // A stranger that knew no code is no news: it would let anybody fill the person's screen
    if (holding.claim !== undefined) window.report('pair.failed', { reason: reason.message, peerId: remote })
    throw reason
  } finally {
    holding.claim?.signal.removeEventListener('abort', holding.onAbort ?? (() => undefined))
  }
}

interface Holding {
  claim: PairingClaim | undefined
  onAbort?: () => void
  isSettled: boolean
  readonly controller: AbortController
}

function settle(holding: Holding, isPaired: boolean): void {
  if (holding.isSettled) return
  holding.isSettled = true
  // The window's own close must not cut off what has just succeeded
  if (holding.onAbort !== undefined) holding.claim?.signal.removeEventListener('abort', holding.onAbort)
  holding.claim?.settle(isPaired)
}

interface HostProof {
  readonly host: PairingHost
  readonly holding: Holding
}

async function proveToHost(
  line: PairingLine,
  remote: PeerId,
  { host, holding }: HostProof,
): Promise<{ readonly keys: PairingKeys; readonly method: PairingMethod }> {
  const { window, identity } = host
  if (host.roster.self()?.role !== 'full')
    throw new SkeinError('auth.denied', 'only a full device lets others in')
  // Taken once: the machine and the claim must speak of the same code
  const offer: PairingOffer = window.offer()
  const state = startHost(partiesOf(line.env, identity.key.peerId, remote), offer)
  let method: PairingMethod | undefined
  const keys = await prove(
    line,
    { state, send: [] },
    {
      compare: (digits, signal) => host.compare(digits, signal),
      moved(before, after) {
        method = after.method
        if (before.stage.at !== 'hello' || after.stage.at === 'hello') return
        // Before the reply goes out: what is claimed is used up, whatever the newcomer does next
        const claim = window.claim(offer)
        holding.claim = claim
        holding.onAbort = () => holding.controller.abort(claim.signal.reason)
        claim.signal.addEventListener('abort', holding.onAbort, { once: true })
      },
    },
  ).catch((error: unknown) => {
    if (holding.claim === undefined) window.stray()
    throw error
  })
  if (method === undefined) throw new SkeinError('internal', 'proved without a method')
  return { keys, method }
}

interface Newcomer {
  readonly host: PairingHost
  readonly remote: PeerId
  readonly method: PairingMethod
}

async function admit(
  sealed: SealedLine,
  line: PairingLine,
  { host, remote, method }: Newcomer,
): Promise<PairedDevice> {
  const { roster, meshKeys } = host
  const about = await sealed.expect(limits.pairStepMs, 'about')
  const publicKey = publicKeyOf(remote)
  const deviceId = deviceIdOf(publicKey)
  checkNewcomer(roster, remote, deviceId)
  const request = {
    peerId: remote,
    deviceId,
    name: about.name,
    kind: about.kind,
    method,
    role: 'full',
    grants: [],
  } as const
  const answer = await line.mailbox.quietly(
    withDeadline(
      line.env.clock,
      { timeoutMs: limits.pairConfirmMs, what: 'the confirmation', signal: line.signal },
      (signal) => host.confirm(request, signal),
    ),
  )
  if (!answer.accept) {
    await sealed.send({ t: 'refused' })
    throw new SkeinError('pair.failed', 'refused on this device')
  }
  const name = answer.name ?? about.name
  await roster.add({ publicKey, name, kind: about.kind, role: answer.role, grants: answer.grants ?? [] })
  const pages = pagesOf(roster.since([]))
  await sealed.send({ t: 'welcome', mesh: roster.mesh, pages: pages.length, key: meshKeys.current().bytes })
  for (const statements of pages) await sealed.send({ t: 'page', statements })
  // It is a member by now: whether it heard so is news, not a failure
  const hasJoined = await sealed.expect(limits.pairConfirmMs, 'joined').then(
    () => true,
    () => false,
  )
  return { deviceId, peerId: remote, name, role: answer.role, hasJoined }
}

function checkNewcomer(roster: Roster, remote: PeerId, deviceId: DeviceId): void {
  const known = [...roster.state.devices.values()].find(
    (device) => device.deviceId === deviceId || device.keys.includes(remote),
  )
  if (known === undefined) return
  if (known.removed === undefined) throw new SkeinError('pair.failed', 'that device is in this mesh already')
  throw new SkeinError('pair.failed', 'that device was removed from this mesh', {
    fix: 'run `skein leave` on it: it gets a new identity, then pair again',
  })
}
