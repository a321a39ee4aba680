/**
 * Sync with one peer over one Channel. The receiver takes frames in one by one and only notes what is to be sent; the
 * sender turns notes into frames as the channel has room, so nothing piles up here for a slow peer.
 */
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as syncProtocol from 'y-protocols/sync'
import type { Channel } from '../base/channel.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { emptyDigest, equalBytes } from './digest.ts'
import type { DigestBook } from './digest-book.ts'
import type { DocHost, ForeignUpdate } from './doc-host.ts'
import type { StoredChange } from './projection.ts'
import * as frames from './sync-frames.ts'

/** What a peer may see and do, asked anew for each document and message. */
export interface SyncAccess {
  visible(document: string): boolean
  mayWrite(document: string): boolean
}

export interface SyncPeerEvents {
  refused(error: SkeinError, document: string | undefined): void
  inSync(isInSync: boolean): void
}

/** Updates that come within this of the one before share a frame. */
const packMs = 5
/** State vectors read and sent in one go. */
const questionsMax = 32
/** After changes, digests are compared once things have been quiet for this long. */
const settleMs = 200
/** Digests are compared at least so often. */
const antiEntropyMs = 15_000

export interface SyncPeerParts {
  readonly env: Env
  readonly host: DocHost
  readonly book: DigestBook
  readonly channel: Channel
  readonly peer: string
  readonly access: SyncAccess
  readonly events: SyncPeerEvents
}

export class SyncPeer {
  isInSync = false
  private readonly parts: SyncPeerParts
  private readonly updates: ForeignUpdate[] = []
  private updateBytes = 0
  private wantsGroups: 'no' | 'yes' | 'reply' = 'yes'
  private readonly tables = new Map<string, boolean>()
  private readonly questions = new Set<string>()
  private readonly answers = new Map<string, Uint8Array>()
  private readonly partial = new Map<string, { parts: Uint8Array[]; sizeBytes: number }>()
  private isSending = false
  private hasMore = false
  /** Counts changes here, so that a comparison that was overtaken by one is not believed. */
  private changes = 0
  private hasEnded = false
  private packedAtMs = Number.NEGATIVE_INFINITY
  private packTimer: Disposable | undefined
  private settleTimer: Disposable | undefined
  private entropyTimer: Disposable | undefined

  constructor(parts: SyncPeerParts) {
    this.parts = parts
    const { channel, env, peer } = parts
    channel.receive((message) => this.receive(message))
    this.keepComparing()
    this.wake()
    void channel.closed.then((error) => {
      if (error !== undefined) env.log.debug('sync channel ended', { peer, ...errorFields(error) })
      this.end()
    })
  }

  /** Changes that the store has taken. */
  stored(changes: readonly StoredChange[]): void {
    const { access } = this.parts
    const seen = changes.filter(({ name }) => access.visible(name))
    if (seen.length === 0 || this.hasEnded) return
    this.changes++
    this.setInSync(false)
    for (const { name, update, origin } of seen) {
      // What others wrote they send themselves; who is not connected to them learns by digest
      if (origin.kind !== 'local') continue
      if (update.byteLength > limits.updateBytes / 2 || this.updateBytes > limits.syncOutboxBytes) continue
      this.updates.push({ name, update })
      this.updateBytes += update.byteLength
    }
    this.settle()
    this.wake()
  }

  /** Compares digests now. */
  compare(): void {
    this.wantsGroups = 'yes'
    this.wake()
  }

  end(): void {
    this.hasEnded = true
    for (const timer of [this.packTimer, this.settleTimer, this.entropyTimer]) timer?.[Symbol.dispose]()
    this.updates.length = 0
    this.setInSync(false)
  }

  // --- sending ----------------------------------------------------------------------------------------------------

  private keepComparing(): void {
    this.entropyTimer = this.parts.env.clock.setTimer(antiEntropyMs, () => {
      this.compare()
      this.keepComparing()
    })
  }

  private settle(): void {
    this.settleTimer?.[Symbol.dispose]()
    this.settleTimer = this.parts.env.clock.setTimer(settleMs, () => {
      this.settleTimer = undefined
      this.compare()
    })
  }

  private wake(): void {
    if (this.hasEnded) return
    this.hasMore = this.isSending
    if (this.isSending) return
    this.isSending = true
    void this.send()
      .catch((error: unknown) => this.broken(error, undefined))
      .then(() => {
        this.isSending = false
        if (this.hasMore) this.wake()
      })
  }

  private async send(): Promise<void> {
    for (;;) {
      const batch = await this.nextFrames()
      if (batch === undefined || this.hasEnded) return
      for (const frame of batch) {
        if (this.hasEnded) return
        if (!this.parts.channel.send(frame)) await this.parts.channel.drained()
      }
    }
  }

