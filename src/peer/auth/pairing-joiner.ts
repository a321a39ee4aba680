/**
 * The joiner's side of a pairing: shows that it knows the code, tells its name, checks what it is given and adopts it.
 * A device that is in a mesh with others does not leave it on the way: it is told to leave first.
 */
import type { Channel } from '../../base/channel.ts'
import type { Env } from '../../base/env.ts'
import { hasCode, SkeinError } from '../../base/errors.ts'
import type { DeviceId, MeshId, PeerId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { deviceIdOf } from './device-key.ts'
import type { Identity } from './keys.ts'
import type { MeshKeys } from './mesh-keys.ts'
import type { LongCode, ShortCode } from './pairing-code.ts'
import type { PairingTicket } from './pairing-machine.ts'
import { startJoiner } from './pairing-machine.ts'
import { createMailbox } from './pairing-mailbox.ts'
import type { Compare, PairingLine, SealedLine } from './pairing.ts'
import { failPairing, partiesOf, prove, sealLine } from './pairing.ts'
import { createRosterGraph } from './roster-graph.ts'
import { evaluateGraph, membersOf } from './roster-state.ts'
import type { Roster } from './roster.ts'
import { decodeStatement } from './statement.ts'

/** What the joiner's person has. A long code pins the key of the host. */
export type JoinMeans =
  | { readonly method: 'secret'; readonly code: LongCode }
  | { readonly method: 'code'; readonly code: ShortCode }
  | { readonly method: 'compare' }

export interface PairingJoiner {
  readonly identity: Identity
  readonly roster: Roster
  readonly meshKeys: MeshKeys
  readonly compare: Compare
  /** Both sides have proved the code: now the other person decides. */
  readonly proved?: () => void
  /** Cancels, as when the person gives up. */
  readonly signal?: AbortSignal
}

export interface JoinedMesh {
  readonly mesh: MeshId
  /** The device that let this one in. */
  readonly host: DeviceId
  readonly members: readonly DeviceId[]
}

/** True when this device may join another mesh without losing one. */
export const isAlone = (roster: Roster): boolean => membersOf(roster.state).length <= 1

/** Ends with a clear error before anything is sent, when this device may not join. Call before dialling. */
export function checkMayJoin(roster: Roster): void {
  if (isAlone(roster)) return
  throw new SkeinError('pair.failed', 'this device is in a mesh with other devices', {
    fix: 'run `skein leave` first, or show a code here and join from the other device',
  })
}

/**
 * Joins over one pairing channel.
 * @param remote PeerId the connection authenticated.
 * @throws `pair.failed`, `auth.invalid`, `deadline.exceeded`, `channel.*`, `store.failed`.
 */
export async function joinMesh(
  env: Env,
  { channel, remote }: { readonly channel: Channel; readonly remote: PeerId },
  means: JoinMeans,
  joiner: PairingJoiner,
): Promise<JoinedMesh> {
  const signal = joiner.signal ?? new AbortController().signal
  const line: PairingLine = { env, channel, signal, mailbox: createMailbox(env, channel, signal) }
  try {
    checkMayJoin(joiner.roster)
    checkPin(remote, means)
    const first = startJoiner(partiesOf(env, remote, joiner.identity.key.peerId), ticketOf(means))
    const keys = await prove(line, first, { compare: joiner.compare }).catch((error: unknown) => {
      throw describeCut(error, cutReasonOf(env, means))
    })
    joiner.proved?.()
    return await enterMesh(line, sealLine(line, keys, 'joiner'), { remote, joiner })
  } catch (error) {
    throw failPairing(line, describeCut(error, 'it was not confirmed there, or the window has closed'))
  }
}

/** The other side says nothing to who failed: what its silence means depends on how far things were. */
const cutReasons: Readonly<Record<JoinMeans['method'], string>> = {
  code: 'the code was wrong or is used up',
  secret: 'the code was wrong or is used up',
  compare: 'the digits were not confirmed there, or no pairing window is open',
}

/** The expiry in a long code is only looked at now: the clock of a new device may be years off, the window's is not. */
function cutReasonOf(env: Env, means: JoinMeans): string {
  const isOld = means.method === 'secret' && env.clock.nowMs() > means.code.expiresMs
  return isOld ? 'by the clock of this device the code has expired' : cutReasons[means.method]
}

function describeCut(error: unknown, meaning: string): unknown {
  if (!hasCode(error, 'channel.aborted', 'channel.closed')) return error
  return new SkeinError('pair.failed', `the other device ended the pairing: ${meaning}`, {
    cause: error,
    fix: 'ask it for a new code: skein pair',
  })
}

function checkPin(remote: PeerId, means: JoinMeans): void {
  if (means.method !== 'secret') return
  if (means.code.peerId !== remote) {
    throw new SkeinError('pair.failed', 'the device that answered is not the one that showed the code', {
      fix: 'scan the code again directly from the other screen',
    })
  }
}

function ticketOf(means: JoinMeans): PairingTicket {
  switch (means.method) {
    case 'secret':
      return { method: 'secret', secret: means.code.secret }
    case 'code':
      return { method: 'code', short: means.code }
    case 'compare':
      return { method: 'compare' }
  }
}

async function enterMesh(
  line: PairingLine,
  sealed: SealedLine,
  { remote, joiner }: { readonly remote: PeerId; readonly joiner: PairingJoiner },
): Promise<JoinedMesh> {
  const { identity, roster, meshKeys } = joiner
  // Only a lone device gets here, so its id is nobody else's memory of it
  if (deviceIdOf(identity.key.publicKey) !== identity.deviceId) await identity.rebase()
  line.mailbox.flow()
  await sealed.send({ t: 'about', name: identity.name, kind: identity.kind })
  const answer = await sealed.expect(limits.pairConfirmMs + limits.pairStepMs, 'welcome', 'refused')
  if (answer.t === 'refused') throw new SkeinError('pair.failed', 'the other device refused')
  const statements: Uint8Array[] = []
  for (let page = 0; page < answer.pages; page++) {
    const { statements: more } = await sealed.expect(limits.pairStepMs, 'page')
    statements.push(...more.map((statement) => Uint8Array.from(statement)))
    if (statements.length > limits.rosterStatements)
      throw new SkeinError('limit.exceeded', 'a roster longer than any can be')
  }
  const offered = evaluateGraph(answer.mesh, createRosterGraph(answer.mesh, statements.map(decodeStatement)))
  const host = membersOf(offered).find((device) => device.key === remote && device.role === 'full')
  if (host === undefined)
    throw new SkeinError('auth.invalid', 'the device that was proved is no full member of the roster it sent')
  // The key first: it is of no use without the roster, while a roster without its key could not be told from a loss
  await meshKeys.adopt(answer.key, offered)
  await roster.adopt(answer.mesh, statements)
  await sealed.send({ t: 'joined' })
  return {
    mesh: answer.mesh,
    host: host.deviceId,
    members: membersOf(offered).map((device) => device.deviceId),
  }
}
