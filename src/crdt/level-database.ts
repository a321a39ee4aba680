/** The Database seam on LevelDB (`level`): one directory, one process at a time (LevelDB holds a lock). */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { SkeinError } from '../base/errors.ts'
import type { Database, KeyRange } from './database.ts'

/** @param path directory, made when missing. @throws `home.locked`, `store.corrupt`, `store.failed`. */
export async function openLevelDatabase(path: string): Promise<Database> {
  const level = new Level<string, Uint8Array>(path, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    // because: values are mostly checksummed binary and hashes, which do not shrink
    compression: false,
    writeBufferSize: 8 * 1024 * 1024,
  })
  try {
    await level.open()
  } catch (error) {
    throw openError(error, path)
  }
  const bounds = (range: KeyRange): { gte: string; lt: string; limit: number } => ({
    gte: range.from,
    lt: range.to,
    limit: range.limit ?? -1,
  })
  return {
    hasLostRows: await droppedRows(path),
    // because: level's own type leaves out that a missing value is undefined
    getMany: (keys) => level.getMany([...keys]) as Promise<(Uint8Array | undefined)[]>,
    batch: (changes, options) => level.batch([...changes], { sync: options?.sync ?? false }),
    scan: (range) => inChunks(level.iterator({ ...bounds(range), highWaterMarkBytes: 256 * 1024 })),
    keys: (range) => inChunks(level.keys({ ...bounds(range), highWaterMarkBytes: 256 * 1024 })),
    close: () => level.close(),
  }
}

/**
 * A damaged block of its log makes LevelDB leave out the batches in it and go on without an error. It tells only its
 * own report, the file LOG, which it begins anew at each opening. (A torn last write is no damage and not told.)
 */
async function droppedRows(path: string): Promise<boolean> {
  try {
    return /dropping \d+ bytes|Ignoring error/.test(await readFile(join(path, 'LOG'), 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw new SkeinError('store.failed', 'cannot read the report of the store', { cause: error })
  }
}

/** Reads 1,000 entries a step: a promise per entry would cost ten times as much. */
async function* inChunks<T>(iterator: {
  nextv(size: number): Promise<T[]>
  close(): Promise<void>
}): AsyncGenerator<T> {
  try {
    for (;;) {
      const chunk = await iterator.nextv(1000)
      if (chunk.length === 0) return
      yield* chunk
    }
  } finally {
    await iterator.close()
  }
}

function openError(error: unknown, path: string): SkeinError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'LEVEL_LOCKED') {
    return new SkeinError('home.locked', 'another process has this store open', {
      cause: error,
      fix: 'stop the other process with `skein down`',
    })
  }
  if (code === 'LEVEL_CORRUPTION') {
    return new SkeinError('store.corrupt', `the store at ${path} is damaged`, {
      cause: error,
      fix: moveAway(path),
    })
  }
  return new SkeinError('store.failed', `cannot open the store at ${path}`, {
    cause: error,
    fix: `check the free space and the permissions there; if they are right: ${moveAway(path)}`,
  })
}

/** Shared files lie outside it, and every document is held by the other devices as well. */
const moveAway = (path: string): string =>
  `mv '${path}' '${path}.damaged', then skein up: the other devices send everything again; files in shared folders stay`
