/**
 * Who may say what: judges each statement at its parents, in graph order, given the revocations already settled.
 * A pure function of the graph and of that list; which revocations stand when they contradict each other is
 * decided in roster-contests.ts. No rule looks at a clock on a wall.
 *
 * A statement takes effect when all of this holds among its effective ancestors: its author is a member, it is
 * signed by the key its author then used, and the author's role allows the act. And it must not be concurrent with
 * a settled revocation of its author (strong removal): the remover did not know of it, so it cannot be told from
 * one made up afterwards with old parents.
 */
import type { DeviceId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { peerIdOf } from './device-key.ts'
import type { RosterGraph } from './roster-graph.ts'
import type { Ledger, Sees } from './roster-ledger.ts'
import { admittedDevice, createLedger } from './roster-ledger.ts'
import type { Statement } from './statement.ts'

export interface Judgement {
  /** 1 where the statement at that index takes effect. */
  readonly effective: Uint8Array
  /** Why not, by index. */
  readonly reasons: ReadonlyMap<number, string>
  readonly ledger: Ledger
}

/**
 * @param settled indexes of revocations that void what is concurrent with them.
 * @param lost revocations that gave way, with the reason: they take no effect.
 */
export function judge(
  graph: RosterGraph,
  settled: readonly number[],
  lost: ReadonlyMap<number, string>,
): Judgement {
  const { order } = graph
  const ledger = createLedger(order, (older, newer) => graph.isAncestor(older, newer))
  const effective = new Uint8Array(order.length)
  const reasons = new Map<number, string>()
  const settledByDevice = new Map<DeviceId, number[]>()
  for (const index of settled) {
    for (const device of revokedBy(order[index])) {
      settledByDevice.set(device, [...(settledByDevice.get(device) ?? []), index])
    }
  }
  for (const [index, statement] of order.entries()) {
    const sees: Sees = (older) => graph.isAncestor(older, index)
    const against = settledByDevice.get(statement.author) ?? []
    const reason =
      lost.get(index) ??
      (against.some((revocation) => voids(graph, revocation, index))
        ? 'concurrent with the removal of its author'
        : undefined) ??
      refusal(statement, ledger, sees)
    if (reason === undefined) {
      effective[index] = 1
      ledger.enter(index)
    } else {
      reasons.set(index, reason)
    }
  }
  return { effective, reasons, ledger }
}

/** Devices that lose rights by this statement: removed, demoted, or, in a rotation, the author's old key. */
export function revokedBy(statement: Statement | undefined): readonly DeviceId[] {
  switch (statement?.kind) {
    case 'remove':
      return [statement.body.device]
    case 'recover':
      return statement.body.remove
    case 'grant':
      return statement.body.role === 'full' ? [] : [statement.body.device]
    case 'rotate':
      return [statement.author]
    case 'found':
    case 'add':
    case 'rename':
    case 'witness':
    case undefined:
      return []
  }
}

/** True when the revocation, once settled, takes the effect from the other statement directly. */
export function voids(graph: RosterGraph, revocation: number, other: number): boolean {
  const by = graph.order[revocation]
  const act = graph.order[other]
  if (by === undefined || act === undefined || act.kind === 'recover') return false
  if (!revokedBy(by).includes(act.author) || !graph.isConcurrent(revocation, other)) return false
  switch (by.kind) {
    case 'rotate':
      // Two rotations of one key contradict each other: both stand, and the device has no key (see keyOf)
      return act.kind !== 'rotate' && act.key === by.key
    case 'grant':
      return needsFull(act)
    case 'remove':
    case 'recover':
    case 'found':
    case 'add':
    case 'rename':
    case 'witness':
      return true
  }
}

/** True for acts that only a full device may do. */
function needsFull(act: Statement): boolean {
  switch (act.kind) {
    case 'add':
    case 'grant':
    case 'witness':
      return true
    case 'remove':
    case 'rename':
      return act.body.device !== act.author
    case 'rotate':
    case 'found':
    case 'recover':
      return false
  }
}

function refusal(statement: Statement, ledger: Ledger, sees: Sees): string | undefined {
  if (statement.kind === 'found') return undefined
  if (statement.kind === 'recover') return recoverRefusal(statement, ledger, sees)
  const { author } = statement
  if (ledger.admissionOf(author, sees) === undefined) return 'its author was not a member'
  if (ledger.removalOf(author, sees) !== undefined) return 'its author was removed before'
  if (ledger.keyOf(author, sees) !== statement.key) return 'not signed by the key its author used'
  if (needsFull(statement) && ledger.roleOf(author, sees)?.role !== 'full')
    return 'its author may not manage the roster'
  return contentRefusal(statement, ledger, sees)
}

function recoverRefusal(statement: Statement, ledger: Ledger, sees: Sees): string | undefined {
  if (!ledger.recoveryKeys(sees).includes(statement.key)) return 'not signed by the recovery key'
  const isNew = statement.kind === 'recover' && !ledger.isKeyUsed(peerIdOf(statement.body.key), sees)
  return isNew ? undefined : 'it admits a device that was here before'
}

function contentRefusal(statement: Statement, ledger: Ledger, sees: Sees): string | undefined {
  switch (statement.kind) {
    case 'add': {
      const device = admittedDevice(statement)
      if (device !== undefined && ledger.removalOf(device, sees) !== undefined)
        return 'it admits a device that was removed'
      if (device !== undefined && ledger.admissionOf(device, sees) !== undefined)
        return 'it admits a device that is here already'
      if (ledger.isKeyUsed(peerIdOf(statement.body.key), sees))
        return 'it admits a key that was in use before'
      return ledger.count(sees) >= limits.devices ? 'the mesh has as many devices as it can hold' : undefined
    }
    case 'rotate': {
      const next = peerIdOf(statement.body.next)
      const isUsed = next === statement.key || ledger.isKeyUsed(next, sees)
      return isUsed ? 'it takes a key that was in use before' : undefined
    }
    case 'remove':
    case 'grant':
    case 'rename':
      return ledger.isMember(statement.body.device, sees)
        ? undefined
        : 'it speaks of a device that is not a member'
    case 'found':
    case 'recover':
    case 'witness':
      return undefined
  }
}
