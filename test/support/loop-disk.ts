/**
 * An ext4 of its own in a file, mounted through a loop device: so that a test can change bytes below the file system,
 * as a failing disk does, and every stat stays what it was.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface LoopDisk extends AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string
  /** Unmounts, changes one byte of the only place where `pattern` stands, mounts again. Nothing may be open on it. */
  damage(pattern: Uint8Array, atByte: number): Promise<void>
}

export async function createLoopDisk(sizeBytes: number): Promise<LoopDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-loop-'))
  const [image, path] = [join(folder, 'image'), join(folder, 'mount')]
  await writeFile(image, '')
  await truncate(image, sizeBytes)
  await mkdir(path)
  await run('mkfs.ext4', ['-q', '-F', image])
  // The same device each time: its number is part of what a file looks like
  const device = (await run('losetup', ['-f', '--show', image])).stdout.trim()
  await run('mount', [device, path])
  return {
    path,
    async damage(pattern, atByte) {
      await unmount(path)
      const at = (await readFile(image)).indexOf(pattern)
      if (at < 0) throw new Error('not found on the disk')
      await using handle = await open(image, 'r+')
      await handle.write(Uint8Array.of((pattern[atByte] ?? 0) ^ 1), 0, 1, at + atByte)
      await handle.sync()
      await run('mount', [device, path])
    },
    async [Symbol.asyncDispose]() {
      await unmount(path).catch(() => undefined)
      await run('losetup', ['-d', device])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A thread that was ended a moment ago may still hold a file of it. */
async function unmount(path: string): Promise<void> {
  for (let left = 50; ; left--) {
    try {
      await run('umount', [path])
      return
    } catch (error) {
      if (left === 0 || !String(error).includes('busy')) throw error
      await setTimeout(100)
    }
  }
}
