/**
 * Small contents sent before anybody asks: whoever puts a content into a space sends it to the members that hold the space,
 * just before the record that names it, which saves a question and an answer for each file. Only a help: what does
 * not fit into the bounds, or does not come, is asked for (exchange.ts).
 */
import type { Channel } from '../base/channel.ts'
import { type Clock, throwIfAborted } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { BlobHash } from './hash.ts'
import { createPushed, type Pushed } from './pushed.ts'
import { decodePushMessage, encodeHold, encodePush, type PushMessage } from './push-wire.ts'

/** Asked anew for each message. */
export interface PushAccess {
  /** Whether this device may have contents of the space. */
  mayRead(remote: DeviceId): boolean
  /** Whether this device may put contents into the space. */
  mayWrite(remote: DeviceId): boolean
}

/** The pushed contents of one space. */
export interface SpacePush extends Disposable {
  /**
   * For everybody who holds the space, as far as there is room: sent once a message is full, or with the next `room`. The
   * bytes must not change any more.
   */
  offer(bytes: Uint8Array): void
  /** Sends what was offered and resolves when that is done, but waits for no slow line. */
  room(signal: AbortSignal): Promise<void>
  /** A content that was pushed here. */
  get(hash: BlobHash): Uint8Array | undefined
  drop(hash: BlobHash): void
  /** While contents are coming in: waits a moment for this one. */
  expect(hash: BlobHash): Promise<Uint8Array | undefined>
  /** Somebody would get what is offered. */
  readonly hasTakers: boolean
}

export interface ContentPush extends Disposable {
  /** Pushes and takes on this channel until it ends. The channel belongs to this from here; it takes the place of one before. */
  attach(remote: DeviceId, channel: Channel): void
  /** This device holds the space, until disposed. */
  open(space: SpaceId, access: PushAccess): SpacePush
  /** Bytes of all that was pushed here and not placed yet. */
  readonly heldBytes: number
}

/** A line that carries less than this in so long must not hold up whoever indexes the disk. */
const slowMs = 1_000
const slowBytes = 512 * 1024

export function createContentPush(env: Env): ContentPush {
  return new MemberPush(env)
}

class MemberPush implements ContentPush {
  private readonly env: Env
  private readonly pushed: Pushed
  private readonly lines = new Map<DeviceId, PushLine>()
  private readonly spaces = new Map<SpaceId, PushAccess>()

  constructor(env: Env) {
    this.env = env
    this.pushed = createPushed(env.clock)
  }

  get heldBytes(): number {
    return this.pushed.heldBytes
  }

  attach(remote: DeviceId, channel: Channel): void {
    const line = new PushLine(channel)
    const before = this.lines.get(remote)
    this.lines.set(remote, line)
    // because: nothing on it needs an answer; whatever is cut off is asked for
    before?.channel.close().catch((error: unknown) => before.channel.abort(asSkeinError(error)))
    channel.receive((message) => this.take(remote, line, message))
    line.tellHeld([...this.spaces.keys()])
    void channel.closed.then((error) => {
      if (this.lines.get(remote) === line) this.lines.delete(remote)
      line.end()
      if (hasCode(error, 'codec.invalid', 'limit.exceeded', 'auth.denied'))
        this.env.log.warn('pushed contents refused', { deviceId: remote, ...errorFields(error) })
    })
  }

  open(space: SpaceId, access: PushAccess): SpacePush {
    this.spaces.set(space, access)
    this.tellAll()
    const { pushed, lines, env } = this
    const takers = (): PushLine[] =>
      [...lines].flatMap(([remote, line]) => (line.holds.has(space) && access.mayRead(remote) ? [line] : []))
    return {
      get hasTakers() {
        return takers().length > 0
      },
      offer(bytes) {
        if (bytes.byteLength > limits.pushedContentBytes) return
        for (const line of takers()) line.offer(space, bytes)
      },
      async room(signal) {
        await Promise.all(takers().map((line) => line.room(env.clock, signal)))
      },
      get: (hash) => pushed.get(hash),
      drop: (hash) => pushed.drop(hash),
      expect: (hash) => pushed.expect(hash),
      [Symbol.dispose]: () => {
        if (this.spaces.get(space) !== access) return
        this.spaces.delete(space)
        this.tellAll()
      },
    }
  }

  [Symbol.dispose](): void {
    for (const { channel } of this.lines.values())
      channel.abort(new SkeinError('channel.aborted', 'shutting down'))
    this.spaces.clear()
    this.pushed[Symbol.dispose]()
  }

