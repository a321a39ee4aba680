/** The keeper on a memory network: links come up, stay single, survive faults, follow the roster, end in order. */
import { describe, expect, test } from 'vitest'
import { integer } from '../../src/base/codec.ts'
import { SkeinError } from '../../src/base/errors.ts'
import type { DeviceId } from '../../src/base/ids.ts'
import { newDeviceId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { echoProtocol, newSimulatedPeerId } from '../../simulations/mesh-peer.ts'
import { codeOf, createMesh, started } from './small-mesh.ts'

describe('keeper: coming up', () => {
  test('two devices have one control and one bulk connection, dialled by the lower device id', async () => {
    await using mesh = await started(2)
    for (const [from, to, direction] of [
      [0, 1, 'outbound'],
      [1, 0, 'inbound'],
    ] as const) {
      expect(mesh.link(from, to)).toMatchObject({
        state: 'up',
        connectionCount: 2,
        control: { direction },
        bulk: { direction },
      })
      expect(mesh.link(from, to).rttMs).toBeGreaterThan(0)
      expect(mesh.changesOf(from)).toEqual(['up'])
    }
  })

  test('the other side dials when the one that should can not', async () => {
    await using mesh = createMesh(2)
    mesh.peer(0).addresses.clear()
    for (const peer of mesh.peers) peer.start()
    await mesh.world.advance(limits.secondDialerMs - 100)
    expect(mesh.link(1, 0).state).toBe('never')
    await mesh.world.advance(2_500)
    expect(mesh.link(0, 1)).toMatchObject({
      state: 'up',
      connectionCount: 2,
      control: { direction: 'inbound' },
    })
  })

  test('a hint dials at once instead of after the back-off', async () => {
    await using mesh = createMesh(2)
    for (const peer of mesh.peers) peer.addresses.clear()
    for (const peer of mesh.peers) peer.start()
    await mesh.world.advance(60_000)
    expect(mesh.link(0, 1).state).toBe('never')
    mesh.tellAddresses()
    await mesh.world.advance(100)
    expect(mesh.link(0, 1).state).toBe('up')
  })

  test('two that dial each other at the same moment end with one connection per lane and never go down', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const mesh = createMesh(2, seed)
      for (const peer of mesh.peers) peer.addresses.clear()
      for (const peer of mesh.peers) peer.start()
      // The second has waited already: both dial now
      await mesh.world.advance(limits.secondDialerMs)
      mesh.world.clock.setTimer(limits.redialMaxMs, () => mesh.tellAddresses())
      await mesh.world.advance(30_000)
      expect(mesh.link(0, 1)).toMatchObject({ state: 'up', connectionCount: 2 })
      expect(mesh.link(1, 0)).toMatchObject({ state: 'up', connectionCount: 2 })
      expect(mesh.changes.filter(({ kind }) => kind === 'down')).toEqual([])
      await mesh[Symbol.asyncDispose]()
    }
  })

  test('calls and channels reach the device, channels are told who opened them', async () => {
    await using mesh = await started(2)
    const [a, b] = [mesh.peer(0), mesh.peer(1)]
    const rpc = a.keeper?.rpc(b.deviceId)
    expect(
      await mesh.world.until(rpc?.call('echo', 5, integer()) ?? Promise.reject(new Error('down')), 1_000),
    ).toBe(5)
    const opened: DeviceId[] = []
    const handle = b.keeper?.handle('/test/1', (channel, deviceId) => {
      opened.push(deviceId)
      return channel.close()
    })
    const channel = await mesh.world.until(
      a.keeper?.open(b.deviceId, '/test/1', 'bulk') ?? Promise.reject(new Error('down')),
      1_000,
    )
    expect(await mesh.world.until(channel.closed, 1_000)).toBeUndefined()
    expect(opened).toEqual([a.deviceId])
    handle?.[Symbol.dispose]()
    expect(
      await mesh.world.until(
        codeOf(a.keeper?.open(b.deviceId, '/test/1', 'bulk') ?? Promise.resolve()),
        10_000,
      ),
    ).toBe('rpc.unknown')
  })

  test('an unknown device and one that is not connected are told apart', async () => {
    await using mesh = createMesh(2)
    mesh.peer(0).start()
    const { keeper } = mesh.peer(0)
    expect(
      await codeOf(keeper?.open(newDeviceId(mesh.world.random), '/x/1', 'control') ?? Promise.resolve()),
    ).toBe('peer.unknown')
    expect(await codeOf(keeper?.open(mesh.peer(1).deviceId, '/x/1', 'control') ?? Promise.resolve())).toBe(
      'peer.gone',
    )
  })

  test('bulk goes over control while there is no bulk connection', async () => {
    await using mesh = createMesh(2)
    for (const peer of mesh.peers) peer.start()
    while (mesh.link(0, 1).state !== 'up') await mesh.world.advance(0.5)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'up', connectionCount: 1 })
    const open =
      mesh.peer(0).keeper?.open(mesh.peer(1).deviceId, echoProtocol, 'bulk') ??
      Promise.reject(new Error('down'))
    const channel = await mesh.world.until(open, 1_000)
    await mesh.world.until(channel.close(), 1_000)
  })
})

