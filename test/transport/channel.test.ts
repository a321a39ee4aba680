/** The Channel contract over real loopback sockets, on both lanes. */
import { expect, test } from 'vitest'
import type { Lane } from '../../src/base/link.ts'
import { createSystemEnv, type Env } from '../../src/base/env.ts'
import { limits } from '../../src/base/limits.ts'
import { channelContract } from '../contract/channel.ts'
import type { ChannelPair } from '../contract/channel-pair.ts'
import { link } from './hosts.ts'

/** A clock on which the watchdog's 30 s are `stallMs`, and everything else is real. */
function envWithStall(stallMs: number): Env {
  const env = createSystemEnv()
  const clock = {
    ...env.clock,
    setTimer: (delayMs: number, callback: () => void) =>
      env.clock.setTimer(delayMs === limits.channelStallMs ? stallMs : delayMs, callback),
  }
  return { ...env, clock }
}

const lanes: readonly (readonly [string, Lane, 'noise' | 'tls'])[] = [
  ['noise', 'control', 'noise'],
  ['TLS', 'bulk', 'tls'],
]
for (const [name, lane, encryption] of lanes) {
  const setup = async (): Promise<ChannelPair> => link(lane)
  channelContract(`libp2p ${name}`, setup, {
    withStallMs: (stallMs) => link(lane, { env: envWithStall(stallMs) }),
  })

  test(`the ${lane} lane is ${name}`, async () => {
    await using linked = await link(lane)
    expect(linked.connection.encryption).toBe(encryption)
    expect(linked.inbound.encryption).toBe(encryption)
  })
}
