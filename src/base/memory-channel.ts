/** A pair of Channels in memory: delivery by microtask, same back-pressure and ends as the network ones. */
import { assert } from './assert.ts'
import type { Channel, Receiver } from './channel.ts'
import { untilAborted } from './clock.ts'
import { asSkeinError, SkeinError } from './errors.ts'
import { limits } from './limits.ts'

interface Side {
  readonly channel: Channel
  deliver(message: Uint8Array): void
  remoteClosed(): void
  finish(error: SkeinError | undefined): void
}

/** @returns the two ends. Weights are message bytes; the sender is asked to wait above limits.channelSendBufferBytes. */
export function createMemoryChannelPair(label = 'memory'): readonly [Channel, Channel] {
  const sides: Side[] = []
  const other = (index: number): Side => {
    const side = sides[1 - index]
    assert(side !== undefined, 'both ends exist')
    return side
  }
  sides.push(createSide(`${label}/a`, () => other(0)))
  sides.push(createSide(`${label}/b`, () => other(1)))
  return [other(1).channel, other(0).channel]
}

function createSide(label: string, peer: () => Side): Side {
  const inbox: Uint8Array[] = []
  const done = Promise.withResolvers<SkeinError | undefined>()
  let drain: PromiseWithResolvers<void> | undefined
  let unsentBytes = 0
  let receiver: Receiver | undefined
  let busy = false
  let ended: 'no' | 'closing' | 'closed' | 'aborted' = 'no'
  let remoteEnded = false
  let isEndTold = false

  const finish = (error: SkeinError | undefined): void => {
    if (ended === 'closed' || ended === 'aborted') return
    ended = error === undefined ? 'closed' : 'aborted'
    if (error !== undefined) inbox.length = 0
    drain?.reject(error ?? new SkeinError('channel.closed', `${label} closed`))
    done.resolve(error)
  }
  const abort = (error: SkeinError): void => {
    if (ended === 'closed' || ended === 'aborted') return
    finish(error)
    queueMicrotask(() => peer().finish(new SkeinError('channel.aborted', 'the other side cut the channel')))
  }
  const taken = (sizeBytes: number): void => {
    unsentBytes -= sizeBytes
    if (unsentBytes < limits.channelSendBufferBytes / 2) {
      drain?.resolve()
      drain = undefined
    }
  }
  const pump = async (): Promise<void> => {
    if (busy || receiver === undefined) return
    busy = true
    try {
      while (inbox.length > 0 && ended !== 'aborted') {
        const message = inbox[0]
        assert(message !== undefined, 'inbox holds a message')
        const pending = receiver(message)
        if (pending !== undefined) await pending
        inbox.shift()
        ackers.get(message)?.()
      }
    } catch (error) {
      abort(asSkeinError(error))
    }
    busy = false
    maybeFinish()
  }
  /** The answer to their end waits until what they sent was taken; with no receiver nobody keeps it waiting. */
  const maybeFinish = (): void => {
    if (!remoteEnded || busy || (receiver !== undefined && inbox.length > 0)) return
    tellEnd()
    finish(undefined)
  }
  const tellEnd = (): void => {
    if (isEndTold) return
    isEndTold = true
    queueMicrotask(() => peer().remoteClosed())
  }
  const channel: Channel = {
    label,
    send(...parts) {
      if (ended !== 'no')
        throw new SkeinError(ended === 'aborted' ? 'channel.aborted' : 'channel.closed', `${label} has ended`)
      const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0)
      if (sizeBytes > limits.messageBytes) {
        throw new SkeinError(
          'limit.exceeded',
          `message of ${sizeBytes} bytes, at most ${limits.messageBytes}`,
        )
      }
      const message = new Uint8Array(sizeBytes)
      let offset = 0
      for (const part of parts) {
        message.set(part, offset)
        offset += part.byteLength
      }
      unsentBytes += sizeBytes
      if (unsentBytes > limits.channelSendBufferHardBytes) {
        abort(new SkeinError('limit.exceeded', `${label}: sender ignored back-pressure`))
        return false
      }
      ackers.set(message, () => taken(sizeBytes))
      queueMicrotask(() => peer().deliver(message))
      return unsentBytes < limits.channelSendBufferBytes
    },
    async drained(signal) {
      if (ended !== 'no') throw new SkeinError('channel.closed', `${label} has ended`)
      if (unsentBytes < limits.channelSendBufferBytes) return
      drain ??= Promise.withResolvers<void>()
      drain.promise.catch(() => undefined) // because: nobody may be waiting when it ends
      await untilAborted(drain.promise, signal)
    },
    receive(next) {
      assert(receiver === undefined, 'a channel has one receiver')
      receiver = next
      queueMicrotask(() => void pump())
    },
    async close() {
      if (ended === 'no') ended = 'closing'
      if (ended === 'closing') tellEnd()
      await done.promise
    },
    abort,
    closed: done.promise,
    [Symbol.asyncDispose]: async () => {
      abort(new SkeinError('channel.aborted', `${label} disposed`))
      await done.promise
    },
  }
  return {
    channel,
    deliver(message) {
      if (ended === 'aborted' || ended === 'closed') return
      inbox.push(message)
      void pump()
    },
    remoteClosed() {
      remoteEnded = true
      if (ended === 'no') ended = 'closing'
      maybeFinish()
    },
    finish,
  }
}

/** How the sender of a message learns that it was taken: keyed by the message itself, so both ends stay plain. */
const ackers = new WeakMap<Uint8Array, () => void>()
