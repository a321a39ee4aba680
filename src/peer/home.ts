/**
 * The home directory of one peer: made on the first start, checked on every start, held by one process. Faults come
 * out as errors that name the path and the command that mends it; nothing is repaired by guessing.
 */
import { lstat, mkdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { Keep } from '../base/keep.ts'
import { limits } from '../base/limits.ts'
import { codeOf, describeDiskError, syncDirectory } from './durable-file.ts'
import { createHomeKeep } from './home-keep.ts'
import { acquireHomeLock } from '../program/home-lock.ts'
import { keepPath, lockPath } from '../program/home-path.ts'

export interface Home extends AsyncDisposable {
  /** Absolute. */
  readonly directory: string
  readonly keep: Keep
  /** Nothing was kept here before. */
  readonly isFirstStart: boolean
  /**
   * The last run on this very directory ended in good order. False after a crash, and in a copied or restored
   * home: what was sent but not stored may exist elsewhere, so ids that must not be used twice are to be renewed.
   */
  readonly wasStoppedCleanly: boolean
  /** A directory under `data/` for one store, made when missing. @param name plain, such as `documents`. */
  dataDirectory(name: string): Promise<string>
  /** To be called last in a clean stop, after every store was flushed and closed. */
  markCleanStop(): Promise<void>
}

/**
 * @param controlAddress where this process will serve its control socket.
 * @throws `home.unusable`, `home.locked`, `disk.full`, `store.corrupt`.
 */
export async function openHome(env: Env, directory: string, controlAddress: string): Promise<Home> {
  try {
    await prepare(directory)
    const lock = await acquireHomeLock(lockPath(directory), controlAddress, env.random)
    try {
      const isFirstStart = (await lstat(keepPath(directory)).catch(() => undefined)) === undefined
      const wasStoppedCleanly = isFirstStart || (await takeCleanMark(directory))
      const keep = await createHomeKeep(env, keepPath(directory))
      return {
        directory,
        keep,
        isFirstStart,
        wasStoppedCleanly,
        async dataDirectory(name) {
          const path = join(directory, 'data', name)
          await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
            throw codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOTDIR'
              ? unusable(`${path} is not a directory`, `move it away: mv '${path}' '${path}.old'`, error)
              : describeDiskError(error)
          })
          return path
        },
        markCleanStop: () => writeCleanMark(directory),
        [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
      }
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
  } catch (error) {
    throw describeDiskError(error)
  }
}

const unusable = (message: string, fix: string, cause?: unknown): SkeinError =>
  new SkeinError('home.unusable', message, { fix, cause })

async function prepare(directory: string): Promise<void> {
  try {
    await makeDirectories(directory)
  } catch (error) {
    throw describeMkdirError(error, directory)
  }
  const found = await lstat(directory)
  if (!found.isDirectory() && !found.isSymbolicLink()) throw notDirectory(directory)
  const user = process.getuid?.()
  if (user !== undefined && found.uid !== user && found.isDirectory()) {
    const fix = user === 0 ? 'run skein as that user, not as root' : `use a home of your own: --home DIR`
    throw unusable(`the home ${directory} belongs to another user (uid ${found.uid})`, fix)
  }
  if (process.platform !== 'win32' && found.isDirectory() && (found.mode & 0o022) !== 0) {
    throw unusable(`others may write in the home ${directory}`, `chmod 700 '${directory}'`)
  }
  await requireSpace(directory)
}

/** Not by `recursive`: where nothing can be made (/proc), Node goes round in circles for ever. */
async function makeDirectories(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await stat(path)).isDirectory()) return
    const parent = dirname(path)
    const isParentMissing =
      codeOf(error) === 'ENOENT' &&
      parent !== path &&
      (await stat(parent).catch(() => undefined)) === undefined
    if (!isParentMissing) throw error
    await makeDirectories(parent)
    await mkdir(path, { mode: 0o700 })
  }
}

function describeMkdirError(error: unknown, directory: string): SkeinError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EEXIST' || code === 'ENOTDIR') return notDirectory(directory, error)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT') {
    const fix = `give yourself access to ${dirname(directory)}, or use another home: --home DIR`
    return unusable(`the home ${directory} cannot be made or entered`, fix, error)
  }
  return describeDiskError(error)
}

const notDirectory = (directory: string, cause?: unknown): SkeinError =>
  unusable(
    `the home ${directory} is not a directory`,
    'move that file away, or use another home: --home DIR',
    cause,
  )

/** Writing is tried as well: quotas and read-only mounts do not show in the free space. */
async function requireSpace(directory: string): Promise<void> {
  const space = await statfs(directory)
  if (space.bavail * space.bsize < limits.startFreeBytes) {
    throw new SkeinError('disk.full', `the disk of the home ${directory} is full`, {
      fix: `free at least ${limits.startFreeBytes / 1024 / 1024} MB there, or use another home: --home DIR`,
    })
  }
  const probe = join(directory, `probe-${process.pid}.tmp`)
  try {
    await writeFile(probe, new Uint8Array(4096), { mode: 0o600 })
  } finally {
    await rm(probe, { force: true })
  }
}

/** The mark names the directory's inode, which a copy or a restored backup does not share. */
const cleanMarkPath = (directory: string): string => join(directory, 'clean-stop')

async function identityOf(directory: string): Promise<string> {
  const stat = await lstat(keepPath(directory), { bigint: true })
  return `${stat.ino}-${stat.birthtimeNs}`
}

async function takeCleanMark(directory: string): Promise<boolean> {
  const path = cleanMarkPath(directory)
  const mark = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (mark === undefined) return false
  await rm(path)
  // Durable before anything new is sent, or a power cut would bring the old mark back
  await syncDirectory(directory)
  return mark === (await identityOf(directory))
}

async function writeCleanMark(directory: string): Promise<void> {
  await writeFile(cleanMarkPath(directory), await identityOf(directory), { mode: 0o600, flush: true })
  await syncDirectory(directory)
}
