/** A space of this device as what a vault needs of it: its shards as documents, its contents where the folder has them. */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { isBlobHash } from '../blobs/hash.ts'
import { exportDoc, spaceDocumentPrefix } from '../crdt/doc-export.ts'
import type { DocHost } from '../crdt/doc-host.ts'
import type { SpaceTree } from '../crdt/space.ts'
import type { Folder } from '../files/folder.ts'
import type { SealedSpace } from '../vault/sealed-space.ts'
import type { SpaceInfo } from '../vault/sealed-record.ts'

export interface SealedFolderParts {
  readonly host: DocHost
  readonly space: SpaceTree
  readonly info: SpaceInfo
  /** Who gives the updates of the vault, for attribution. */
  readonly device: DeviceId
  /** Undefined while it is not open. */
  readonly folder: () => Pick<Folder, 'openBlob'> | undefined
}

export function createSealedFolder(env: Env, parts: SealedFolderParts): SealedSpace {
  const { host, space, info, device } = parts
  const prefix = spaceDocumentPrefix(space.id)
  return {
    info,
    async documents() {
      const out = new Map<string, string>()
      for (const name of host.names())
        if (name.startsWith(prefix)) out.set(name, Buffer.from(await host.digest(name)).toString('hex'))
      return out
    },
    export: (name, since) => exportDoc(host, name, since),
    async apply(updates) {
      for (const { name } of updates)
        if (!name.startsWith(prefix)) throw new SkeinError('codec.invalid', 'a document of another space')
      const missing = await host.apply(updates, device)
      // Something before it was lost there: what is here is sealed anew, and full devices fill the gap
      if (missing.length > 0)
        env.log.warn('an update of a vault has gaps', { spaceId: space.id, count: missing.length })
    },
    async *contents() {
      for await (const { data, kind } of space.walk()) {
        const { hash, sizeBytes = 0 } = data
        if (kind === 'file' && hash !== undefined && isBlobHash(hash)) yield { hash, sizeBytes }
      }
    },
    async open(hash) {
      return await parts.folder()?.openBlob(hash)
    },
  }
}
