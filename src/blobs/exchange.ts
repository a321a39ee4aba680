/**
 * Contents between this device and all it is connected to: one channel per peer, both sides ask and answer on it.
 * Knows no files: where contents lie is the source's matter, where they go the caller's.
 */
import type { Channel } from '../base/channel.ts'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { type BlobClient, createBlobClient } from './client.ts'
import { type AskSource, type BlobFile, downloadBlob, downloadSmall, type Wanted } from './download.ts'
import type { BlobHash } from './hash.ts'
import { type BlobServer, type BlobSource, createBlobServer, type OpenBlob } from './server.ts'
import { decodeFrames } from './wire.ts'

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
  /** Adds a place that has contents to serve; asked in order. `remote` is who asks: answer undefined for what it may not have. */
  addSource(source: RemoteBlobSource): Disposable
  readonly peers: readonly DeviceId[]
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

export function createBlobExchange(env: Env): BlobExchange {
  const sources = new Set<RemoteBlobSource>()
  const peers = new Set<Peer>()
  const listeners = new Set<(remote: DeviceId) => void>()
  let disposed = false

  const attach = (remote: DeviceId, channel: Channel): void => {
    if (disposed) return channel.abort(new SkeinError('channel.aborted', 'shutting down'))
    const client = createBlobClient(channel)
    const server = createBlobServer(env, channel, sourceFor(sources, remote))
    const done = channel.closed.then(async (error) => {
      peers.delete(peer)
      client.end(error ?? new SkeinError('channel.closed', 'the other device closed the exchange'))
      await server[Symbol.asyncDispose]()
    })
    for (const before of peers) if (before.remote === remote) replace(env, before)
    const peer: Peer = { remote, client, server, channel, done, isReplaced: false }
    peers.add(peer)
    channel.receive(async (message) => {
      for (const frame of decodeFrames(message)) {
        if (frame.kind === 'want' || frame.kind === 'cancel') server.handle(frame)
        else await client.handle(frame)
      }
    })
    for (const listener of listeners) listener(remote)
  }
  const sourcesOf = (preferred: readonly DeviceId[]): readonly AskSource[] => {
    const rank = (peer: Peer): number =>
      (preferred.includes(peer.remote) ? 0 : 1_000_000) + peer.client.inFlight
    const ordered = [...peers].filter((peer) => !peer.isReplaced).sort((a, b) => rank(a) - rank(b))
    return ordered.map((peer) => (options) => peer.client.want(options))
  }
  return {
    attach,
    fetch(wanted, file, preferred = []) {
      return downloadBlob(wanted, file, sourcesOf(preferred))
    },
    fetchSmall: (wanted) => downloadSmall(wanted, sourcesOf([])),
    addSource(source) {
      sources.add(source)
      return { [Symbol.dispose]: () => void sources.delete(source) }
    },
    get peers() {
      return [...new Set([...peers].map((peer) => peer.remote))]
    },
    onPeer(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    async [Symbol.asyncDispose]() {
      disposed = true
      const all = [...peers]
      for (const peer of all) peer.channel.abort(new SkeinError('channel.aborted', 'shutting down'))
      await Promise.all(all.map((peer) => peer.done))
    },
  }
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
function sourceFor(sources: ReadonlySet<RemoteBlobSource>, remote: DeviceId): BlobSource {
  return async (hash, signal) => {
    for (const source of sources) {
      const blob = await source(hash, remote, signal)
      if (blob !== undefined) return blob
    }
    return undefined
  }
}
