/** Two devices, a window, and a wire between them that an attacker may hold. */
import type { Channel } from '../../../src/base/channel.ts'
import type { Env } from '../../../src/base/env.ts'
import type { SkeinError } from '../../../src/base/errors.ts'
import { asSkeinError } from '../../../src/base/errors.ts'
import type { PeerId } from '../../../src/base/ids.ts'
import { createMemoryKeep } from '../../../src/base/keep.ts'
import { silentLog } from '../../../src/base/log.ts'
import { createMemoryChannelPair } from '../../../src/base/memory-channel.ts'
import { noMetrics } from '../../../src/base/metrics.ts'
import { createSeededRandom } from '../../../src/base/random.ts'
import type { VirtualClock } from '../../../src/base/virtual-clock.ts'
import { createVirtualClock } from '../../../src/base/virtual-clock.ts'
import type { Identity } from '../../../src/peer/auth/keys.ts'
import { createIdentity } from '../../../src/peer/auth/keys.ts'
import type { MeshKeys } from '../../../src/peer/auth/mesh-keys.ts'
import { createMeshKeys } from '../../../src/peer/auth/mesh-keys.ts'
import type {
  PairedDevice,
  PairingAnswer,
  PairingHost,
  PairingRequest,
} from '../../../src/peer/auth/pairing-host.ts'
import { hostPairing } from '../../../src/peer/auth/pairing-host.ts'
import type { JoinedMesh, JoinMeans } from '../../../src/peer/auth/pairing-joiner.ts'
import { joinMesh } from '../../../src/peer/auth/pairing-joiner.ts'
import { parseLongCode, parseShortCode } from '../../../src/peer/auth/pairing-code.ts'
import type { PairingWindow } from '../../../src/peer/auth/pairing-window.ts'
import { createPairingWindow } from '../../../src/peer/auth/pairing-window.ts'
import type { Roster } from '../../../src/peer/auth/roster.ts'
import { createRoster } from '../../../src/peer/auth/roster.ts'

export interface TestDevice {
  readonly env: Env & { readonly clock: VirtualClock }
  readonly identity: Identity
  readonly roster: Roster
  readonly meshKeys: MeshKeys
  readonly peerId: PeerId
}

export function testEnv(seed: number): Env & { readonly clock: VirtualClock } {
  return { clock: createVirtualClock(), random: createSeededRandom(seed), log: silentLog, metrics: noMetrics }
}

export async function createDevice(seed: number, name = `device ${seed}`): Promise<TestDevice> {
  const env = testEnv(seed)
  const keep = createMemoryKeep()
  const identity = await createIdentity(env, keep, { name, kind: 'laptop' })
  const roster = await createRoster(env, keep, identity)
  const meshKeys = await createMeshKeys(env, keep, identity, roster.state)
  return { env, identity, roster, meshKeys, peerId: identity.key.peerId }
}

export interface HostSide {
  readonly device: TestDevice
  readonly window: PairingWindow
  readonly asked: PairingRequest[]
  readonly shown: string[]
  answer: PairingAnswer
  isSame: boolean
}

export async function createHostSide(seed: number): Promise<HostSide> {
  const device = await createDevice(seed)
  const home = { peerId: () => device.peerId, addresses: () => ['/ip4/127.0.0.1/tcp/4001'] }
  const window = createPairingWindow(device.env, home)
  return { device, window, asked: [], shown: [], answer: { accept: true, role: 'full' }, isSame: true }
}

/** Serves one channel as the host does; `remote` is what its connection says. */
export function serve(side: HostSide, channel: Channel, remote: PeerId): Promise<PairedDevice | SkeinError> {
  const { device, window } = side
  const host: PairingHost = {
    ...device,
    window,
    confirm(request) {
      side.asked.push(request)
      return Promise.resolve(side.answer)
    },
    compare(digits) {
      side.shown.push(digits)
      return Promise.resolve(side.isSame)
    },
  }
  return hostPairing(device.env, channel, remote, host).catch((error: unknown) => asSkeinError(error))
}

export function join(
  device: TestDevice,
  wire: { readonly channel: Channel; readonly remote: PeerId },
  means: JoinMeans,
  compare: (digits: string) => boolean = () => true,
): Promise<JoinedMesh | SkeinError> {
  const joiner = { ...device, compare: (digits: string) => Promise.resolve(compare(digits)) }
  return joinMesh(device.env, wire, means, joiner).catch((error: unknown) => asSkeinError(error))
}

/** Host and joiner on one honest wire. */
export async function pair(
  side: HostSide,
  joiner: TestDevice,
  means: JoinMeans,
  compare?: (digits: string) => boolean,
) {
  const [left, right] = createMemoryChannelPair('pair')
  const hosted = serve(side, left, joiner.peerId)
  const joined = join(joiner, { channel: right, remote: side.device.peerId }, means, compare)
  return { hosted: await hosted, joined: await joined }
}

export const longMeans = (side: HostSide): JoinMeans => ({
  method: 'secret',
  code: parseLongCode(side.window.view().code?.long ?? ''),
})
export const shortMeans = (side: HostSide): JoinMeans => ({
  method: 'code',
  code: parseShortCode(side.window.view().code?.short ?? ''),
})
export const means = {
  secret: longMeans,
  code: shortMeans,
  compare: (): JoinMeans => ({ method: 'compare' }),
}

/** Forwards both ways, letting `change` look at, replace or drop each message. */
export function relay(
  left: Channel,
  right: Channel,
  change: (from: 'left' | 'right', message: Uint8Array) => Uint8Array | undefined,
): void {
  const forward = (from: 'left' | 'right', source: Channel, target: Channel): void => {
    source.receive((message) => {
      const changed = change(from, message.slice())
      if (changed !== undefined) target.send(changed)
    })
    void source.closed.then((error) => (error === undefined ? target.close() : target.abort(error))) // because: ends with the channels
  }
  forward('left', left, right)
  forward('right', right, left)
}
