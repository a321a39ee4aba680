/**
 * Strangers before a real peer: without a pairing window nothing opens, with one only pairing does, and whatever they
 * send, however much of it, an honest member notices nothing and memory stays bounded.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { describeWith } from '../support/needs.ts'
import type { Siege } from '../support/siege.ts'
import { createSiege } from '../support/siege.ts'

describeWith(['ip', 'nft', 'netns'], 'a stranger on the network', () => {
  let siege: Siege
  beforeAll(async () => {
    siege = await createSiege()
  })
  afterAll(async () => siege?.[Symbol.asyncDispose]())

  test('is cut off right after the handshake while no pairing window is open', async () => {
    await siege.endure('knocking', async () => {
      const lines = await siege.attack({ mode: 'knock' }).result
      console.log('knock', lines)
      expect(lines).toHaveLength(2)
      for (const line of lines) expect(line).toMatchObject({ isCut: true })
      for (const line of lines) expect(line['elapsedMs']).toBeLessThan(3_000)
    })
  })

  test('opens nothing but pairing while the window is open, and that once', async () => {
    await siege.endure('trying protocols', async () => {
      await using _window = await siege.openWindow()
      const lines = await siege.attack({ mode: 'protocols' }).result
      console.log('protocols', lines)
      for (const line of lines) {
        const isPairing = line['protocol'] === '/skein/pair/1'
        expect({ ...line, isOpen: line['first'] === 'opened' }).toMatchObject({ isOpen: isPairing })
        expect(line['second']).not.toBe('opened')
      }
    })
  })

  test('1,000 raw connections, silent, slow, half-open, nonsense or absurd lengths, to both ports', async () => {
    await siege.endure('a flood of connections', async () => {
      const lines = await siege.attack({ mode: 'sockets', count: 1_000 }).result
      console.log('sockets', lines)
      expect(lines[0]?.['held']).toBeLessThanOrEqual(limits.pendingConnections + 10)
      expect(lines[1]?.['heldLater']).toBe(0)
    })
  })

  test('the same during a pairing window, and afterwards a device still pairs', async () => {
    await siege.endure('a flood in a window', async () => {
      await using _window = await siege.openWindow()
      const lines = await siege.attack({ mode: 'sockets', count: 1_000 }).result
      expect(lines[1]?.['heldLater']).toBe(0)
    })
  })

  test('10,000 streams on one connection in a pairing window', async () => {
    await siege.endure('a flood of streams', async () => {
      await using _window = await siege.openWindow()
      const [line] = await siege.attack({ mode: 'streams', count: 10_000 }).result
      console.log('streams', line)
      expect(line?.['opened']).toBeLessThanOrEqual(limits.streamsPerStranger)
    })
  })

  test('absurd frames after a good handshake', async () => {
    await siege.endure('a broken muxer', async () => {
      await using _window = await siege.openWindow()
      const lines = await siege.attack({ mode: 'muxer' }).result
      console.log('muxer', lines)
      expect(lines).toHaveLength(6)
    })
  })

  test('message lengths up to 2^64 on the pairing protocol', async () => {
    await siege.endure('absurd lengths', async () => {
      await using _window = await siege.openWindow()
      const lines = await siege.attack({ mode: 'prefixes' }).result
      console.log('prefixes', lines)
      expect(lines).toHaveLength(7)
      for (const line of lines) expect(line).toMatchObject({ isClosed: true })
    })
  })
})