describe('keeper: faults', () => {
  test('a killed device is down at once and up again soon after it is back', async () => {
    await using mesh = await started(2)
    mesh.peer(1).kill()
    await mesh.world.advance(100)
    expect(mesh.changesOf(0)).toEqual(['up', 'down lost'])
    mesh.peer(1).start()
    await mesh.world.advance(6_500)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'up', connectionCount: 2 })
  })

  test('a frozen device is suspect, then down in less than 3 s, and back without a new connection', async () => {
    await using mesh = await started(2)
    const frozenMs = mesh.world.clock.monotonicMs()
    mesh.peer(1).process.freeze()
    await mesh.world.advance(4_000)
    const [, suspect, down] = mesh.changes.filter(({ observer }) => observer === mesh.peer(0))
    expect([suspect?.kind, down?.kind, down?.reason]).toEqual(['suspect', 'down', 'silent'])
    expect((down?.atMs ?? Infinity) - frozenMs).toBeLessThan(3_000)
    expect(mesh.peer(0).keeper?.rpc(mesh.peer(1).deviceId)).toBeUndefined()
    mesh.peer(1).process.thaw()
    await mesh.world.advance(3_000)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'up', connectionCount: 2 })
    // The frozen one itself saw nothing: its own stall is nobody's silence
    expect(mesh.changesOf(1).filter((kind) => kind.startsWith('down'))).toEqual([])
  })

  test('a cut network is down on both sides in less than 3 s, the connections are cut at 10 s, healing brings all back', async () => {
    await using mesh = await started(2)
    const { network } = mesh.world
    const [a, b] = [mesh.peer(0), mesh.peer(1)]
    network.cut(a.name, b.name)
    network.cut(b.name, a.name)
    await mesh.world.advance(3_000)
    expect([mesh.link(0, 1).state, mesh.link(1, 0).state]).toEqual(['down', 'down'])
    expect(mesh.link(0, 1).connectionCount).toBe(2)
    await mesh.world.advance(8_000)
    expect(mesh.link(0, 1).connectionCount).toBe(0)
    network.healAll()
    await mesh.world.advance(10_000)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'up', connectionCount: 2 })
    expect(network.openEnds().length).toBe(4)
  })

  test('a one-way network is noticed by both: by silence on one side, by missing answers on the other', async () => {
    await using mesh = await started(2)
    mesh.world.network.cut(mesh.peer(0).name, mesh.peer(1).name)
    await mesh.world.advance(3_000)
    expect(mesh.link(1, 0)).toMatchObject({ state: 'down', reason: 'silent' })
    await mesh.world.advance(limits.unansweredMs)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'down', reason: 'one-way' })
  })

  test('a connection that one side has lost and the other still believes in is replaced', async () => {
    await using mesh = await started(2)
    const [a, b] = [mesh.peer(0), mesh.peer(1)]
    // b moves to another address: a's connections hear nothing any more and nobody tells a
    b.move()
    a.learnAddress(
      b.peerIds[0] ?? newSimulatedPeerId(mesh.world.random),
      b.addressOf(b.peerIds[0] ?? newSimulatedPeerId(mesh.world.random)),
    )
    await mesh.world.advance(12_000)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'up', connectionCount: 2 })
    // The probe was ready before silence became down
    expect(mesh.changes.filter(({ kind }) => kind === 'down')).toEqual([])
  })

  test('a link that is reset at once and again is not redialled at full speed', async () => {
    await using mesh = await started(2)
    for (let round = 0; round < 400; round++) {
      mesh.world.network.reset(mesh.peer(0).name, mesh.peer(1).name)
      await mesh.world.advance(50)
    }
    expect(mesh.changesOf(0).filter((kind) => kind === 'up').length).toBeLessThan(20)
  })

  test('one frozen device does not disturb the links of the others', async () => {
    await using mesh = await started(3)
    mesh.peer(1).process.freeze()
    await mesh.world.advance(20_000)
    expect(mesh.link(0, 2).state).toBe('up')
    expect(
      mesh.changes
        .filter(
          ({ deviceId, observer }) =>
            observer !== mesh.peer(1) && deviceId !== mesh.peer(1).deviceId && observer.deviceId !== deviceId,
        )
        .filter(({ kind }) => kind === 'down'),
    ).toEqual([])
  })
})

