/** Made-up devices and networks for the discovery tests. */
import type { NetworkInterfaceInfo } from 'node:os'
import { createSystemEnv, type Env } from '../../src/base/env.ts'
import { isPeerId, newDeviceId, type DeviceId, type PeerId } from '../../src/base/ids.ts'
import { createSeededRandom } from '../../src/base/random.ts'
import { createVirtualClock, type VirtualClock } from '../../src/base/virtual-clock.ts'
import type { NetworkInterface } from '../../src/discovery/interfaces.ts'

const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** A peer id whose (made-up) public key is the number: the multihash of an Ed25519 key in base58, as libp2p has it. */
export function peerIdOf(index: number): PeerId {
  const key = index.toString(16).padStart(64, '0')
  let rest = BigInt(`0x002408011220${key}`)
  let text = ''
  for (; rest > 0n; rest /= 58n) text = (base58[Number(rest % 58n)] ?? '') + text
  const peerId = `1${text}` // the leading zero byte
  if (!isPeerId(peerId)) throw new Error(`not a peer id: ${peerId}`)
  return peerId
}

export const deviceIdOf = (index: number): DeviceId => newDeviceId(createSeededRandom(index))

export const meshKey = (fill = 7): Uint8Array => new Uint8Array(32).fill(fill)

export interface VirtualEnv extends Env {
  readonly clock: VirtualClock
}

export function virtualEnv(clock: VirtualClock = createVirtualClock(), seed = 1): VirtualEnv {
  return { ...createSystemEnv({ random: createSeededRandom(seed) }), clock }
}

/** Moves the clock in small steps and lets promises and microtasks run in between. */
export async function pass(clock: VirtualClock, durationMs: number): Promise<void> {
  for (let left = durationMs; left > 0; left -= 10) {
    clock.advance(Math.min(10, left))
    await settle()
  }
}

/** Lets everything that waits for microtasks only come to rest. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.resolve()
}

export function interfaceOf(name: string, ...cidrs: readonly string[]): NetworkInterface {
  return {
    name,
    isLoopback: name === 'lo',
    addresses: cidrs.map((cidr) => {
      const [address = '', bits] = cidr.split('/')
      const family = address.includes(':') ? 6 : 4
      return { family, address, prefixBits: Number(bits), scopeId: address.startsWith('fe80') ? 3 : 0 }
    }),
  }
}

/** One entry of os.networkInterfaces(). */
export function listed(cidr: string, internal = false): NetworkInterfaceInfo {
  const [address = ''] = cidr.split('/')
  const rest = { address, netmask: '', mac: '00:00:00:00:00:00', internal, cidr }
  return address.includes(':')
    ? { ...rest, family: 'IPv6', scopeid: address.startsWith('fe80') ? 3 : 0 }
    : { ...rest, family: 'IPv4' }
}

/** Prints a measured figure; figures are reported, not judged, since machines differ. */
export function report(figure: string): void {
  process.stdout.write(`${figure}\n`)
}