  /** The most urgent thing to send, as frames; undefined when there is nothing. */
  private async nextFrames(): Promise<Iterable<Uint8Array> | undefined> {
    if (this.updates.length > 0 && this.mayPack()) return [await this.packUpdates()]
    const [answer] = this.answers
    if (answer !== undefined) {
      this.answers.delete(answer[0])
      return await this.answerFrames(...answer)
    }
    if (this.questions.size > 0) return await this.questionFrames()
    const [table] = this.tables
    if (table !== undefined) {
      const [group, wantsReply] = table
      this.tables.delete(group)
      return [frames.encodeTable(group, await this.parts.book.table(group, this.parts.access), wantsReply)]
    }
    return this.wantsGroups === 'no' ? undefined : await this.groupFrames()
  }

  private mayPack(): boolean {
    const { clock } = this.parts.env
    const waitMs = this.packedAtMs + packMs - clock.monotonicMs()
    if (waitMs <= 0) return true
    this.packTimer ??= clock.setTimer(waitMs, () => {
      this.packTimer = undefined
      this.wake()
    })
    return false
  }

  private async packUpdates(): Promise<Uint8Array> {
    const pack: ForeignUpdate[] = []
    let sizeBytes = 0
    for (let next = this.updates[0]; next !== undefined; next = this.updates[0]) {
      const costBytes = next.update.byteLength + next.name.length + 16
      if (pack.length > 0 && sizeBytes + costBytes > frames.partBytes) break
      pack.push(next)
      sizeBytes += costBytes
      this.updateBytes -= next.update.byteLength
      this.updates.shift()
    }
    this.packedAtMs = this.parts.env.clock.monotonicMs()
    await this.keptFor(pack.map(({ name }) => name))
    return frames.encodeUpdates(pack)
  }

  /**
   * What a power cut takes from here comes back from those that were told of it, but not from one that may not write: for good
   * it would show what nobody else knows of. So that one is told of nothing that is not durable.
   */
  private async keptFor(names: readonly string[]): Promise<void> {
    const { access, host } = this.parts
    if (names.some((name) => !access.mayWrite(name))) await host.store.durable()
  }

  private async answerFrames(name: string, stateVector: Uint8Array): Promise<Iterable<Uint8Array>> {
    const { host } = this.parts
    const { message, stored } = await host.read([name], (document) => ({
      message: encoding.encode((encoder) =>
        syncProtocol.writeSyncStep2(encoder, document(name), stateVector),
      ),
      // Of ours nothing is sent before it is stored: after a kill the same clocks would be given out again
      stored: host.settled([name]),
    }))
    await stored
    await this.keptFor([name])
    return frames.encodeDocument(name, message)
  }

  /** Some at a time: documents that are not in memory come together. */
  private async questionFrames(): Promise<Iterable<Uint8Array>> {
    const names = [...this.questions].slice(0, questionsMax)
    for (const name of names) this.questions.delete(name)
    return await this.parts.host.read(names, (document) =>
      names.flatMap((name) => {
        const write = (encoder: encoding.Encoder): void =>
          syncProtocol.writeSyncStep1(encoder, document(name))
        return [...frames.encodeDocument(name, encoding.encode(write))]
      }),
    )
  }

  private async groupFrames(): Promise<Iterable<Uint8Array>> {
    const isReply = this.wantsGroups === 'reply'
    this.wantsGroups = 'no'
    return [frames.encodeGroups(await this.parts.book.groups(this.parts.access), !isReply)]
  }

  // --- receiving --------------------------------------------------------------------------------------------------

  private async receive(message: Uint8Array): Promise<void> {
    try {
      const frame = frames.decodeFrame(message)
      if (frame.kind === 'groups') await this.onGroups(frame)
      else if (frame.kind === 'table') await this.onTable(frame)
      else if (frame.kind === 'document') await this.onDocument(frame)
      else await this.onUpdates(frame.updates)
    } catch (error) {
      this.broken(error, undefined)
    }
    this.wake()
  }

  private async onGroups(frame: Extract<frames.SyncFrame, { kind: 'groups' }>): Promise<void> {
    const { book, access } = this.parts
    const { changes } = this
    const mine = await book.groups(access)
    const groups = new Set([...mine.keys(), ...frame.digests.keys()])
    let isSame = true
    for (const group of groups) {
      const theirs = frame.digests.get(group) ?? emptyDigest
      if (equalBytes(mine.get(group) ?? emptyDigest, theirs)) continue
      isSame = false
      this.tables.set(group, true)
    }
    if (changes !== this.changes) return this.compare()
    this.setInSync(isSame)
    if (isSame && frame.wantsReply && this.wantsGroups === 'no') this.wantsGroups = 'reply'
  }

