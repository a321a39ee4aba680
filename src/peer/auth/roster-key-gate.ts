/**
 * Which key lets in which member, asked at every handshake. A key in use counts; a rotated-out one counts until its
 * overlap is over on this device's clock; a key of a removed device, and one that two members claim, never counts.
 */
import type { Clock } from '../../base/clock.ts'
import type { DeviceId, PeerId } from '../../base/ids.ts'
import type { RosterState } from './roster-state.ts'
import { membersOf } from './roster-state.ts'
import type { StatementHash } from './statement.ts'

export interface KeyGate {
  deviceOf(peerId: PeerId): DeviceId | undefined
}

interface Claim {
  readonly deviceId: DeviceId
  /** Wall-clock span in which a retired key is let in; undefined for a key in use. */
  readonly span: { readonly fromMs: number; readonly lengthMs: number } | undefined
}

/** @param seenMs wall clock at which this device first saw a statement. */
export function createKeyGate(
  clock: Clock,
  state: RosterState,
  seenMs: (hash: StatementHash) => number | undefined,
): KeyGate {
  const claims = new Map<PeerId, Claim | 'refused'>()
  const claim = (key: PeerId, entry: Claim): void => {
    const other = claims.get(key)
    const isSame = other === undefined || (other !== 'refused' && other.deviceId === entry.deviceId)
    claims.set(key, isSame ? entry : 'refused')
  }
  for (const device of state.devices.values()) {
    if (device.removed !== undefined) for (const key of device.keys) claims.set(key, 'refused')
  }
  for (const device of membersOf(state)) {
    // A device whose rotations contradict each other has no key at all: neither side is believed
    if (device.key === undefined) continue
    for (const { key, by, overlapMs } of device.retired) {
      const fromMs = seenMs(by)
      if (fromMs !== undefined && key !== device.key)
        claim(key, { deviceId: device.deviceId, span: { fromMs, lengthMs: overlapMs } })
    }
    claim(device.key, { deviceId: device.deviceId, span: undefined })
  }
  return {
    deviceOf(peerId) {
      const found = claims.get(peerId)
      if (found === undefined || found === 'refused') return undefined
      if (found.span === undefined) return found.deviceId
      // A clock set back must not reopen it: outside the span either way it is over, and stays over
      if (Math.abs(clock.nowMs() - found.span.fromMs) < found.span.lengthMs) return found.deviceId
      claims.set(peerId, 'refused')
      return undefined
    },
  }
}
