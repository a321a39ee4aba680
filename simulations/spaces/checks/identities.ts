/**
 * P7: a home put back from a backup, and a store that may have forgotten what it sent, writes under a new identity; no two
 * devices ever write under one.
 */
export interface IdentityCheck {
  /** A store was opened, or took another identity while open. */
  readonly identified: (device: string, clientId: number) => void
  /** What the device has from now on may be older than what it sent. */
  readonly setBack: (device: string) => void
}

export function createIdentityCheck(onFault: (what: string) => void): IdentityCheck {
  /** By client: who writes under it. */
  const writers = new Map<number, string>()
  /** Identities that must not be used again. */
  const ended = new Set<number>()
  return {
    identified(device, clientId) {
      const writer = writers.get(clientId) ?? device
      if (writer !== device) onFault(`${device} writes under the identity of ${writer}`)
      if (ended.has(clientId)) onFault(`${device} writes under an identity from before it was set back`)
      writers.set(clientId, writer)
    },
    setBack(device) {
      for (const [clientId, writer] of writers) if (writer === device) ended.add(clientId)
    },
  }
}
