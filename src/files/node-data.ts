/** What a folder found on its disk, in the words of the document. */
import type { BlobHash } from '../blobs/hash.ts'
import { mtimeMaxNs, type NodeData } from '../crdt/record.ts'
import type { EntryData } from './folder-tree.ts'

/** @param base content of the version that it was made from. */
export function toNodeData(data: EntryData, base: BlobHash | undefined): NodeData {
  switch (data.kind) {
    case 'directory':
      return { kind: 'dir' }
    case 'symlink':
      return { kind: 'link', target: data.target }
    case 'file':
      return {
        kind: 'file',
        hash: data.hash,
        sizeBytes: data.size,
        mtimeNs: withinRecord(data.mtimeNs),
        mode: data.executable ? 0o755 : 0o644,
        base,
        attributes: data.attributes,
      }
  }
}

/** Some disks hold times of the far future: there the last one stands for them. */
const withinRecord = (ns: bigint): bigint =>
  ns > mtimeMaxNs ? mtimeMaxNs : ns < -mtimeMaxNs ? -mtimeMaxNs : ns
