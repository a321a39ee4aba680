/**
 * What "the same state" means: 8 bytes of SHA-256 over state vector and delete set, both in one order. A state vector
 * alone does not see deletions. Two documents with the same digest hold the same operations.
 */
import * as encoding from 'lib0/encoding'
import { digest as sha256 } from 'lib0/hash/sha256'
import * as Y from 'yjs'

export const digestBytes = 8
/** Digest of a document nobody has written: such a document counts as absent. */
export const emptyDigest: Uint8Array = new Uint8Array(digestBytes)

/** @returns fresh 8 bytes. What waits for missing updates does not count. */
export function digestOf(document: Y.Doc): Uint8Array {
  const clients = [...document.store.clients.keys()].sort((a, b) => a - b)
  if (clients.length === 0) return emptyDigest.slice()
  const deleted = Y.createDeleteSetFromStructStore(document.store)
  const encoder = encoding.createEncoder()
  for (const client of clients) {
    encoding.writeVarUint(encoder, client)
    encoding.writeVarUint(encoder, Y.getState(document.store, client))
    const runs = deleted.clients.get(client) ?? []
    encoding.writeVarUint(encoder, runs.length)
    for (const run of runs) {
      encoding.writeVarUint(encoder, run.clock)
      encoding.writeVarUint(encoder, run.len)
    }
  }
  return digestOfBytes(encoding.toUint8Array(encoder))
}

/** One digest over many, in the order given. */
export function digestOfBytes(bytes: Uint8Array): Uint8Array {
  return sha256(bytes).slice(0, digestBytes)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, index) => byte === b[index])
}
