import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import type { Announcement } from '../../src/discovery/beacon-record.ts'
import { createFreshness } from '../../src/discovery/freshness.ts'
import { deviceIdOf, peerIdOf } from './peers.ts'

const say = (peer: number, incarnation: number, sequence: number): Announcement => ({
  deviceId: deviceIdOf(peer),
  peerId: peerIdOf(peer),
  addresses: [],
  incarnation: new Uint8Array(8).fill(incarnation),
  sequence,
  isLeaving: false,
})

describe('freshness', () => {
  test('each sequence counts once, an older one never, a new incarnation anew', () => {
    const freshness = createFreshness()
    const heard = [
      say(1, 1, 1),
      say(1, 1, 1),
      say(1, 1, 3),
      say(1, 1, 2),
      say(1, 2, 1),
      say(2, 1, 1),
      say(1, 1, 3),
    ]
    expect(heard.map((one) => freshness.isNew(one))).toEqual([true, false, true, false, true, true, false])
  })

  test('remembers boundedly many peers', () => {
    const freshness = createFreshness()
    for (let peer = 0; peer < 2 * limits.devices; peer++) freshness.isNew(say(peer, 1, 1))
    expect(freshness.peerCount).toBe(limits.devices)
  })
})
