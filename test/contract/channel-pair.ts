/** What the Channel contract works with: a pair of ends, and small helpers around messages. */
import type { Channel } from '../../src/base/channel.ts'
import { SkeinError } from '../../src/base/errors.ts'

/** Two ends of one fresh channel; disposing ends what carries them. */
export interface ChannelPair extends AsyncDisposable {
  readonly a: Channel
  readonly b: Channel
}

export const text = (message: Uint8Array): string => new TextDecoder().decode(message)
export const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)
export const cut = (): SkeinError => new SkeinError('cancelled', 'cut by the test')

/** Collects what arrives, copied, and says when `count` are there. */
export function collect(
  channel: Channel,
  count: number,
): { readonly messages: Uint8Array[]; readonly all: Promise<void> } {
  const messages: Uint8Array[] = []
  const done = Promise.withResolvers<void>()
  if (count === 0) done.resolve()
  channel.receive((message) => {
    messages.push(message.slice())
    if (messages.length === count) done.resolve()
  })
  return { messages, all: done.promise }
}
