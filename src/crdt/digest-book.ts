/** Digests of documents and of groups of them, kept while nothing changes. What sync compares instead of documents. */
import * as encoding from 'lib0/encoding'
import { digestOfBytes, emptyDigest, equalBytes } from './digest.ts'
import type { DocHost } from './doc-host.ts'
import { splitName } from './sync-frames.ts'

export interface DigestBook extends Disposable {
  /** Digest of each group with something in it that may be seen. */
  groups(access: Visibility): Promise<ReadonlyMap<string, Uint8Array>>
  /** Digests of one group's documents by the rest of the name. */
  table(group: string, access: Visibility): Promise<ReadonlyMap<string, Uint8Array>>
}

export interface Visibility {
  visible(document: string): boolean
}

export function createDigestBook(host: DocHost): DigestBook {
  /** Group digests over all documents of the group; only usable for peers that see all of them. */
  const known = new Map<string, Uint8Array>()
  const subscriptions = [
    host.on('stored', ({ changes }) => {
      for (const { name } of changes) known.delete(splitName(name)[0])
    }),
    // A digest may have been taken of what the store refused a moment later
    host.on('lost', () => known.clear()),
  ]
  const tableOf = async (names: readonly string[]): Promise<Map<string, Uint8Array>> => {
    const table = new Map<string, Uint8Array>()
    for (const name of [...names].sort()) {
      const digest = await host.digest(name)
      if (!equalBytes(digest, emptyDigest)) table.set(splitName(name)[1], digest)
    }
    return table
  }
  const byGroup = (): Map<string, string[]> => {
    const groups = new Map<string, string[]>()
    for (const name of host.names()) {
      const [group] = splitName(name)
      const names = groups.get(group)
      if (names === undefined) groups.set(group, [name])
      else names.push(name)
    }
    return groups
  }
  return {
    async groups(access) {
      const out = new Map<string, Uint8Array>()
      for (const [group, all] of byGroup()) {
        const seen = all.filter((name) => access.visible(name))
        const isWhole = seen.length === all.length
        let digest = isWhole ? known.get(group) : undefined
        if (digest === undefined) {
          // Kept before the work, so that a change meanwhile takes it away again
          const placeholder = new Uint8Array()
          if (isWhole) known.set(group, placeholder)
          const table = await tableOf(seen)
          digest = table.size === 0 ? emptyDigest : digestOfTable(table)
          if (isWhole && known.get(group) === placeholder) known.set(group, digest)
        } else if (digest.byteLength === 0) {
          digest = digestOfTable(await tableOf(seen))
        }
        if (!equalBytes(digest, emptyDigest)) out.set(group, digest)
      }
      return out
    },
    table: (group, access) => tableOf((byGroup().get(group) ?? []).filter((name) => access.visible(name))),
    [Symbol.dispose]: () => subscriptions.forEach((subscription) => subscription[Symbol.dispose]()),
  }
}

function digestOfTable(table: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return digestOfBytes(
    encoding.encode((encoder) => {
      for (const [name, digest] of table) {
        encoding.writeVarString(encoder, name)
        encoding.writeUint8Array(encoder, digest)
      }
    }),
  )
}
