/** P35, first half: who can not be heard is not shown as up for longer than 3 s. */
import type { FaultRecord } from '../faults.ts'
import type { MeshPeer } from '../mesh-peer.ts'
import type { World } from '../world.ts'

const boundMs = 3_000
/** What was sent before the fault may still be under way: three retransmissions and the latency. */
const underWayMs = 1_500

export function createDetectionCheck(
  world: World,
  faults: FaultRecord,
  peers: readonly MeshPeer[],
): { check(): void } {
  return {
    check() {
      const nowMs = world.clock.monotonicMs()
      const allowedMs =
        boundMs + (world.weather.lossRate > 0 ? underWayMs : world.weather.latencyMs + world.weather.jitterMs)
      for (const observer of peers) {
        if (!observer.isRunning) continue
        for (const status of observer.keeper?.status() ?? []) {
          const target = peers.find((peer) => peer.deviceId === status.deviceId)
          const sinceMs = target && faults.silentSinceMs(observer, target)
          if (
            sinceMs === undefined ||
            nowMs - sinceMs <= allowedMs ||
            status.state === 'down' ||
            status.state === 'never'
          )
            continue
          throw new Error(
            `${observer.name} shows ${target?.name} as ${status.state} after ${nowMs - sinceMs} ms without a byte`,
          )
        }
      }
    },
  }
}
