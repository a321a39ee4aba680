/**
 * The witness of a store on disk: a file beside it. Its token is its content with device, inode and change time,
 * none of which a copy or a restore can keep (no tool can set a change time).
 */
import { open, readFile, stat } from 'node:fs/promises'
import { SkeinError } from '../base/errors.ts'
import { encodeId } from '../base/ids.ts'
import type { Witness } from './witness.ts'

/** @param path the file, in a directory that exists. */
export function createFileWitness(path: string): Witness {
  const token = async (): Promise<string> => {
    const facts = await stat(path, { bigint: true })
    return `${await readFile(path, 'utf8')}:${facts.dev}:${facts.ino}:${facts.ctimeNs}`
  }
  return {
    async read() {
      try {
        return await token()
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
        throw new SkeinError('store.failed', 'cannot read the witness of the store', { cause: error })
      }
    },
    async renew(random) {
      try {
        await using file = await open(path, 'w', 0o600)
        await file.writeFile(encodeId(random.bytes(16)))
        await file.sync()
      } catch (error) {
        throw new SkeinError('store.failed', 'cannot write the witness of the store', { cause: error })
      }
      return await token()
    },
  }
}
