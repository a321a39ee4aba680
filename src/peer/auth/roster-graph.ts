/**
 * The statements of a mesh as a graph: which are connected to the founding one, in one topological order that is
 * the same for everybody, with ancestor questions in constant time (one bit per pair: 125 KB for 1,000, 12.5 MB
 * for the most that limits.rosterStatements allows). Says nothing about who may say what.
 */
import { assert } from '../../base/assert.ts'
import type { MeshId } from '../../base/ids.ts'
import type { Statement, StatementHash } from './statement.ts'

export interface RosterGraph {
  /** Connected statements by (clock, hash): every one stands after its ancestors. */
  readonly order: readonly Statement[]
  /** Not named as a parent by any other. */
  readonly heads: readonly Statement[]
  /** Statements that do not belong here, and why. */
  readonly strays: readonly { readonly hash: StatementHash; readonly reason: string }[]
  /** True when the statement at index `older` is an ancestor of the one at `newer`; false for itself. */
  isAncestor(older: number, newer: number): boolean
  isConcurrent(one: number, other: number): boolean
  indexOf(hash: StatementHash): number | undefined
}

/** A pure function of the set: the order of `statements` and repetitions do not matter. */
export function createRosterGraph(mesh: MeshId, statements: Iterable<Statement>): RosterGraph {
  const byHash = new Map<StatementHash, Statement>()
  const strays: { hash: StatementHash; reason: string }[] = []
  for (const statement of statements) {
    if (statement.mesh === mesh) byHash.set(statement.hash, statement)
    else strays.push({ hash: statement.hash, reason: 'belongs to another mesh' })
  }
  const sorted = [...byHash.values()].sort((a, b) => a.clock - b.clock || (a.hash < b.hash ? -1 : 1))
  const order: Statement[] = []
  const indexes = new Map<StatementHash, number>()
  const parentsOf: number[][] = []
  for (const statement of sorted) {
    const parents = statement.parents.map((hash) => indexes.get(hash))
    const known = parents.filter((index) => index !== undefined)
    if (known.length !== parents.length) {
      strays.push({ hash: statement.hash, reason: 'a statement it builds on is missing' })
    } else if (statement.clock !== expectedClock(known, order)) {
      strays.push({ hash: statement.hash, reason: 'its clock does not follow from its parents' })
    } else {
      indexes.set(statement.hash, order.length)
      parentsOf.push(known)
      order.push(statement)
    }
  }
  const rows = ancestorRows(parentsOf)
  const isAncestor = (older: number, newer: number): boolean => {
    const row = rows[newer]
    assert(row !== undefined, 'statement index in range')
    return ((row[older >>> 5] ?? 0) & (1 << (older & 31))) !== 0
  }
  const named = new Set(order.flatMap((statement) => statement.parents))
  return {
    order,
    heads: order.filter((statement) => !named.has(statement.hash)),
    strays: strays.sort((a, b) => (a.hash < b.hash ? -1 : 1)),
    isAncestor,
    isConcurrent: (one, other) => one !== other && !isAncestor(one, other) && !isAncestor(other, one),
    indexOf: (hash) => indexes.get(hash),
  }
}

function expectedClock(parents: readonly number[], order: readonly Statement[]): number {
  if (parents.length === 0) return 0
  return 1 + Math.max(...parents.map((index) => order[index]?.clock ?? 0))
}

function ancestorRows(parentsOf: readonly (readonly number[])[]): readonly Uint32Array[] {
  const rows: Uint32Array[] = []
  for (const [index, parents] of parentsOf.entries()) {
    // A row only reaches to its own index: ancestors stand before
    const row = new Uint32Array((index >>> 5) + 1)
    for (const parent of parents) {
      const above = rows[parent]
      assert(above !== undefined, 'parents stand before their children')
      for (let word = 0; word < above.length; word++) row[word] = (row[word] ?? 0) | (above[word] ?? 0)
      row[parent >>> 5] = (row[parent >>> 5] ?? 0) | (1 << (parent & 31))
    }
    rows.push(row)
  }
  return rows
}
