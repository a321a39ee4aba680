/**
 * The hosts of this device, one per key: the newest first, those being retired last. Serves every protocol on all of
 * them and knows when a retired one has nothing left to do. It does not own the hosts.
 */
import { assert } from '../base/assert.ts'
import type { PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { ChannelHandler, Connection, Host } from '../base/link.ts'

interface Entry {
  readonly host: Host
  readonly handles: Map<string, Disposable>
  readonly listener: Disposable
  readonly retiring: { readonly done: PromiseWithResolvers<void>; readonly untilMs: number } | undefined
}

/** What a retiring host needs to know of the links. */
export interface HostUse {
  isUsed(ownPeerId: PeerId): boolean
  cut(ownPeerId: PeerId): void
}

export class OwnHosts {
  hosts: readonly Host[] = []
  #entries: readonly Entry[] = []
  readonly #handlers = new Map<string, (host: Host) => ChannelHandler>()
  readonly #arrived: (connection: Connection) => void

  constructor(arrived: (connection: Connection) => void) {
    this.#arrived = arrived
  }

  isRetiring(ownPeerId: PeerId): boolean {
    return this.#entries.some(({ host, retiring }) => host.peerId === ownPeerId && retiring !== undefined)
  }

  add(host: Host): void {
    assert(!this.hosts.some(({ peerId }) => peerId === host.peerId), 'one host per key')
    const listener = host.onConnection(this.#arrived)
    const entry: Entry = { host, handles: new Map(), listener, retiring: undefined }
    for (const [protocol, handler] of this.#handlers) serve(entry, protocol, handler(host))
    this.#rank([entry, ...this.#entries])
  }

  /** Serves a protocol on all hosts, those added later too. */
  handle(protocol: string, handler: (host: Host) => ChannelHandler): Disposable {
    assert(!this.#handlers.has(protocol), `protocol ${protocol} handled once`)
    this.#handlers.set(protocol, handler)
    for (const entry of this.#entries) serve(entry, protocol, handler(entry.host))
    return {
      [Symbol.dispose]: () => {
        if (this.#handlers.get(protocol) !== handler) return
        this.#handlers.delete(protocol)
        for (const { handles } of this.#entries) {
          handles.get(protocol)?.[Symbol.dispose]()
          handles.delete(protocol)
        }
      },
    }
  }

  /** Resolves once `tend` finds it unused, at the latest at `untilMs`. */
  retire(ownPeerId: PeerId, untilMs: number): Promise<void> {
    const entry = this.#entries.find(({ host }) => host.peerId === ownPeerId)
    if (entry === undefined) return Promise.resolve()
    const retiring = entry.retiring ?? { done: Promise.withResolvers<void>(), untilMs }
    this.#rank(this.#entries.map((other) => (other === entry ? { ...entry, retiring } : other)))
    return retiring.done.promise
  }

  /** Lets go of retired hosts that nothing uses any more. @returns when to look again. */
  tend(nowMs: number, use: HostUse): number {
    let nextMs = Infinity
    for (const entry of this.#entries) {
      const { host, retiring } = entry
      if (retiring === undefined) continue
      if (nowMs >= retiring.untilMs) use.cut(host.peerId)
      if (use.isUsed(host.peerId)) {
        nextMs = Math.min(nextMs, nowMs + limits.drainQuietMs)
        continue
      }
      this.#rank(this.#entries.filter((other) => other !== entry))
      release(entry)
      retiring.done.resolve()
    }
    return nextMs
  }

  /** Stops serving; connections stay. */
  release(): void {
    for (const entry of this.#entries) {
      release(entry)
      entry.retiring?.done.resolve()
    }
  }

  #rank(entries: readonly Entry[]): void {
    const isRetiring = ({ retiring }: Entry): number => Number(retiring !== undefined)
    this.#entries = entries.toSorted((a, b) => isRetiring(a) - isRetiring(b))
    this.hosts = this.#entries.map(({ host }) => host)
  }
}

function serve(entry: Entry, protocol: string, handler: ChannelHandler): void {
  entry.handles.set(protocol, entry.host.handle(protocol, 'member', handler))
}

function release(entry: Entry): void {
  entry.listener[Symbol.dispose]()
  for (const handle of entry.handles.values()) handle[Symbol.dispose]()
  entry.handles.clear()
}
