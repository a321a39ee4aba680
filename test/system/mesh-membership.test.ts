/** Who belongs to the mesh and under which key, changed while it runs: by real processes, as the person would do it. */
import { randomFillSync } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Device } from '../../src/peer/api.ts'
import { alarmsSince, createMeshLab, downAfter, pair } from '../support/mesh-lab.ts'
import type { MeshLab } from '../support/mesh-lab.ts'
import type { MeshPeer } from '../support/mesh-peer.ts'
import { describeWith } from '../support/needs.ts'
import { until } from '../support/skein.ts'

const say = (text: string): void => void process.stdout.write(`    ${text}\n`)

describeWith(['ip', 'nft', 'tc', 'netns'], 'a mesh whose members change', () => {
  let mesh: MeshLab
  beforeAll(async () => {
    mesh = await createMeshLab({ hosts: 5, members: 4 })
    await mesh.settled()
  }, 120_000)
  afterAll(() => mesh[Symbol.asyncDispose]())

  test('one pairing is enough: the others learn of the new member and connect', async () => {
    await using fresh = await mesh.stranger(4)
    await fresh.peer.start()
    const startMs = Date.now()
    await pair(mesh.peer(1), fresh.peer)
    const wholeMs = await mesh.whole([...mesh.peers, fresh.peer])
    say(`a new member: connected with all five ${wholeMs - startMs} ms after the code was shown`)
    for (const { client } of mesh.peers) {
      const found = (await client.call('devices', {})).find(({ name }) => name === fresh.peer.name)
      expect(found).toMatchObject({ addedBy: mesh.peer(1).deviceId, state: 'up' })
    }
    // And out again: that the rest is as before is seen by the next tests
    await mesh.peer(0).client.call('revoke', { device: fresh.peer.name })
  })

  test('a key is rotated under a transfer: nothing is dropped, and everybody knows the new key', async () => {
    const [a, b] = [mesh.peer(0), mesh.peer(1)]
    const directory = await mkdtemp(join(tmpdir(), 'skein-rotate-'))
    try {
      const [here, there] = [join(directory, 'a'), join(directory, 'b')]
      await mkdir(here)
      await a.client.call('share', { directory: here, name: 'work' })
      await until('the space', async () => (await b.client.call('spaces', {})).length > 0)
      await b.client.call('join', { space: 'work', directory: there })
      const content = randomFillSync(Buffer.alloc(30_000_000))
      await mesh.lab.squeeze(0, 60)
      const before = (await a.status()).peerId
      const sentBefore = await sentBytes(mesh, 0)
      await writeFile(join(here, 'large.bin'), content)
      await until('the transfer', async () => (await sentBytes(mesh, 0)) - sentBefore > 5_000_000, 30_000)
      const startMs = Date.now()
      const { peerId } = await a.client.call('rotate', {})
      expect(peerId).not.toBe(before)
      for (const other of mesh.peers.slice(1)) {
        await until('the new key', async () => (await deviceOf(other, a)).peerId === peerId)
      }
      const known = Date.now() - startMs
      await until('the file', async () => content.equals(await readOr(join(there, 'large.bin'))), 60_000)
      const sent = (await sentBytes(mesh, 0)) - sentBefore
      say(
        `key rotation: known to all after ${known} ms; ${(sent / content.byteLength).toFixed(2)} bytes sent a byte`,
      )
      expect(alarmsSince(mesh.peers, startMs).downs).toBe(0)
      // Broken off, it would have been sent again from the start
      expect(sent).toBeLessThan(content.byteLength * 1.3)
      await mesh.lab.squeeze(0, null)
      await mesh.settled()
      for (const other of mesh.peers.slice(1)) {
        expect(await deviceOf(other, a)).toMatchObject({ state: 'up', peerId })
      }
    } finally {
      await mesh.lab.squeeze(0, null)
      await rm(directory, { recursive: true, force: true, maxRetries: 3 })
    }
  })

  test('the new key holds when the device that rotated starts again, and when another one does', async () => {
    const { peerId } = await mesh.peer(0).status()
    for (const peer of [mesh.peer(0), mesh.peer(1)]) {
      await peer.stop()
      await peer.start()
      await mesh.whole()
    }
    for (const other of mesh.peers.slice(1)) {
      expect(await deviceOf(other, mesh.peer(0))).toMatchObject({ state: 'up', peerId })
    }
    await mesh.settled()
  })

  test('a revoked device is cut at once, stays out, and one that was away learns it at first contact', async () => {
    const [a, b, revoked, away] = [mesh.peer(0), mesh.peer(1), mesh.peer(2), mesh.peer(3)]
    await away.stop()
    const startMs = Date.now()
    await a.client.call('revoke', { device: revoked.name })
    const cut = await Promise.all([a, b].map((peer) => downAfter(peer, revoked, startMs)))
    say(`revoked: cut after ${cut.join(' and ')} ms`)
    expect(Math.max(...cut)).toBeLessThan(2_000)
    await until('the revoked one knows', async () => (await revoked.status()).problems.length > 0)

    // It tries again from the start, under new ports; first with the one that does not know yet
    for (const peer of [revoked, a, b]) await peer.stop()
    await revoked.start()
    await away.start()
    const isKnown = async (): Promise<boolean> => (await deviceOf(away, revoked)).state === 'revoked'
    await until('the revoked one says so itself', isKnown)
    // Longer than others leave it to the remover to change the discovery key: alone it must not do so
    await delay(12_000)
    const readyMs = Math.max(...(await Promise.all([a.start(), b.start()])))
    const foundMs = (await mesh.whole([a, b, away])) - readyMs
    say(`one that was away while the key changed: found after ${Math.max(0, foundMs)} ms`)
    for (const peer of [a, b, away]) {
      expect((await peer.status()).links.map(({ deviceId }) => deviceId)).not.toContain(revoked.deviceId)
      expect(await deviceOf(peer, revoked)).toMatchObject({ state: 'revoked' })
    }
    expect((await revoked.status()).links.filter(({ state }) => state === 'up')).toEqual([])
    await mesh.settled([a, b, away])
  })
})

const readOr = (path: string): Promise<Buffer> => readFile(path).catch(() => Buffer.alloc(0))

async function deviceOf(asked: MeshPeer, about: MeshPeer): Promise<Device> {
  const found = (await asked.client.call('devices', {})).find(({ deviceId }) => deviceId === about.deviceId)
  if (found === undefined) throw new Error(`${asked.name} does not know ${about.name}`)
  return found
}

async function sentBytes(mesh: MeshLab, host: number): Promise<number> {
  return Number((await mesh.lab.exec(host, 'cat', ['/sys/class/net/eth0/statistics/tx_bytes'])).stdout)
}
