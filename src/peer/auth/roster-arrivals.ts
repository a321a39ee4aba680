/**
 * Takes apart a batch of statements from outside: decoded and verified one by one, put in order, those whose parents
 * are missing set aside. One bad statement never stops the others. Stores nothing.
 */
import { SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { RosterGraph } from './roster-graph.ts'
import { createRosterGraph } from './roster-graph.ts'
import type { RosterStore } from './roster-store.ts'
import type { Statement, StatementHash } from './statement.ts'
import { decodeStatement } from './statement.ts'

export interface MergeResult {
  /** New statements stored, effective or not. */
  readonly accepted: number
  /** Waiting for a parent. Ask the sender for what is missing: `since(heads())`. */
  readonly pending: number
  /** Not stored, with the reason for each. */
  readonly refused: readonly { readonly code: string; readonly reason: string }[]
}

interface Arrivals {
  readonly store: RosterStore
  /** Verified statements whose parents are missing; taken from and added to here. */
  readonly waiting: Map<StatementHash, Statement>
}

export interface Sorted {
  readonly fresh: readonly Statement[]
  readonly result: MergeResult
}

/** @returns what may be stored now, parents first, and what to tell the sender. */
export function sortArrivals(batch: readonly Uint8Array[], arrivals: Arrivals): Sorted {
  const { store, waiting } = arrivals
  const refused: { code: string; reason: string }[] = []
  for (const wire of batch.slice(0, limits.rosterStatements)) {
    try {
      const statement = decodeStatement(wire)
      if (statement.mesh !== store.mesh) throw new SkeinError('auth.denied', 'a statement of another mesh')
      if (store.statements.has(statement.hash) || waiting.has(statement.hash)) continue
      waiting.set(statement.hash, statement)
    } catch (error) {
      // because: one bad statement never stops the others; anything but an operating error is a bug
      if (!(error instanceof SkeinError)) throw error
      refused.push({ code: error.code, reason: error.message })
    }
  }
  const fresh: Statement[] = []
  const graph = createRosterGraph(store.mesh, [...store.statements.values(), ...waiting.values()])
  for (const statement of graph.order) {
    if (!waiting.has(statement.hash)) continue
    if (store.statements.size + fresh.length >= limits.rosterStatements) {
      refused.push({ code: 'limit.exceeded', reason: rosterFull().message })
    } else {
      fresh.push(statement)
    }
    waiting.delete(statement.hash)
  }
  refused.push(...dropStrays(graph, waiting))
  return { fresh, result: { accepted: fresh.length, pending: waiting.size, refused } }
}

/** Keeps only those that wait for a parent, and of them the most that limits.rosterPending allows. */
function dropStrays(
  graph: RosterGraph,
  waiting: Map<StatementHash, Statement>,
): { code: string; reason: string }[] {
  const dropped: { code: string; reason: string }[] = []
  const drop = (hash: StatementHash, code: string, reason: string): void => {
    if (waiting.delete(hash)) dropped.push({ code, reason })
  }
  for (const stray of graph.strays) {
    if (!stray.reason.includes('missing')) drop(stray.hash, 'codec.invalid', stray.reason)
  }
  // The newest arrivals go: they are the likeliest to come again with what they build on
  for (const hash of [...waiting.keys()].slice(limits.rosterPending))
    drop(hash, 'limit.exceeded', 'too many wait for a parent')
  return dropped
}

export const rosterFull = (): SkeinError =>
  new SkeinError('limit.exceeded', `the roster holds ${limits.rosterStatements} statements, its most`, {
    fix: 'found a new mesh and pair the devices anew',
  })
