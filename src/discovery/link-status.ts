/** What the link to one member looks like from outside. */
import type { DeviceId, PeerId } from '../base/ids.ts'
import type { Connection } from '../base/link.ts'
import type { LinkState } from './link-surroundings.ts'
import type { MemberLink } from './member-link.ts'

export interface LaneStatus {
  readonly encryption: Connection['encryption']
  readonly direction: Connection['direction']
  readonly address: string
}

export interface LinkStatus {
  readonly deviceId: DeviceId
  /** The key of the connection in use; the newest valid one when there is none. */
  readonly peerId: PeerId
  /** Our own key of the connection in use. */
  readonly ownPeerId: PeerId | undefined
  readonly state: LinkState['life']
  /** Monotonic ms at which `state` began. */
  readonly sinceMs: number
  readonly rttMs: number | undefined
  readonly control: LaneStatus | undefined
  readonly bulk: LaneStatus | undefined
  /** Connections that are ready, of either lane, being drained included. */
  readonly connectionCount: number
  /** Over the connections held now: less than before once one was replaced. */
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly reason: LinkState['reason']
}

/** @param newestKey of the member, for when no connection says which key it uses. */
export function statusOf(link: MemberLink, newestKey: PeerId): LinkStatus {
  const { life, sinceMs, reason, line } = link.state
  return {
    deviceId: link.deviceId,
    peerId: line?.peerId ?? newestKey,
    ownPeerId: line?.ownPeerId,
    state: life,
    sinceMs,
    rttMs: line?.rttMs,
    control: laneStatus(line?.connection),
    bulk: laneStatus(link.best('bulk')?.connection),
    connectionCount: link.lines.length,
    receivedBytes: link.lines.reduce((sum, { connection }) => sum + connection.bytesRead(), 0),
    sentBytes: link.lines.reduce((sum, { connection }) => sum + connection.bytesWritten(), 0),
    reason,
  }
}

function laneStatus(connection: Connection | undefined): LaneStatus | undefined {
  if (connection === undefined) return undefined
  const { encryption, direction, address } = connection
  return { encryption, direction, address }
}
