/**
 * One long-lived channel of a protocol with each member: the device with the lower id opens it whenever the link
 * comes up or the channel ended while it is up; the other one takes it. Features get channels and never dial.
 */
import { backoffMs } from '../base/backoff.ts'
import type { Channel } from '../base/channel.ts'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Lane } from '../base/link.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { Mesh } from './mesh.ts'

export interface KeptProtocol {
  readonly mesh: Mesh
  readonly self: DeviceId
  readonly protocol: string
  readonly lane: Lane
  /** Takes over the channel. */
  readonly attach: (deviceId: DeviceId, channel: Channel) => void
}

const reopenBackoff = { firstMs: 100, maxMs: 5_000 }
/** What is under way on a channel whose connection was replaced gets this long to finish. */
const drainMs = 20_000

export function keepChannels(env: Env, scope: Scope, kept: KeptProtocol): void {
  const { keeper } = kept.mesh
  const open = new Map<DeviceId, Channel>()
  const busy = new Set<DeviceId>()

  const openOne = async (deviceId: DeviceId, signal: AbortSignal): Promise<void> => {
    const channel = await keeper.open(deviceId, kept.protocol, kept.lane, signal)
    const before = open.get(deviceId)
    open.set(deviceId, channel)
    kept.attach(deviceId, channel)
    void channel.closed.then(() => {
      if (open.get(deviceId) !== channel) return
      open.delete(deviceId)
      start(deviceId)
    })
    if (before === undefined) return
    // The connection under it was replaced: the new channel serves from here, the old one may finish
    scope.spawn('drain channel', async (drainSignal) => {
      await sleep(env.clock, drainMs, drainSignal)
      await before.close()
    })
  }
  /** Tries until it is open or the link is down. */
  const follow = async (deviceId: DeviceId, signal: AbortSignal): Promise<void> => {
    for (let attempt = 0; keeper.rpc(deviceId) !== undefined; attempt++) {
      try {
        return await openOne(deviceId, signal)
      } catch (error) {
        if (signal.aborted) throw error
        // because: an older or limited peer may not serve this; the link itself is fine
        env.log.debug('channel not opened', { deviceId, protocol: kept.protocol, ...errorFields(error) })
        await sleep(env.clock, backoffMs(attempt, reopenBackoff, env.random), signal)
      }
    }
  }
  const start = (deviceId: DeviceId): void => {
    if (busy.has(deviceId) || keeper.rpc(deviceId) === undefined) return
    busy.add(deviceId)
    scope.spawn(`channel ${kept.protocol}`, async (signal) => {
      try {
        await follow(deviceId, signal)
      } finally {
        busy.delete(deviceId)
      }
      // The link may have come up again while this attempt was giving up
      if (!open.has(deviceId)) start(deviceId)
    })
  }
  scope.own(keeper.handle(kept.protocol, (channel, deviceId) => kept.attach(deviceId, channel)))
  scope.own(
    keeper.events.on('link.up', ({ deviceId }) => {
      if (kept.self < deviceId) start(deviceId)
    }),
  )
}
