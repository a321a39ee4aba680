/**
 * Files that survive a crash: replace all or nothing, write and fsync, fsync of directories, and what the errors
 * of the file system mean to a person.
 */
import type { FileHandle } from 'node:fs/promises'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { SkeinError } from '../base/errors.ts'

/** @returns undefined when there is no such file. */
export async function readIfPresent(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** All or nothing, and durable once resolved. */
export async function replaceFile(path: string, directory: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.new`
  await rm(temporary, { force: true }) // left by a crash; never trusted
  try {
    await withFile(temporary, 'wx', async (file) => {
      await writeAll(file, content, 0)
      await file.sync()
    })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined) // because: the first error is the one that matters
    throw error
  }
  await syncDirectory(directory)
}

export async function removeIfPresent(path: string, directory: string): Promise<void> {
  try {
    await rm(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  await syncDirectory(directory)
}

export async function withFile(
  path: string,
  flags: string,
  work: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags, 0o600)
  try {
    await work(file)
  } finally {
    await file.close()
  }
}

export async function writeAll(file: FileHandle, content: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < content.byteLength;) {
    const { bytesWritten } = await file.write(content, done, content.byteLength - done, position + done)
    done += bytesWritten
  }
}

/** Makes a rename or a new name durable. Windows has no such call and needs none. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  await withFile(directory, 'r', (file) => file.sync())
}

export const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined

/** What a person can do about an error of the file system. */
export function describeDiskError(error: unknown): SkeinError {
  if (error instanceof SkeinError) return error
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new SkeinError('disk.full', `the disk is full: ${message}`, {
      cause: error,
      fix: 'free some space, then try again',
    })
  }
  if (code === 'EROFS') {
    return new SkeinError('home.unusable', `the disk is read-only: ${message}`, {
      cause: error,
      fix: 'mount it writable (after an error of the disk: see dmesg), or use another home: --home DIR',
    })
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new SkeinError('home.unusable', `no permission: ${message}`, {
      cause: error,
      fix: 'make the home and all in it your own: chown -R "$USER" HOME; chmod -R u+rwX HOME',
    })
  }
  return new SkeinError('store.failed', message, { cause: error })
}
