/** The link handshake against somebody with a member's key who does not follow it. */
import { describe, expect, test } from 'vitest'
import type { Channel } from '../../src/base/channel.ts'
import { anything, decode, encode } from '../../src/base/codec.ts'
import { newDeviceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { linkProtocol } from '../../src/discovery/link.ts'
import { newSimulatedPeerId } from '../../simulations/mesh-peer.ts'
import { createSimulatedProcess } from '../../simulations/process.ts'
import type { Mesh } from './small-mesh.ts'
import { createMesh } from './small-mesh.ts'

describe('link handshake', () => {
  /** A stranger to the protocol with a member's key: says `first` on the link channel of device 0. */
  async function greetWith(mesh: Mesh, first: Uint8Array): Promise<readonly unknown[]> {
    const { world } = mesh
    const [target, impostor] = [mesh.peer(0), mesh.peer(1)]
    const key = impostor.peerIds[0] ?? newSimulatedPeerId(world.random)
    const process = createSimulatedProcess(world.clock)
    const host = world.network.createHost({
      peerId: key,
      address: '/memory/impostor',
      run: (work) => process.run(work),
    })
    const targetKey = target.peerIds[0] ?? key
    const connection = await world.until(
      host.dial(targetKey, [target.addressOf(targetKey)], { lane: 'control' }),
      1_000,
    )
    const channel: Channel = await world.until(connection.open(linkProtocol), 1_000)
    const answers: unknown[] = []
    channel.receive((message) => void answers.push(decode(message, anything, 4_096)))
    channel.send(first)
    await world.advance(limits.helloMs + 100)
    expect(
      await world.until(
        connection.closed.then(() => 'closed'),
        100,
      ),
    ).toBe('closed')
    await host[Symbol.asyncDispose]()
    return answers
  }

  const hello = (mesh: Mesh, change: object): Uint8Array =>
    encode({
      kind: 'hello',
      version: 1,
      lane: 'control',
      deviceId: mesh.peer(1).deviceId,
      incarnation: '0'.repeat(26),
      agent: 'test',
      ...change,
    })

  async function oneDevice(): Promise<Mesh> {
    const mesh = createMesh(2)
    mesh.peer(0).addresses.clear()
    mesh.peer(0).start()
    await mesh.world.advance(100)
    return mesh
  }

  test('an unknown version is refused by name', async () => {
    await using mesh = await oneDevice()
    expect(await greetWith(mesh, hello(mesh, { version: 2 }))).toMatchObject([
      { kind: 'refused', code: 'codec.version' },
    ])
    expect(mesh.link(0, 1).state).toBe('never')
  })

  test('a device id that the roster does not give to this key is refused', async () => {
    await using mesh = await oneDevice()
    const change = { deviceId: newDeviceId(mesh.world.random) }
    expect(await greetWith(mesh, hello(mesh, change))).toMatchObject([
      { kind: 'refused', code: 'auth.denied' },
    ])
  })

  test('a hello that is answered but never confirmed does not make a link', async () => {
    await using mesh = await oneDevice()
    expect(await greetWith(mesh, hello(mesh, {}))).toMatchObject([
      { kind: 'hello', deviceId: mesh.peer(0).deviceId },
    ])
    expect(mesh.link(0, 1).state).toBe('never')
  })

  test('garbage, over-long and over-deep first messages are refused', async () => {
    await using mesh = await oneDevice()
    for (const first of [
      new Uint8Array([0xff, 0x00]),
      new Uint8Array(0),
      new Uint8Array(limits.helloBytes + 1),
      encode('hello'),
      hello(mesh, { lane: 'video' }),
      hello(mesh, { incarnation: 'x' }),
      hello(mesh, { agent: 'a'.repeat(limits.nameBytes + 1) }),
    ]) {
      const answers = await greetWith(mesh, first)
      expect(answers).toMatchObject([{ kind: 'refused' }])
    }
    expect(mesh.link(0, 1).state).toBe('never')
  })

  test('a member that connects and says nothing is dropped after the hello deadline', async () => {
    await using mesh = await oneDevice()
    const { world } = mesh
    const key = mesh.peer(1).peerIds[0] ?? newSimulatedPeerId(world.random)
    const host = world.network.createHost({ peerId: key, address: '/memory/mute' })
    const targetKey = mesh.peer(0).peerIds[0] ?? key
    const connection = await world.until(
      host.dial(targetKey, [mesh.peer(0).addressOf(targetKey)], { lane: 'control' }),
      1_000,
    )
    await world.advance(limits.helloMs - 100)
    expect(world.network.openEnds().length).toBe(2)
    await world.advance(300)
    expect(
      await world.until(
        connection.closed.then(() => 'closed'),
        100,
      ),
    ).toBe('closed')
    await host[Symbol.asyncDispose]()
  })
})
