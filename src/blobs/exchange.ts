/**
 * Contents between this device and all it is connected to: one channel per peer, both sides ask and answer on it.
 * Knows no files: where contents lie is the source's matter, where they go the caller's.
 */
import type { Channel } from '../base/channel.ts'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { type BlobClient, createBlobClient, type WantOptions } from './client.ts'
import { downloadBlob, downloadList, downloadParts, downloadSmall } from './download.ts'
import type { BlobHash } from './hash.ts'
import type { Range } from './ranges.ts'
import { createRateLimit, type RateLimit } from './rate-limit.ts'
import { type ContentPush, createContentPush } from './push.ts'
import { type BlobServer, createBlobServer } from './server.ts'
import type { BlobSource, OpenBlob } from './source.ts'
import type { AskSource, BlobFile, Wanted } from './wanted.ts'
import { decodeFrames, isAsking } from './wire.ts'

export interface BlobExchange extends AsyncDisposable {
  /**
   * Serves and asks on this channel until it ends. The channel belongs to the exchange from here. A second one of
   * a device takes the place of the first: that gets no new wants, and is closed once those under way are done.
   */
  attach(remote: DeviceId, channel: Channel): void
  /**
   * Fetches from whoever has it: `preferred` devices first, then the others, least busy first.
   * @throws as downloadBlob.
   */
  fetch(wanted: Wanted, file: BlobFile, preferred?: readonly DeviceId[]): Promise<void>
  /** As fetch, for a content of limits.blobChunkBytes at most that is wanted in memory. */
  fetchSmall(wanted: Wanted): Promise<Uint8Array>
  /** What the content is made of (block-list.ts), for whoever holds a similar one. @throws as downloadBlob. */
  fetchList(wanted: Wanted): Promise<Uint8Array>
  /** Only these parts of it, from several devices at once. Whether they are right shows when the whole is hashed. */
  fetchParts(wanted: Wanted, ranges: readonly Range[], file: Pick<BlobFile, 'write'>): Promise<void>
  /** Small contents on their way before they are asked for, over channels of their own. */
  readonly push: ContentPush
  /** Adds a place that has contents to serve; asked in order. `remote` is who asks: answer undefined for what it may not have. */
  addSource(source: RemoteBlobSource): Disposable
  /** Adds places to ask besides the peers, after them; asked for at each fetch. */
  addAsked(places: () => readonly AskSource[]): Disposable
  /** Waits until so many bytes may be sent by another way than this one: the rate is that of all together. */
  paceSend(sizeBytes: number, signal: AbortSignal): Promise<void> | undefined
  readonly peers: readonly DeviceId[]
  /** Others may have now what was missing, as when a peer is attached. */
  retry(remote: DeviceId): void
  /** A peer was attached: what was missing may be there now. */
  onPeer(listener: (remote: DeviceId) => void): Disposable
}

export type RemoteBlobSource = (
  hash: BlobHash,
  remote: DeviceId,
  signal: AbortSignal,
) => Promise<OpenBlob | undefined>

interface Peer {
  readonly remote: DeviceId
  readonly client: BlobClient
  readonly server: BlobServer
  readonly channel: Channel
  readonly done: Promise<void>
  isReplaced: boolean
}

/** How often a replaced channel is looked at. Two looks without work in a row: a want may have been on its way. */
const replacedLookMs = 1_000

export interface ExchangeOptions {
  /** Contents sent to all others together, bytes a second; undefined: as fast as it goes. */
  readonly sendBytesPerSecond?: number | undefined
  readonly receiveBytesPerSecond?: number | undefined
}

