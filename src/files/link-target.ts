/** The text of a symbolic link. What is not UTF-8 cannot travel. */
import { SkeinError } from '../base/errors.ts'

/** @throws `file.unsupported`. */
export function decodeTarget(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new SkeinError('file.unsupported', 'the target of a symbolic link is not valid UTF-8', {
      cause: error,
      fix: 'make the link again with a UTF-8 target',
    })
  }
}
