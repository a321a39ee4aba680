/** One document as bytes to be kept elsewhere: what somebody with this state vector lacks, and where that leads to. */
import * as Y from 'yjs'
import type { SpaceId } from '../base/ids.ts'
import { digestOf } from './digest.ts'
import type { DocHost } from './doc-host.ts'

export interface ExportedDoc {
  /** V1; the delete set is whole. */
  readonly update: Uint8Array
  readonly vector: Uint8Array
  /** 8 bytes, see digest.ts. */
  readonly digest: Uint8Array
}

/** @param since an encoded state vector; everything when left out. All three are of one moment. */
export function exportDoc(host: DocHost, name: string, since?: Uint8Array): Promise<ExportedDoc> {
  return host.read([name], (open) => {
    const document = open(name)
    return {
      update: Y.encodeStateAsUpdate(document, since),
      vector: Y.encodeStateVector(document),
      digest: digestOf(document),
    }
  })
}

/** Names of the documents of a space begin with this. */
export const spaceDocumentPrefix = (space: SpaceId): string => `t/${space}/`