export function createBlobExchange(env: Env, options: ExchangeOptions = {}): BlobExchange {
  const sendLimit = createRateLimit(env.clock, options.sendBytesPerSecond)
  const receiveLimit = createRateLimit(env.clock, options.receiveBytesPerSecond)
  const sources = new Set<RemoteBlobSource>()
  const peers = new Set<Peer>()
  const listeners = new Set<(remote: DeviceId) => void>()
  const asked = new Set<() => readonly AskSource[]>()
  /** Asked last until they are restarted: their disk may be failing. */
  const liars = new Set<DeviceId>()
  const push = createContentPush(env)
  let disposed = false

  const attach = (remote: DeviceId, channel: Channel): void => {
    if (disposed) return channel.abort(new SkeinError('channel.aborted', 'shutting down'))
    const client = createBlobClient(channel)
    const server = createBlobServer(env, channel, sourceFor(sources, remote, sendLimit))
    const done = channel.closed.then(async (error) => {
      peers.delete(peer)
      client.end(error ?? new SkeinError('channel.closed', 'the other device closed the exchange'))
      await server[Symbol.asyncDispose]()
    })
    for (const before of peers) if (before.remote === remote) replace(env, before)
    const peer: Peer = { remote, client, server, channel, done, isReplaced: false }
    peers.add(peer)
    receive(peer)
    liars.delete(remote)
    for (const listener of listeners) listener(remote)
  }
  const sourcesOf = (preferred: readonly DeviceId[]): readonly AskSource[] => {
    const rank = (peer: Peer): number =>
      (liars.has(peer.remote) ? 2_000_000 : preferred.includes(peer.remote) ? 0 : 1_000_000) +
      peer.client.inFlight
    const ordered = [...peers].filter((peer) => !peer.isReplaced).sort((a, b) => rank(a) - rank(b))
    const others = [...asked].flatMap((places) =>
      places().map((want) => ({ client: { want }, remote: want.remote })),
    )
    return [...ordered, ...others].map((place) => limited(receiveLimit, place))
  }
  const watched = (wanted: Wanted): Wanted => ({
    ...wanted,
    onLie(remote, error) {
      env.log.warn('a device sent what was not asked for', { remote: remote ?? '', ...errorFields(error) })
      if (remote !== undefined) liars.add(remote)
    },
  })
  return {
    attach,
    push,
    fetch(wanted, file, preferred = []) {
      return downloadBlob(watched(wanted), file, sourcesOf(preferred))
    },
    fetchSmall: (wanted) => downloadSmall(watched(wanted), sourcesOf([])),
    fetchList: (wanted) => downloadList(watched(wanted), sourcesOf([])),
    fetchParts: (wanted, ranges, file) => downloadParts(watched(wanted), ranges, file, sourcesOf([])),
    addSource: (source) => included(sources, source),
    addAsked: (places) => included(asked, places),
    paceSend: (sizeBytes, signal) => sendLimit.take(sizeBytes, signal),
    retry: (remote) => listeners.forEach((listener) => listener(remote)),
    get peers() {
      return [...new Set([...peers].map((peer) => peer.remote))]
    },
    onPeer: (listener) => included(listeners, listener),
    async [Symbol.asyncDispose]() {
      disposed = true
      push[Symbol.dispose]()
      const all = [...peers]
      for (const peer of all) peer.channel.abort(new SkeinError('channel.aborted', 'shutting down'))
      await Promise.all(all.map((peer) => peer.done))
    },
  }
}

/** Adds to a set. @returns a handle that takes it out again. */
function included<T>(set: Set<T>, one: T): Disposable {
  set.add(one)
  return { [Symbol.dispose]: () => void set.delete(one) }
}

/** Both sides ask and answer on one channel. */
function receive({ channel, server, client }: Peer): void {
  channel.receive(async (message) => {
    for (const frame of decodeFrames(message)) {
      if (isAsking(frame)) server.handle(frame)
      else await client.handle(frame)
    }
  })
}

/** Another channel to the same device has come. */
function replace(env: Env, peer: Peer): void {
  if (peer.isReplaced) return
  peer.isReplaced = true
  closeWhenIdle(env, peer).catch((error: unknown) => {
    // Cancelled by the end of the channel itself, which is what was wanted
    if (!hasCode(error, 'cancelled')) peer.channel.abort(asSkeinError(error))
  })
}

/** @throws `cancelled` when the channel ends before. */
async function closeWhenIdle(env: Env, { client, server, channel }: Peer): Promise<void> {
  const ended = new AbortController()
  void channel.closed.then(() => ended.abort(new SkeinError('cancelled', 'the channel has ended')))
  for (let idleLooks = 0; idleLooks < 2;) {
    await sleep(env.clock, replacedLookMs, ended.signal)
    idleLooks = client.inFlight + server.inFlight === 0 ? idleLooks + 1 : 0
  }
  await channel.close()
}

/** What all sources together have for one remote. */
function sourceFor(sources: ReadonlySet<RemoteBlobSource>, remote: DeviceId, limit: RateLimit): BlobSource {
  return async (hash, signal) => {
    for (const source of sources) {
      const blob = await source(hash, remote, signal)
      if (blob === undefined) continue
      if (blob.bytes !== undefined) await limit.take(blob.bytes.byteLength, signal)
      return within(limit, blob, signal)
    }
    return undefined
  }
}

/** Bytes are read when they may be sent. */
function within(limit: RateLimit, blob: OpenBlob, signal: AbortSignal): OpenBlob {
  const { sizeBytes, bytes } = blob
  return {
    sizeBytes,
    ...(bytes === undefined ? {} : { bytes }),
    ...(blob.blockList === undefined ? {} : { blockList: blob.blockList.bind(blob) }),
    async read(into, position) {
      await limit.take(into.byteLength, signal)
      return blob.read(into, position)
    },
    [Symbol.asyncDispose]: () => blob[Symbol.asyncDispose](),
  }
}

/** A place to ask, within the rate that may be received. */
function limited(
  limit: RateLimit,
  { client, remote }: { readonly client: Pick<BlobClient, 'want'>; readonly remote: DeviceId | undefined },
): AskSource {
  const ask = (wanted: WantOptions): Promise<void> => wantWithin(limit, client, wanted)
  return remote === undefined ? ask : Object.assign(ask, { remote })
}

/** Bytes are asked for when they may come. */
async function wantWithin(
  limit: RateLimit,
  client: Pick<BlobClient, 'want'>,
  wanted: WantOptions,
): Promise<void> {
  const { sizeBytes, offset, length = sizeBytes - offset, signal } = wanted
  await limit.take(Math.min(length, limits.blobRangeBytes), signal)
  await client.want(wanted)
}
