/**
 * Ranges of contents, compressed on their way where it pays: zstd (RFC 8878) at its fastest level, in the thread pool of
 * Node. A probe of the first bytes says whether it does; a content whose ranges did not pay is probed less and less. What
 * comes is expanded into no more room than was announced, and that is checked before: a bomb is refused by whoever gets it.
 */
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdCompressSync, zstdDecompress } from 'node:zlib'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'

const compress = promisify(zstdCompress)
const expand = promisify(zstdDecompress)

/** Smaller ranges are sent as they are. */
const leastBytes = 16 * 1024
const probeBytes = 64 * 1024
/** Worth it from a fifth on: below that it costs both sides more than a fast line. */
const worthRatio = 0.8
const skipsMax = 16
/** Windows that a range can need: a frame that wants a larger one would only take memory. */
const windowLog = Math.log2(limits.blobRangeBytes)
const settings = {
  params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: windowLog },
  // Node goes to its thread pool and back for every so much
  chunkSize: 128 * 1024,
}
/** One whole range of nothing: large files have many of them. */
const zeros = new Uint8Array(limits.blobRangeBytes)

/** Decides for the ranges of one content. */
export interface Packer {
  /** @returns clearly fewer bytes, not to be changed; undefined where it does not pay. */
  pack(bytes: Uint8Array): Promise<Uint8Array | undefined>
}

export function createPacker(): Packer {
  let packedZeros: Uint8Array | undefined
  let skip = 0
  let skipNext = 1
  const fail = (): undefined => {
    skip = skipNext
    skipNext = Math.min(skipsMax, skipNext * 2)
  }
  return {
    async pack(bytes) {
      if (bytes.byteLength < leastBytes) return undefined
      if (bytes.byteLength === zeros.byteLength && Buffer.compare(bytes, zeros) === 0) {
        packedZeros ??= zstdCompressSync(zeros, settings)
        return packedZeros
      }
      if (skip > 0) {
        skip--
        return undefined
      }
      const probe = bytes.subarray(0, probeBytes)
      if (zstdCompressSync(probe, settings).byteLength > probe.byteLength * worthRatio) return fail()
      const packed = await compress(bytes, settings)
      if (packed.byteLength > bytes.byteLength * worthRatio) return fail()
      skipNext = 1
      return packed
    },
  }
}

/** @param sizeBytes what was announced, limits.blobRangeBytes at most. @throws `blob.corrupt` unless it is exactly that much. */
export async function unpack(packed: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  try {
    const bytes = await expand(packed, {
      maxOutputLength: sizeBytes,
      // Room for all of it and a little, so that it is expanded in one step
      chunkSize: sizeBytes + 1024,
      params: { [constants.ZSTD_d_windowLogMax]: windowLog },
    })
    if (bytes.byteLength === sizeBytes) return bytes
  } catch (error) {
    throw new SkeinError('blob.corrupt', 'a compressed range cannot be expanded', { cause: error })
  }
  throw new SkeinError('blob.corrupt', 'a compressed range is not as long as announced')
}
