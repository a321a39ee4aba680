/** The Database seam on LevelDB (`level`): one directory, one process at a time (LevelDB holds a lock). */
import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { SkeinError } from '../base/errors.ts'
import type { Database, KeyRange } from './database.ts'
import { setAside, tidySetAside } from './set-aside.ts'
import { damagedTables } from './table-check.ts'

/**
 * @param path directory, made when missing. One that LevelDB finds damaged, now or when it was read last, is repaired
 * first: what cannot be read is left out, and `hasLostRows` says so. @throws `home.locked`, `store.corrupt`, `store.failed`.
 */
export async function openLevelDatabase(path: string): Promise<Database> {
  const marker = join(path, damagedName)
  const openMarker = join(path, openName)
  const wasDamaged = await noting(path, async () => {
    if (await isThere(marker)) return true
    return (await isThere(openMarker)) && (await damagedTables(path)).length > 0
  })
  const { level, isRepaired } = await openRepaired(path, wasDamaged)
  await noting(path, () => writeFile(openMarker, '')).catch(async (error: unknown) => {
    await level.close()
    throw error
  })
  // because: what is left over does no harm where it cannot be removed
  await tidySetAside(path).catch(() => undefined)
  const bounds = (range: KeyRange): { gte: string; lt: string; limit: number } => ({
    gte: range.from,
    lt: range.to,
    limit: range.limit ?? -1,
  })
  let isDamaged = false
  let hasMarker = isRepaired
  const unreadable = (error: unknown): unknown => {
    if (!isCorruption(error)) return error
    isDamaged = true
    return new SkeinError('store.corrupt', `the store at ${path} is damaged`, {
      cause: error,
      fix: moveAway(path),
    })
  }
  return {
    hasLostRows: isRepaired || (await droppedRows(path)),
    async getMany(keys) {
      try {
        // because: level's own type leaves out that a missing value is undefined
        return (await level.getMany([...keys])) as (Uint8Array | undefined)[]
      } catch (error) {
        throw unreadable(error)
      }
    },
    async batch(changes, options) {
      try {
        await level.batch([...changes], { sync: options?.sync ?? false })
      } catch (error) {
        throw unreadable(error)
      }
      if (!hasMarker || options?.sync !== true) return
      // Whoever opened it has written down, durably, that rows are missing
      hasMarker = false
      await rm(marker, { force: true })
    },
    scan: (range) =>
      inChunks(level.iterator({ ...bounds(range), highWaterMarkBytes: 256 * 1024 }), unreadable),
    async *keys(range) {
      const keys = level.keys({ ...bounds(range), highWaterMarkBytes: 256 * 1024 })
      for await (const chunk of inChunks(keys, unreadable)) yield* chunk
    },
    async close() {
      await level.close()
      await noting(path, async () => {
        if (isDamaged) await writeFile(marker, '')
        await rm(openMarker, { force: true })
      })
    },
  }
}

// because: on Node, Level is the class of classic-level, which has these; the type is the one for browsers too
const repairing = Level as unknown as { repair(path: string): Promise<void> }
const repairedLevel = (level: unknown): { compactRange(from: string, to: string): Promise<void> } =>
  level as ReturnType<typeof repairedLevel> // because: as above

/** A file that says that the store is to be repaired when it is opened next. */
const damagedName = 'DAMAGED'
/** A file that is there while the store is open: found at opening, it was not closed. */
const openName = 'OPEN'

async function openRepaired(
  path: string,
  wasDamaged: boolean,
): Promise<{ readonly level: Level<string, Uint8Array>; readonly isRepaired: boolean }> {
  if (!wasDamaged) {
    try {
      return { level: await openLevel(path), isRepaired: false }
    } catch (error) {
      if (!isCorruption(error)) throw openError(error, path)
    }
  }
  try {
    // Before the repair: it survives a kill in between
    await writeFile(join(path, damagedName), '')
    for (const name of await damagedTables(path)) await setAside(join(path, name))
    await repairing.repair(path)
    const level = await openLevel(path)
    // The repair writes compressed tables and copies damaged rows unseen: all are written anew, in the form we can check
    await repairedLevel(level).compactRange('', '\uFFFF')
    return { level, isRepaired: true }
  } catch (error) {
    throw openError(error, path)
  }
}

async function openLevel(path: string): Promise<Level<string, Uint8Array>> {
  const level = new Level<string, Uint8Array>(path, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    // because: values are mostly checksummed binary and hashes, which do not shrink
    compression: false,
    writeBufferSize: 8 * 1024 * 1024,
  })
  await level.open()
  return level
}

/** What the files beside LevelDB's own say and are told. */
async function noting<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw openError(error, path)
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    // because: whatever else is wrong there, opening says it better
    return false
  }
}

/** LevelDB's own word for bytes that are not what it wrote; while opening it is the cause of another error. */
function isCorruption(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause) {
    if (('code' in one && one.code === 'LEVEL_CORRUPTION') || one.message.startsWith('Corruption:'))
      return true
  }
  return false
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

/** Steps of a reading: most are short, and the binding reserves room for a whole step, given back by the collector only. */
const firstStep = 32
const lastStep = 1024

/** Reads many entries a step: a promise per entry would cost ten times as much. */
async function* inChunks<T>(
  iterator: { nextv(size: number): Promise<T[]>; close(): Promise<void> },
  unreadable: (error: unknown) => unknown,
): AsyncGenerator<readonly T[]> {
  try {
    for (let step = firstStep; ; step = Math.min(step * 4, lastStep)) {
      const chunk = await iterator.nextv(step).catch((error: unknown) => Promise.reject(unreadable(error)))
      if (chunk.length === 0) return
      yield chunk
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
  if (isCorruption(error)) {
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
