/**
 * The statements of one mesh on disk. Each append is durable before it returns; every statement is verified again
 * when it is read, so a changed store is noticed and never believed.
 */
import { array, bytes, decodeCanonical, encodeCanonical, integer, object, textOf } from '../../base/codec.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import type { MeshId } from '../../base/ids.ts'
import { isMeshId } from '../../base/ids.ts'
import type { Keep } from '../../base/keep.ts'
import { limits } from '../../base/limits.ts'
import type { Statement, StatementHash } from './statement.ts'
import { decodeStatement } from './statement.ts'

export interface RosterStore {
  readonly mesh: MeshId
  readonly statements: ReadonlyMap<StatementHash, Statement>
  /** Wall clock when this device stored the statement. */
  seenMs(hash: StatementHash): number | undefined
  append(fresh: readonly Statement[]): Promise<void>
}

const pointerName = 'roster'
const pointer = object({ v: integer(1, 1), mesh: textOf(isMeshId, 'a mesh id') })
const maxRecordBytes = 512 * 1024
const record = object({
  seenMs: integer(),
  statements: array(bytes(limits.rosterStatementBytes), limits.rosterStatements),
})
const logOf = (mesh: MeshId): string => `roster-${mesh.slice(0, 32)}`

/**
 * Opens the mesh this device is in, undefined when there is none yet; with `start`, moves to that mesh.
 * @throws `store.corrupt`, `store.failed`.
 */
export function openRosterStore(env: Env, keep: Keep): Promise<RosterStore | undefined>
export function openRosterStore(env: Env, keep: Keep, start: Start): Promise<RosterStore>
export async function openRosterStore(env: Env, keep: Keep, start?: Start): Promise<RosterStore | undefined> {
  if (start !== undefined) return startStore(env, keep, start)
  const stored = await keep.read(pointerName)
  if (stored === undefined) return undefined
  try {
    const { mesh } = decodeCanonical(stored, pointer, 256)
    const held = createStore(env, keep, mesh)
    for (const entry of await keep.readLog(logOf(mesh))) {
      const { seenMs, statements } = decodeCanonical(entry, record, maxRecordBytes)
      held.hold(statements.map(decodeStatement), seenMs)
    }
    if (held.store.statements.get(mesh)?.kind !== 'found')
      throw new SkeinError('store.corrupt', 'no founding statement')
    return held.store
  } catch (error) {
    if (!(error instanceof SkeinError) || error.code === 'store.failed') throw error
    throw new SkeinError('store.corrupt', `the roster cannot be read: ${error.message}`, {
      cause: error,
      fix: 'restore the `roster` files from a backup, or move the home away and pair this device again',
    })
  }
}

interface Start {
  readonly mesh: MeshId
  readonly statements: readonly Statement[]
}

async function startStore(env: Env, keep: Keep, start: Start): Promise<RosterStore> {
  const held = createStore(env, keep, start.mesh)
  // A log left by an attempt that was cut off would make every statement appear twice, harmless but growing
  await keep.remove(logOf(start.mesh))
  await held.store.append(start.statements)
  await keep.write(pointerName, encodeCanonical({ v: 1, mesh: start.mesh }))
  return held.store
}

function createStore(
  env: Env,
  keep: Keep,
  mesh: MeshId,
): { store: RosterStore; hold(statements: readonly Statement[], seenMs: number): void } {
  const statements = new Map<StatementHash, Statement>()
  const seen = new Map<StatementHash, number>()
  const hold = (fresh: readonly Statement[], seenMs: number): void => {
    for (const statement of fresh) {
      if (statements.has(statement.hash)) continue
      statements.set(statement.hash, statement)
      seen.set(statement.hash, seenMs)
    }
  }
  const store: RosterStore = {
    mesh,
    statements,
    seenMs: (hash) => seen.get(hash),
    async append(fresh) {
      const seenMs = Math.max(0, Math.floor(env.clock.nowMs()))
      for (const page of pagesOf(fresh)) {
        const value = { seenMs, statements: page.map((statement) => statement.bytes) }
        await keep.append(logOf(mesh), encodeCanonical(value))
        hold(page, seenMs)
      }
    },
  }
  return { store, hold }
}

/** Cuts a batch into records that stay under half of what a record may hold. */
function pagesOf(statements: readonly Statement[]): readonly (readonly Statement[])[] {
  const pages: Statement[][] = []
  let sizeBytes = Infinity
  for (const statement of statements) {
    if (sizeBytes + statement.bytes.byteLength > maxRecordBytes / 2) {
      pages.push([])
      sizeBytes = 0
    }
    pages.at(-1)?.push(statement)
    sizeBytes += statement.bytes.byteLength + 8
  }
  return pages
}
