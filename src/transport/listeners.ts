/**
 * The addresses to listen on. A family the machine does not have (no IPv6, only IPv6, no interface) is left out;
 * a port that is taken is an error that a person can mend.
 */
import type { Listener, Transport } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { SkeinError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'

export interface ListenOptions {
  /** IP literals to bind, e.g. `0.0.0.0`, `::`, `127.0.0.1`. */
  readonly addresses: readonly string[]
  /** Noise; 0 or absent = any free one. */
  readonly port?: number
  /** TLS; 0 or absent = any free one. */
  readonly tlsPort?: number
}

/** The multiaddrs to bind: per address one for noise and one for TLS. */
export function listenAddresses(options: ListenOptions): string[] {
  return options.addresses.flatMap((ip) => {
    const base = `/${ip.includes(':') ? 'ip6' : 'ip4'}/${ip}/tcp`
    return [`${base}/${options.port ?? 0}`, `${base}/${options.tlsPort ?? 0}/tls`]
  })
}

/** Keeps hold of the listeners that libp2p makes, and of why one failed: libp2p only tells that some did. */
export interface ListenerRegister {
  watch<C>(factory: (components: C) => Transport): (components: C) => Transport
  addresses(): string[]
  /** @throws `port.busy`. */
  check(log: Log): void
}

export function createListenerRegister(): ListenerRegister {
  const listeners: Listener[] = []
  const failures: { readonly address: string; readonly error: unknown }[] = []
  const watchListener = (listener: Listener): Listener => {
    const listen = listener.listen.bind(listener)
    listener.listen = async (address: Multiaddr) => {
      try {
        await listen(address)
        listeners.push(listener)
      } catch (error) {
        failures.push({ address: address.toString(), error })
        throw error
      }
    }
    return listener
  }
  return {
    watch: (factory) => (components) => {
      const transport = factory(components)
      const createListener = transport.createListener.bind(transport)
      transport.createListener = (options) => watchListener(createListener(options))
      return transport
    },
    addresses: () =>
      listeners.flatMap((listener) => listener.getAddrs().map((address) => address.toString())),
    check(log) {
      // The port that was asked for before the one that follows from it
      const inOrder = failures.toSorted((a, b) => a.address.length - b.address.length)
      for (const { address, error } of inOrder) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : ''
        if (code === 'EADDRINUSE' || code === 'EACCES') {
          const port = /\/tcp\/(\d+)/.exec(address)?.[1] ?? ''
          throw new SkeinError('port.busy', `cannot listen on port ${port} (${address}): ${code}`, {
            cause: error,
            fix:
              code === 'EADDRINUSE'
                ? `end the program that uses port ${port}, or choose another one: skein up --listen 0.0.0.0:0 (a fixed port takes the next one too)`
                : `port ${port} is reserved for the system; choose one above 1023: skein up --listen 0.0.0.0:PORT`,
          })
        }
        // No such family or interface here: the other addresses serve, and dialling out always works
        log.info('not listening on an address', { address, code })
      }
    },
  }
}
