/** One directory of the real disk as a VaultDisk. Files are readable by their owner only. */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SkeinError } from '../base/errors.ts'
import type { VaultDisk } from './vault-disk.ts'

const openFilesMax = 16

/** @param directory made when missing; its parent exists. */
export async function openNodeVaultDisk(directory: string): Promise<VaultDisk> {
  await told(() => mkdir(directory, { recursive: true, mode: 0o700 }))
  return new NodeVaultDisk(directory)
}

class NodeVaultDisk implements VaultDisk {
  private readonly directory: string
  /** Most recently used last. */
  private readonly files = new Map<string, Promise<FileHandle>>()
  /** Calls under way on each file: it is closed only without any. */
  private readonly users = new Map<string, number>()

  constructor(directory: string) {
    this.directory = directory
  }

  list(): Promise<readonly string[]> {
    return told(() => readdir(this.directory))
  }

  async size(name: string): Promise<number> {
    return (await told(() => stat(join(this.directory, name)))).size
  }

  read(name: string, offset: number, length: number): Promise<Uint8Array> {
    return this.use(name, async (file) => {
      const out = new Uint8Array(length)
      let done = 0
      while (done < length) {
        const { bytesRead } = await file.read(out, done, length - done, offset + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return out.subarray(0, done)
    })
  }

  append(name: string, parts: readonly Uint8Array[]): Promise<number> {
    return this.use(name, async (file) => {
      const { size } = await file.stat()
      let position = size
      for (const part of parts) {
        for (let done = 0; done < part.byteLength;) {
          const { bytesWritten } = await file.write(part, done, part.byteLength - done, position)
          done += bytesWritten
          position += bytesWritten
        }
      }
      return size
    })
  }

  async sync(name: string): Promise<void> {
    await this.use(name, (file) => file.datasync())
    await this.syncDirectory()
  }

  async rename(from: string, to: string): Promise<void> {
    await this.close(from)
    await this.close(to)
    await told(() => rename(join(this.directory, from), join(this.directory, to)))
    await this.syncDirectory()
  }

  async remove(name: string): Promise<void> {
    await this.close(name)
    await told(() => rm(join(this.directory, name), { force: true }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of Array.from(this.files.keys())) await this.close(name)
  }

  private async use<T>(name: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
    this.users.set(name, (this.users.get(name) ?? 0) + 1)
    try {
      return await told(async () => work(await this.file(name)))
    } finally {
      this.users.set(name, (this.users.get(name) ?? 1) - 1)
    }
  }

  private async file(name: string): Promise<FileHandle> {
    const held = this.files.get(name)
    this.files.delete(name)
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
    const file = held ?? open(join(this.directory, name), flags, 0o600)
    this.files.set(name, file)
    file.catch(() => this.files.delete(name))
    for (const other of this.files.keys()) {
      if (this.files.size <= openFilesMax) break
      if (other !== name && (this.users.get(other) ?? 0) === 0) await this.close(other)
    }
    return await file
  }

  private async close(name: string): Promise<void> {
    const file = this.files.get(name)
    this.files.delete(name)
    if (file !== undefined) await told(async () => (await file).close())
  }

  private async syncDirectory(): Promise<void> {
    await told(async () => {
      await using directory = await open(this.directory, 'r')
      await directory.sync()
    })
  }
}

/** What the system says in our words. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new SkeinError('disk.full', 'the disk of the storage device is full', { cause: error })
    if (code === 'ENOENT') throw new SkeinError('not.found', 'no such file', { cause: error })
    throw new SkeinError('disk.failed', 'the disk of the storage device reported an error', { cause: error })
  }
}
