/** The Channel contract on the in-memory pair. */
import { createMemoryChannelPair } from '../../src/base/memory-channel.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { channelContract } from '../contract/channel.ts'
import type { ChannelPair } from '../contract/channel-pair.ts'

channelContract('memory', () => {
  const [a, b] = createMemoryChannelPair()
  const end = new SkeinError('cancelled', 'the test is over')
  const pair: ChannelPair = {
    a,
    b,
    [Symbol.asyncDispose]: () => {
      a.abort(end)
      b.abort(end)
      return Promise.resolve()
    },
  }
  return Promise.resolve(pair)
})
