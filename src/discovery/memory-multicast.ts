/** A LAN in memory with the same contract as UDP multicast: for tests and simulations. Delivery by microtask. */
import type { Multicast, PacketHandler } from './multicast.ts'

export interface MemoryLan {
  /** The network card of a device: its interfaces of a given name are on the LAN of that name. */
  createMulticast(source: string): Multicast
  /** Puts a packet on the wire from anywhere. */
  inject(interfaceName: string, bytes: Uint8Array, source: string): void
  /** Sees each packet; false loses it. */
  filter: (interfaceName: string, bytes: Uint8Array, source: string) => boolean
  readonly openLinks: number
}

export function createMemoryLan(): MemoryLan {
  const links = new Set<{ readonly interfaceName: string; readonly onPacket: PacketHandler }>()
  const lan: MemoryLan = {
    filter: () => true,
    get openLinks() {
      return links.size
    },
    inject(interfaceName, bytes, source) {
      if (!lan.filter(interfaceName, bytes, source)) return
      queueMicrotask(() => {
        for (const link of links) {
          if (link.interfaceName === interfaceName) link.onPacket(new Uint8Array(bytes), source)
        }
      })
    },
    createMulticast: (source) => ({
      open(on, onPacket) {
        const link = { interfaceName: on.name, onPacket }
        links.add(link)
        return {
          send(bytes) {
            if (links.has(link)) lan.inject(on.name, bytes, source)
            return Promise.resolve()
          },
          [Symbol.asyncDispose]: () => Promise.resolve(void links.delete(link)),
        }
      },
    }),
  }
  return lan
}
