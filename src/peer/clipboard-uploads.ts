/** Long contents that commands hand over in pieces, in memory until they become an item. Bounded in number, length and time. */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { formatSize } from '../base/quantities.ts'

export interface ClipboardUploads extends Disposable {
  /** @param token of the pieces before it. @returns the token. @throws `limit.exceeded`, `not.found`. */
  add(token: string | undefined, piece: Uint8Array): string
  /** The whole content; it is forgotten here. @throws `not.found`. */
  take(token: string): Uint8Array
}

interface Upload {
  readonly pieces: Uint8Array[]
  sizeBytes: number
  timer: Disposable
}

/** Nothing more came for so long: whoever began it is gone. */
const patienceMs = 30_000

export function createClipboardUploads(env: Env): ClipboardUploads {
  const uploads = new Map<string, Upload>()
  const forget = (token: string): void => {
    uploads.get(token)?.timer[Symbol.dispose]()
    uploads.delete(token)
  }
  const find = (token: string): Upload => {
    const upload = uploads.get(token)
    if (upload !== undefined) return upload
    throw new SkeinError('not.found', 'the pieces handed over before are gone', { fix: 'try it again' })
  }
  const begin = (): string => {
    if (uploads.size >= limits.clipboardUploads)
      throw new SkeinError('limit.exceeded', 'too many contents are being handed over', {
        fix: 'try again in half a minute',
      })
    const token = Buffer.from(env.random.bytes(12)).toString('base64url')
    uploads.set(token, {
      pieces: [],
      sizeBytes: 0,
      timer: env.clock.setTimer(patienceMs, () => forget(token)),
    })
    return token
  }
  return {
    add(given, piece) {
      const token = given ?? begin()
      const upload = find(token)
      if (upload.sizeBytes + piece.byteLength > limits.clipboardContentBytes) {
        forget(token)
        throw new SkeinError(
          'limit.exceeded',
          `the clipboard takes at most ${formatSize(limits.clipboardContentBytes)}`,
          { fix: 'put it into a shared folder' },
        )
      }
      upload.pieces.push(piece)
      upload.sizeBytes += piece.byteLength
      upload.timer[Symbol.dispose]()
      upload.timer = env.clock.setTimer(patienceMs, () => forget(token))
      return token
    },
    take(token) {
      const { pieces } = find(token)
      forget(token)
      return Buffer.concat(pieces)
    },
    [Symbol.dispose]() {
      for (const token of uploads.keys()) forget(token)
    },
  }
}