  private async onTable(frame: Extract<frames.SyncFrame, { kind: 'table' }>): Promise<void> {
    const { book, access } = this.parts
    const mine = await book.table(frame.group, access)
    let isSame = true
    for (const rest of new Set([...mine.keys(), ...frame.digests.keys()])) {
      const name = frame.group + rest
      const theirs = frame.digests.get(rest) ?? emptyDigest
      if (!access.visible(name) || equalBytes(mine.get(rest) ?? emptyDigest, theirs)) continue
      isSame = false
      // Who holds nothing has nothing to tell; who may not write is not asked
      if (access.mayWrite(name) && !equalBytes(theirs, emptyDigest)) this.questions.add(name)
    }
    if (!isSame && frame.wantsReply) this.tables.set(frame.group, false)
  }

  private async onDocument(frame: Extract<frames.SyncFrame, { kind: 'document' }>): Promise<void> {
    const { name } = frame
    const message = this.assemble(frame)
    if (message === undefined) return
    if (!this.parts.access.visible(name))
      return this.refuse(new SkeinError('auth.denied', 'not for this device'), name)
    const decoder = decoding.createDecoder(message)
    const kind = decoding.readVarUint(decoder)
    const content = decoding.readVarUint8Array(decoder)
    if (kind === syncProtocol.messageYjsSyncStep1) {
      await this.parts.host.checkStateVector(name, content)
      this.answers.set(name, content.slice())
    } else if (kind === syncProtocol.messageYjsSyncStep2 || kind === syncProtocol.messageYjsUpdate) {
      const missing = await this.take([{ name, update: content.slice() }])
      // A whole answer cannot lack anything: asking again would go on for ever
      if (missing.length > 0) this.refuse(new SkeinError('codec.invalid', 'an answer with gaps'), name)
      this.settle()
    } else {
      throw new SkeinError('codec.invalid', 'unknown sync message')
    }
  }

  private async onUpdates(updates: readonly ForeignUpdate[]): Promise<void> {
    // Copied: the channel takes its buffer back, and the store keeps what it was given
    const missing = await this.take(updates.map(({ name, update }) => ({ name, update: update.slice() })))
    for (const name of missing) this.questions.add(name)
  }

  private async take(updates: readonly ForeignUpdate[]): Promise<readonly string[]> {
    const { access, host, peer } = this.parts
    const allowed = updates.filter(({ name }) => {
      const isAllowed = access.visible(name) && access.mayWrite(name)
      if (!isAllowed) this.refuse(new SkeinError('auth.denied', 'this device may not write here'), name)
      return isAllowed
    })
    return allowed.length === 0 ? [] : await host.apply(allowed, peer)
  }

  private assemble(frame: Extract<frames.SyncFrame, { kind: 'document' }>): Uint8Array | undefined {
    const { name, part, hasMore } = frame
    const held = this.partial.get(name)
    if (held === undefined && !hasMore) return part
    const sizeBytes = [...this.partial.values()].reduce((sum, one) => sum + one.sizeBytes, part.byteLength)
    if (sizeBytes > limits.documentBytes) throw new SkeinError('limit.exceeded', 'a document too long')
    const entry = held ?? { parts: [], sizeBytes: 0 }
    entry.parts.push(part.slice())
    entry.sizeBytes += part.byteLength
    this.partial.set(name, entry)
    if (hasMore) return undefined
    this.partial.delete(name)
    const whole = new Uint8Array(entry.sizeBytes)
    let offset = 0
    for (const one of entry.parts) {
      whole.set(one, offset)
      offset += one.byteLength
    }
    return whole
  }

  private setInSync(isInSync: boolean): void {
    if (this.isInSync === isInSync) return
    this.isInSync = isInSync
    this.parts.events.inSync(isInSync)
  }

  private refuse(error: SkeinError, document: string | undefined): void {
    this.parts.env.log.warn('sync refused', { peer: this.parts.peer, document, ...errorFields(error) })
    this.parts.events.refused(error, document)
  }

  /** The channel is beyond use: hostile or broken input, or our own store has failed. */
  private broken(error: unknown, document: string | undefined): void {
    if (this.hasEnded) return
    const known = asSkeinError(error, 'codec.invalid')
    if (hasCode(known, 'codec.invalid', 'limit.exceeded')) this.refuse(known, document)
    else this.parts.env.log.warn('sync stopped', { peer: this.parts.peer, ...errorFields(known) })
    this.end()
    this.parts.channel.abort(known)
  }
}
