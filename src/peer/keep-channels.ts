/**
 * One long-lived channel of a protocol with each member: the device with the lower id opens it whenever the link
 * comes up, the channel ended while it is up, or its lane moved to another connection; the other one takes it.
 * Features get channels and never dial; a second channel of a device takes the place of the first.
 */
import { backoffMs } from '../base/backoff.ts'
import type { Channel } from '../base/channel.ts'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Lane } from '../base/link.ts'
import { errorFields } from '../base/log.ts'
import type { Scope } from '../base/scope.ts'
import type { Mesh } from './mesh.ts'

export interface KeptProtocol {
  readonly mesh: { readonly keeper: Pick<Mesh['keeper'], 'open' | 'handle' | 'path' | 'events' | 'status'> }
  readonly self: DeviceId
  readonly protocol: string
  readonly lane: Lane
  /** Takes over the channel; closes the one it had of this device when nothing needs that any more. */
  readonly attach: (deviceId: DeviceId, channel: Channel) => void
  /** With whom this protocol is spoken, where not with everybody: nobody else gets a channel, nor keeps one. */
  readonly wanted?: WantedDevices
}

export interface WantedDevices {
  has(deviceId: DeviceId): boolean
  /** The answer may be another one now. */
  onChanged(listener: () => void): Disposable
}

const reopenBackoff = { firstMs: 100, maxMs: 5_000 }
/** A bulk connection follows control by this much at most; until then nothing is begun on control in its place. */
const bulkPatienceMs = 1_000
const lookAgainMs = 50

export function keepChannels(env: Env, scope: Scope, kept: KeptProtocol): void {
  const { keeper } = kept.mesh
  const open = new Map<DeviceId, { readonly channel: Channel; readonly pathId: string | undefined }>()
  const busy = new Set<DeviceId>()
  const pathId = (deviceId: DeviceId): string | undefined => keeper.path(deviceId, kept.lane)?.id
  const attachments = createAttachments(kept)
  const isDue = (deviceId: DeviceId): boolean => {
    const wanted = attachments.isWanted(deviceId) ? pathId(deviceId) : undefined
    return wanted !== undefined && open.get(deviceId)?.pathId !== wanted
  }

  /** Waits a little for the lane's own connection: what begins on another one stays there to its end. */
  const ownLane = async (deviceId: DeviceId, signal: AbortSignal): Promise<void> => {
    const untilMs = env.clock.monotonicMs() + bulkPatienceMs
    while (keeper.path(deviceId, kept.lane)?.lane !== kept.lane && env.clock.monotonicMs() < untilMs)
      await sleep(env.clock, lookAgainMs, signal)
  }
  const openOne = async (deviceId: DeviceId, signal: AbortSignal): Promise<void> => {
    await ownLane(deviceId, signal)
    // Asked before: when it moves meanwhile the channel is opened once more, rather than left where it should not be
    const before = pathId(deviceId)
    const channel = await keeper.open(deviceId, kept.protocol, kept.lane, signal)
    open.set(deviceId, { channel, pathId: before })
    attachments.attach(deviceId, channel)
    void channel.closed.then(() => {
      if (open.get(deviceId)?.channel !== channel) return
      open.delete(deviceId)
      start(deviceId)
    })
  }
  /** Tries until it is open where it should be, or the link is down. */
  const follow = async (deviceId: DeviceId, signal: AbortSignal): Promise<void> => {
    for (let attempt = 0; isDue(deviceId);) {
      try {
        await openOne(deviceId, signal)
        attempt = 0
      } catch (error) {
        if (signal.aborted) throw error
        // because: an older or limited peer may not serve this; the link itself is fine
        env.log.debug('channel not opened', { deviceId, protocol: kept.protocol, ...errorFields(error) })
        await sleep(env.clock, backoffMs(attempt++, reopenBackoff, env.random), signal)
      }
    }
  }
  const start = (deviceId: DeviceId): void => {
    if (kept.self > deviceId || busy.has(deviceId) || !isDue(deviceId)) return
    busy.add(deviceId)
    scope.spawn(`channel ${kept.protocol}`, async (signal) => {
      try {
        await follow(deviceId, signal)
      } finally {
        busy.delete(deviceId)
      }
      start(deviceId)
    })
  }
  scope.own(keeper.handle(kept.protocol, (channel, deviceId) => attachments.attach(deviceId, channel)))
  scope.own(keeper.events.on('link.up', ({ deviceId }) => start(deviceId)))
  // Links that came up while the rest of the peer was still starting
  for (const { deviceId } of keeper.status()) start(deviceId)
  scope.own(
    keeper.events.on('lane.moved', ({ deviceId, lane }) => {
      if (lane === kept.lane) start(deviceId)
    }),
  )
  const recheck = (): void => {
    attachments.endUnwanted()
    for (const { deviceId } of keeper.status()) start(deviceId)
  }
  if (kept.wanted !== undefined) scope.own(kept.wanted.onChanged(recheck))
}

/** The channels of both directions: handed on while they are wanted, ended when they are not or no more. */
function createAttachments({ wanted, protocol, attach }: KeptProtocol): {
  isWanted(deviceId: DeviceId): boolean
  attach(deviceId: DeviceId, channel: Channel): void
  endUnwanted(): void
} {
  const attached = new Map<DeviceId, Set<Channel>>()
  const isWanted = (deviceId: DeviceId): boolean => wanted?.has(deviceId) ?? true
  const end = (channel: Channel): void =>
    channel.abort(new SkeinError('auth.denied', `${protocol} is not for this device`))
  return {
    isWanted,
    attach(deviceId, channel) {
      if (!isWanted(deviceId)) return end(channel)
      const channels = attached.get(deviceId) ?? new Set()
      attached.set(deviceId, channels.add(channel))
      void channel.closed.then(() => channels.delete(channel))
      attach(deviceId, channel)
    },
    endUnwanted() {
      for (const [deviceId, channels] of attached) if (!isWanted(deviceId)) channels.forEach(end)
    },
  }
}
