/** What a link to one member is given, and what it says of itself. */
import type { Env } from '../base/env.ts'
import type { DeviceId, PeerId } from '../base/ids.ts'
import type { Host } from '../base/link.ts'
import type { RpcMethods } from '../base/rpc-methods.ts'
import type { Life } from './detector.ts'
import type { Line, LineEnd, LinkRemote } from './line.ts'
import type { Hello } from './link.ts'
import type { Pulses } from './pulse.ts'

export interface Member {
  readonly deviceId: DeviceId
  /** Keys that are valid now, the newest first. */
  readonly peerIds: readonly PeerId[]
}

/** What the keeper shares with the links of all members. */
export interface LinkSurroundings {
  readonly env: Env
  readonly own: Omit<Hello, 'lane' | 'replaces' | 'pulse'>
  /** Absent where no datagrams can be sent. */
  readonly pulses: Pulses | undefined
  readonly methods: RpcMethods<LinkRemote>
  /** Own hosts, the newest key first, hosts being retired last. */
  hosts(): readonly Host[]
  isRetiring(ownPeerId: PeerId): boolean
  addressesOf(peerId: PeerId): readonly string[]
  learned(peerId: PeerId, address: string, outcome: 'worked' | 'failed'): void
  /** The state or the line in use has changed. */
  changed(link: LinkView, previous: LinkState): void
  /** Asks for a tick at this moment (monotonic ms). */
  wakeAt(atMs: number): void
}

/** The link to one member as others see it. */
export interface LinkView {
  readonly deviceId: DeviceId
  readonly state: LinkState
}

export interface LinkState {
  readonly life: 'never' | Exclude<Life, 'dead'>
  readonly sinceMs: number
  readonly reason: LineEnd | 'one-way' | undefined
  readonly line: Line | undefined
}
