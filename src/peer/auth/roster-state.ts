/**
 * The roster as everybody must see it: a pure function of a set of statements. The same set gives the same state
 * in any order of arrival; statements that take no effect stay in the graph and are listed with their reason.
 */
import type { DeviceId, MeshId, PeerId } from '../../base/ids.ts'
import { peerIdOf } from './device-key.ts'
import type { DeviceKind } from './keys.ts'
import { settle } from './roster-contests.ts'
import type { RosterGraph } from './roster-graph.ts'
import { createRosterGraph } from './roster-graph.ts'
import type { Judgement } from './roster-rules.ts'
import type { Grant, Role, Statement, StatementHash } from './statement.ts'

export interface RosterDevice {
  readonly deviceId: DeviceId
  readonly name: string
  readonly kind: DeviceKind
  readonly role: Role
  readonly grants: readonly Grant[]
  /** The key in use. Undefined once removed, or when two rotations contradict each other: then it must be paired anew. */
  readonly key: PeerId | undefined
  /** Keys rotated out: accepted by the gate for `overlapMs` after this device first saw the statement `by`. */
  readonly retired: readonly {
    readonly key: PeerId
    readonly by: StatementHash
    readonly overlapMs: number
  }[]
  /** Every key this device ever had. */
  readonly keys: readonly PeerId[]
  readonly addedBy: DeviceId
  /** Lower is more senior; 0 is the founder. */
  readonly seniority: number
  readonly removed: { readonly by: DeviceId; readonly statement: StatementHash } | undefined
}

export interface RosterState {
  readonly mesh: MeshId
  /** All devices ever admitted, the removed ones too, most senior first. */
  readonly devices: ReadonlyMap<DeviceId, RosterDevice>
  readonly heads: readonly StatementHash[]
  readonly rejected: readonly { readonly hash: StatementHash; readonly reason: string }[]
  readonly recoveryKeys: readonly PeerId[]
  /** Statements connected to the founding one, effective or not. */
  readonly size: number
}

/** Devices that are members now. */
export const membersOf = (state: RosterState): readonly RosterDevice[] =>
  [...state.devices.values()].filter((device) => device.removed === undefined)

/** @param statements each one decoded and verified; those of other meshes and unconnected ones are listed as rejected. */
export function evaluate(mesh: MeshId, statements: Iterable<Statement>): RosterState {
  return evaluateGraph(mesh, createRosterGraph(mesh, statements))
}

export function evaluateGraph(mesh: MeshId, graph: RosterGraph): RosterState {
  const judgement = settle(graph)
  const found = [...judgement.ledger.devices].map((deviceId) => describe(deviceId, graph, judgement))
  const bySeniority = found.filter((device) => device !== undefined).sort((a, b) => a.seniority - b.seniority)
  // The place among the devices, not in the graph: statements without effect must not shift it
  const ranked = bySeniority.map((device, seniority) => ({ ...device, seniority }))
  const devices = new Map(ranked.map((device) => [device.deviceId, device]))
  const refused = [...judgement.reasons].map(([index, reason]) => ({
    hash: graph.order[index]?.hash ?? '',
    reason,
  }))
  return {
    mesh,
    devices,
    heads: graph.heads.map((head) => head.hash).sort(),
    rejected: [...refused, ...graph.strays],
    recoveryKeys: judgement.ledger.recoveryKeys(all),
    size: graph.order.length,
  }
}

const all = (): boolean => true

function describe(deviceId: DeviceId, graph: RosterGraph, judgement: Judgement): RosterDevice | undefined {
  const { ledger } = judgement
  const seniority = ledger.admissionOf(deviceId, all)
  const admission = graph.order[seniority ?? -1]
  const given = ledger.roleOf(deviceId, all)
  if (seniority === undefined || admission === undefined || !('key' in admission.body) || given === undefined)
    return undefined
  const removal = graph.order[ledger.removalOf(deviceId, all) ?? -1]
  const rotations = ledger.rotationsOf(deviceId, all).map((index) => graph.order[index])
  const rotated = rotations.filter((statement) => statement?.kind === 'rotate')
  return {
    deviceId,
    name: ledger.nameOf(deviceId, all) ?? admission.body.name,
    kind: admission.body.kind,
    role: given.role,
    grants: given.grants,
    key: removal === undefined ? ledger.keyOf(deviceId, all) : undefined,
    retired: rotated.map((statement) => ({
      key: statement.key,
      by: statement.hash,
      overlapMs: statement.body.overlapMs,
    })),
    keys: [peerIdOf(admission.body.key), ...rotated.map((statement) => peerIdOf(statement.body.next))],
    addedBy: admission.author,
    seniority,
    removed: removal === undefined ? undefined : { by: removal.author, statement: removal.hash },
  }
}
