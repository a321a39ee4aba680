/** P35, second half: nobody is reported down unless something happened between the two. */
import type { FaultRecord } from '../faults.ts'
import type { LinkChange, MeshPeer } from '../mesh-peer.ts'
import type { World } from '../world.ts'

/** A fault's consequences are over by then: silence until the cut, a back-off, another dial. */
const aftermathMs = 15_000

export interface AlarmCheck {
  changed(change: LinkChange): void
  /** @throws for the first false alarm since the last call. */
  check(): void
}

export function createAlarmCheck(world: World, faults: FaultRecord, peers: readonly MeshPeer[]): AlarmCheck {
  const falseAlarms: string[] = []
  return {
    changed({ atMs, observer, deviceId, kind, reason }) {
      if (kind !== 'down' || reason === 'revoked') return
      const target = peers.find((peer) => peer.deviceId === deviceId)
      if (target === undefined) return
      // Leaving at the end of the scenario is no fault, and a goodbye is no alarm
      if (reason === 'left' && target.keeper === undefined) return
      const lastMs = faults.lastFaultMs(observer, target, reason === 'silent' || reason === 'one-way')
      if (lastMs !== undefined && atMs - lastMs <= aftermathMs) return
      falseAlarms.push(
        `${observer.name} reported ${target.name} down (${reason}) at ${atMs.toFixed(0)} without a fault`,
      )
    },
    check() {
      const [first] = falseAlarms
      if (first !== undefined) throw new Error(`${first}, seed ${world.seed}`)
    },
  }
}
