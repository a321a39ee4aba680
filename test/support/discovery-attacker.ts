/**
 * Attacks on discovery, for `attacker.ts`: 1,000 peers that do not exist, records of real members with addresses
 * that lead nowhere, packets heard before played again, and noise, as fast as the socket takes them.
 */
import { createSocket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { PeerId } from '../../src/base/ids.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { encodePlainAnswer } from '../../src/discovery/plain-record.ts'
import { peerIdOf } from '../../src/peer/auth/device-key.ts'

const group = '224.0.0.251'
const port = 5353

/** @param address of the attacked, that gets it all by unicast as well. @param victims PeerIds of members. */
export async function spoofDiscovery(
  address: string,
  victims: readonly string[],
  say: (line: object) => void,
): Promise<void> {
  const random = createSystemRandom()
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  await new Promise<void>((resolve) => socket.bind(port, '0.0.0.0', resolve))
  const own = networkInterfaces()['eth0']?.find(({ family }) => family === 'IPv4')?.address ?? ''
  socket.addMembership(group, own)
  socket.setMulticastInterface(own)
  const recorded: Uint8Array[] = []
  socket.on(
    'message',
    (bytes, from) => void (from.address !== own && recorded.length < 100 && recorded.push(bytes)),
  )
  let count = 0
  const send = (bytes: Uint8Array, to = group): Promise<void> =>
    new Promise((resolve) => {
      count++
      socket.send(bytes, port, to, () => resolve())
    })
  const forge = (peerId: PeerId, index: number, isLeaving = false): Uint8Array =>
    encodePlainAnswer(`x${index}`, {
      peerId,
      addresses: [`/ip4/10.66.${index >> 8}.${index & 255}/tcp/666`, `/ip4/${own}/tcp/${1_000 + index}`],
      nameplate: 'K7',
      isLeaving,
    }) ?? new Uint8Array()
  // Long enough to overhear what members say
  await delay(3_000)
  for (let index = 0; index < 1_000; index++) {
    // because: 32 random bytes are as good a key as any for somebody who does not exist
    await send(forge(peerIdOf(random.bytes(32)), index))
    for (const victim of victims) {
      const member = victim as PeerId // because: the test passes what a peer printed
      await send(forge(member, index, index % 10 === 0))
      await send(forge(member, index), address)
    }
    await send(random.bytes(900))
    const old = recorded[index % Math.max(1, recorded.length)]
    if (old !== undefined) await send(old)
    if (index % 20 === 0) await delay(20)
  }
  say({ event: 'done', packets: count, overheard: recorded.length })
  socket.close()
}