describe('keeper: roster', () => {
  test('a removed device is cut before the roster change returns, and does not come back', async () => {
    await using mesh = await started(3)
    const removed = mesh.peer(1)
    const channel = await mesh.world.until(
      mesh.peer(0).keeper?.open(removed.deviceId, echoProtocol, 'bulk') ?? Promise.reject(new Error('down')),
      1_000,
    )
    mesh.tellRoster(removed.deviceId)
    expect(
      mesh
        .peer(0)
        .keeper?.status()
        .map(({ deviceId }) => deviceId),
    ).toEqual([mesh.peer(2).deviceId])
    expect(mesh.peer(0).keeper?.rpc(removed.deviceId)).toBeUndefined()
    expect(mesh.changesOf(0)).toContain('down revoked')
    expect(await mesh.world.until(channel.closed, 10)).toBeInstanceOf(SkeinError)
    await mesh.world.advance(1_000)
    const own = new Set([...mesh.peer(0).peerIds, ...mesh.peer(2).peerIds])
    await mesh.world.advance(20_000)
    expect(
      mesh.world.network.openEnds().filter(({ owner, channels }) => !own.has(owner) && channels > 0),
    ).toEqual([])
    expect(mesh.link(0, 2).state).toBe('up')
  })

  test('a key that is no longer valid is cut at once, and the link comes back over the new one', async () => {
    await using mesh = await started(2)
    const peer = mesh.peer(1)
    const [oldKey] = peer.peerIds
    if (oldKey === undefined) throw new Error('no key')
    peer.rotate(newSimulatedPeerId(mesh.world.random))
    peer.peerIds = peer.peerIds.slice(0, 1)
    mesh.tellRoster()
    mesh.tellAddresses()
    expect(mesh.link(0, 1)).toMatchObject({ state: 'down', reason: 'revoked', connectionCount: 0 })
    await mesh.world.advance(5_000)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'up', peerId: peer.peerIds[0], connectionCount: 2 })
    expect(
      mesh.world.network.openEnds().filter(({ owner, remote }) => owner === oldKey || remote === oldKey),
    ).toEqual([])
  })

  test('a device added later is connected to', async () => {
    await using mesh = createMesh(2)
    mesh.tellRoster(mesh.peer(1).deviceId)
    for (const peer of mesh.peers) peer.start()
    await mesh.world.advance(3_000)
    expect(mesh.peer(0).keeper?.status()).toEqual([])
    mesh.tellRoster()
    await mesh.world.advance(7_000)
    expect(mesh.link(0, 1)).toMatchObject({ state: 'up', connectionCount: 2 })
  })

  test('a key is rotated without a moment of down and without cutting a running channel', async () => {
    for (const rotating of [0, 1]) {
      const mesh = await started(2)
      const [peer, other] = [mesh.peer(rotating), mesh.peer(1 - rotating)]
      const [oldKey] = peer.peerIds
      if (oldKey === undefined) throw new Error('no key')
      const channel = await mesh.world.until(
        other.keeper?.open(peer.deviceId, echoProtocol, 'control') ?? Promise.reject(new Error('down')),
        1_000,
      )
      const echoes: number[] = []
      channel.receive((message) => void echoes.push(message[0] ?? 0))
      peer.rotate(newSimulatedPeerId(mesh.world.random))
      mesh.tellRoster()
      mesh.tellAddresses()
      await mesh.world.advance(5_000)
      expect(mesh.link(1 - rotating, rotating)).toMatchObject({
        state: 'up',
        peerId: peer.peerIds[0],
        connectionCount: 3,
      })
      channel.send(new Uint8Array([7]))
      const retired = peer.retire(oldKey)
      await mesh.world.advance(10_000)
      expect(echoes).toEqual([7])
      await mesh.world.until(channel.close(), 1_000)
      await mesh.world.until(retired, 10_000)
      mesh.tellRoster()
      await mesh.world.advance(5_000)
      expect(mesh.link(1 - rotating, rotating)).toMatchObject({ state: 'up', connectionCount: 2 })
      expect(mesh.changes.filter(({ kind }) => kind === 'down')).toEqual([])
      await mesh[Symbol.asyncDispose]()
    }
  })
})

describe('keeper: ending', () => {
  test('leaving is told: the others see down because it left, not a fault', async () => {
    await using mesh = await started(2)
    await mesh.world.until(mesh.peer(1).leave(), 2_000)
    await mesh.world.advance(50)
    expect(mesh.changesOf(0)).toEqual(['up', 'down left'])
  })

  test('leaving takes no longer than its bound when nobody answers', async () => {
    await using mesh = await started(2)
    mesh.world.network.cut(mesh.peer(0).name, mesh.peer(1).name)
    const startMs = mesh.world.clock.monotonicMs()
    await mesh.world.until(mesh.peer(0).leave(), 5_000)
    expect(mesh.world.clock.monotonicMs() - startMs).toBeLessThanOrEqual(2 * limits.goodbyeMs)
  })
})