  private tellAll(): void {
    for (const line of this.lines.values()) line.tellHeld([...this.spaces.keys()])
  }

  /** While it is pending nothing more is read: a device that pushes faster than we place is slowed down. */
  private take(remote: DeviceId, line: PushLine, bytes: Uint8Array): Promise<void> | undefined {
    const message = decodePushMessage(bytes)
    if (message?.kind === 'hold') line.holds = new Set(message.spaces)
    return message?.kind === 'push' ? this.takeContents(remote, message) : undefined
  }

  private takeContents(
    remote: DeviceId,
    { space, contents }: Extract<PushMessage, { kind: 'push' }>,
  ): Promise<void> | undefined {
    // May have been left a moment ago: no fault of the sender
    const access = this.spaces.get(space)
    if (access === undefined) return undefined
    if (!access.mayWrite(remote))
      throw new SkeinError('auth.denied', 'a device that may not write here pushed a content')
    for (const content of contents) this.pushed.put(remote, content)
    return this.pushed.room(remote)
  }
}

interface Offered {
  readonly space: SpaceId
  readonly bytes: Uint8Array
}

/** One channel: what is offered leaves many contents to a message. */
class PushLine {
  readonly channel: Channel
  holds: ReadonlySet<SpaceId> = new Set()
  /** It did not keep up: nobody waits for it until all that was offered is sent. */
  private isSlow = false
  private queue: Offered[] = []
  private queuedBytes = 0
  private sentBytes = 0
  private isSending = false
  private hasEnded = false
  private readonly waiting = new Set<() => void>()

  constructor(channel: Channel) {
    this.channel = channel
  }

  offer(space: SpaceId, bytes: Uint8Array): void {
    if (this.hasEnded || this.queuedBytes + bytes.byteLength > limits.pushQueueBytes) return
    this.queue.push({ space, bytes })
    this.queuedBytes += bytes.byteLength
    if (this.queuedBytes >= limits.blobChunkBytes) this.start()
  }

  tellHeld(spaces: readonly SpaceId[]): void {
    if (!this.hasEnded) this.guarded(() => this.channel.send(encodeHold(spaces)))
  }

  /** Resolves when all that was offered is sent, unless the line is slow. */
  async room(clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.queue.length > 0) this.start()
    while (this.isSending && !this.isSlow && !this.hasEnded) {
      const { sentBytes } = this
      await this.wait(clock)
      throwIfAborted(signal)
      this.isSlow = this.isSending && this.sentBytes - sentBytes < slowBytes
    }
  }

  private start(): void {
    if (this.isSending || this.hasEnded) return
    this.isSending = true
    queueMicrotask(() => void this.send())
  }

  end(): void {
    this.hasEnded = true
    this.queue = []
    this.queuedBytes = 0
    this.wake()
  }

  /** Until all is sent, or for as long as a fast line has patience. */
  private async wait(clock: Clock): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer[Symbol.dispose]()
        this.waiting.delete(done)
        resolve()
      }
      const timer = clock.setTimer(slowMs, done)
      this.waiting.add(done)
    })
  }

  private wake(): void {
    for (const done of this.waiting) done()
  }

  private async send(): Promise<void> {
    try {
      while (this.queue.length > 0) {
        const { space, contents, sizeBytes } = this.nextMessage()
        const hasRoom = this.channel.send(...encodePush(space, contents))
        if (!hasRoom) await this.channel.drained()
        this.queuedBytes -= sizeBytes
        this.sentBytes += sizeBytes
      }
      this.isSlow = false
    } catch (error) {
      this.end()
      this.channel.abort(asSkeinError(error))
    } finally {
      this.isSending = false
      this.wake()
    }
  }

  private nextMessage(): { space: SpaceId; contents: readonly Uint8Array[]; sizeBytes: number } {
    const contents: Uint8Array[] = []
    let sizeBytes = 0
    const [first] = this.queue
    for (const { space, bytes } of this.queue) {
      const isNext = contents.length === 0 || sizeBytes + bytes.byteLength <= limits.blobChunkBytes
      if (space !== first?.space || !isNext || contents.length >= limits.pushedContents) break
      contents.push(bytes)
      sizeBytes += bytes.byteLength
    }
    this.queue.splice(0, contents.length)
    // because: it is only called while something waits
    return { space: first?.space as SpaceId, contents, sizeBytes }
  }

  private guarded(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.end()
      this.channel.abort(asSkeinError(error))
    }
  }
}
