/**
 * Keeps documents equal between this device and its peers: y-protocols sync steps for documents whose digests differ,
 * live updates for all others. One owner for all peers; knows nothing of roster or transport, which hand it channels
 * and answer what a peer may see and write.
 */
import type { Channel } from '../base/channel.ts'
import type { Env } from '../base/env.ts'
import type { SkeinError } from '../base/errors.ts'
import { createEmitter, type Events } from '../base/events.ts'
import { createDigestBook } from './digest-book.ts'
import type { DocHost } from './doc-host.ts'
import { SyncPeer, type SyncAccess } from './sync-peer.ts'

export interface SyncEvents {
  /** A peer sent what is malformed (its channel was cut) or what it may not write (left out). */
  refused: { readonly peer: string; readonly document: string | undefined; readonly error: SkeinError }
  /** Both sides hold the same operations, by digest; or no longer. */
  inSync: { readonly peer: string; readonly isInSync: boolean }
}

export interface Sync extends Events<SyncEvents>, Disposable {
  /** Syncs over a channel of protocol `syncProtocol` until it ends. A second channel of a peer replaces the first. */
  connect(peer: string, channel: Channel, access: SyncAccess): void
  /** True only while the digests of everything both may see are equal. */
  inSync(peer: string): boolean
  /** Compares digests with all peers now: what they may see may be something else. */
  compare(): void
  peers(): readonly string[]
}

export function createSync(env: Env, host: DocHost): Sync {
  const events = createEmitter<SyncEvents>(env.log)
  const book = createDigestBook(host)
  const peers = new Map<string, { readonly link: SyncPeer; readonly channel: Channel }>()
  const subscription = host.on('stored', ({ changes }) => {
    for (const { link } of peers.values()) link.stored(changes)
  })
  return {
    on: (name, listener) => events.on(name, listener),
    connect(peer, channel, access) {
      const before = peers.get(peer)
      const link = new SyncPeer({
        env,
        host,
        book,
        channel,
        peer,
        access,
        events: {
          refused: (error, document) => events.emit('refused', { peer, document, error }),
          inSync: (isInSync) => events.emit('inSync', { peer, isInSync }),
        },
      })
      peers.set(peer, { link, channel })
      if (before !== undefined) {
        before.link.end()
        void before.channel.close()
      }
      void channel.closed.then(() => {
        if (peers.get(peer)?.link === link) peers.delete(peer)
      })
    },
    inSync: (peer) => peers.get(peer)?.link.isInSync ?? false,
    compare() {
      for (const { link } of peers.values()) link.compare()
    },
    peers: () => [...peers.keys()],
    [Symbol.dispose]() {
      subscription[Symbol.dispose]()
      book[Symbol.dispose]()
      for (const { link, channel } of peers.values()) {
        link.end()
        void channel.close()
      }
      peers.clear()
    },
  }
}
