/** One dial to one key of a member, all its addresses, within limits.dialMs; tells the address book how it went. */
import { withDeadline } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Connection, Host, Lane } from '../base/link.ts'

export interface DialSurroundings {
  readonly env: Env
  addressesOf(peerId: PeerId): readonly string[]
  learned(peerId: PeerId, address: string, outcome: 'worked' | 'failed'): void
}

export interface DialRequest {
  readonly host: Host
  readonly peerId: PeerId
  readonly lane: Lane
  readonly signal: AbortSignal
}

/** @throws `peer.gone`, `auth.denied`, `deadline.exceeded` or the signal's reason. */
export async function dialHost(around: DialSurroundings, request: DialRequest): Promise<Connection> {
  const { host, peerId, lane, signal } = request
  const addresses = around.addressesOf(peerId).slice(0, limits.addressesPerPeer)
  if (addresses.length === 0) throw new SkeinError('peer.gone', 'no address known')
  const dial = async (inner: AbortSignal): Promise<Connection> => {
    const connection = await host.dial(peerId, addresses, { lane, signal: inner })
    // Too late for whoever waited: nobody would ever close it
    if (inner.aborted) connection.abort(new SkeinError('cancelled', 'dial came too late'))
    return connection
  }
  try {
    return await withDeadline(around.env.clock, { timeoutMs: limits.dialMs, what: 'dial', signal }, dial)
  } catch (error) {
    if (!signal.aborted) for (const address of addresses) around.learned(peerId, address, 'failed')
    throw error
  }
}
