/**
 * What effective statements add up to, seen from one place in the graph: who is a member, with which key, role
 * and name. `sees` chooses the place: the ancestors of a statement when it is judged, everything for the present.
 *
 * A device is admitted once and removed once, for good: its id is the hash of its first key, so a removed device
 * comes back only with a new key under a new id. That makes "a removed device stays removed" a property of the
 * data and not of a rule that a clever order of statements could get around.
 */
import type { DeviceId, PeerId } from '../../base/ids.ts'
import { deviceIdOf, peerIdOf } from './device-key.ts'
import type { Role, Statement } from './statement.ts'

/** True for the statement indexes that count. */
export type Sees = (index: number) => boolean

interface DeviceEntries {
  readonly admissions: number[]
  readonly removals: number[]
  readonly roles: number[]
  readonly rotations: number[]
  readonly names: number[]
}

export interface Ledger {
  /** Enters an effective statement. Called in graph order. */
  enter(index: number): void
  readonly devices: Iterable<DeviceId>
  /** Index of the first admission seen: the lower, the more senior. */
  admissionOf(device: DeviceId, sees: Sees): number | undefined
  removalOf(device: DeviceId, sees: Sees): number | undefined
  isMember(device: DeviceId, sees: Sees): boolean
  /** The key in use; undefined when the device is unknown or two rotations contradict each other. */
  keyOf(device: DeviceId, sees: Sees): PeerId | undefined
  /** True when the key was ever a device's own. */
  isKeyUsed(key: PeerId, sees: Sees): boolean
  /** Rotations seen, oldest first. */
  rotationsOf(device: DeviceId, sees: Sees): readonly number[]
  roleOf(
    device: DeviceId,
    sees: Sees,
  ): { readonly role: Role; readonly grants: readonly string[] } | undefined
  nameOf(device: DeviceId, sees: Sees): string | undefined
  /** Keys that may sign `recover`: usually one, more after concurrent registrations. */
  recoveryKeys(sees: Sees): readonly PeerId[]
  /** Members seen. */
  count(sees: Sees): number
}

const rank: Readonly<Record<Role, number>> = { guest: 0, storage: 1, limited: 2, full: 3 }

export function createLedger(
  order: readonly Statement[],
  isAncestor: (older: number, newer: number) => boolean,
): Ledger {
  const entries = new Map<DeviceId, DeviceEntries>()
  const recoveries: number[] = []
  const keyUses = new Map<PeerId, number[]>()
  const of = (device: DeviceId): DeviceEntries => {
    const known = entries.get(device)
    if (known !== undefined) return known
    const fresh = { admissions: [], removals: [], roles: [], rotations: [], names: [] }
    entries.set(device, fresh)
    return fresh
  }
  /** Those of `indexes` seen that no other one seen builds on: the latest, several when concurrent. */
  const latest = (indexes: readonly number[], sees: Sees): readonly number[] => {
    const seen = indexes.filter(sees)
    const last = seen.at(-1)
    // The usual case, a single line of history, without comparing all pairs
    if (last === undefined || seen.every((index) => index === last || isAncestor(index, last))) {
      return last === undefined ? [] : [last]
    }
    return seen.filter((index) => !seen.some((other) => isAncestor(index, other)))
  }
  const admissionOf: Ledger['admissionOf'] = (device, sees) => entries.get(device)?.admissions.find(sees)
  const removalOf: Ledger['removalOf'] = (device, sees) => entries.get(device)?.removals.find(sees)
  const isMember: Ledger['isMember'] = (device, sees) =>
    admissionOf(device, sees) !== undefined && removalOf(device, sees) === undefined
  return {
    enter(index) {
      enter(order, index, { of, recoveries })
      for (const key of takenKeys(order[index])) keyUses.set(key, [...(keyUses.get(key) ?? []), index])
    },
    get devices() {
      return entries.keys()
    },
    admissionOf,
    removalOf,
    isMember,
    keyOf(device, sees) {
      const admission = order[admissionOf(device, sees) ?? -1]
      let key = admission === undefined ? undefined : admittedKey(admission)
      const rotations = (entries.get(device)?.rotations ?? []).filter(sees)
      for (let step = 0; step <= rotations.length && key !== undefined; step++) {
        const next = rotations.filter((index) => order[index]?.key === key)
        if (next.length === 0) return key
        const only = next.length === 1 ? order[next[0] ?? -1] : undefined
        key = only?.kind === 'rotate' ? peerIdOf(only.body.next) : undefined
      }
      return undefined
    },
    isKeyUsed: (key, sees) => (keyUses.get(key) ?? []).some(sees),
    rotationsOf: (device, sees) => (entries.get(device)?.rotations ?? []).filter(sees),
    roleOf(device, sees) {
      // Concurrent grants: the one that allows less, then the later in the order
      let best: { role: Role; grants: readonly string[] } | undefined
      for (const index of latest(entries.get(device)?.roles ?? [], sees)) {
        const given = givenRole(order[index])
        if (given !== undefined && (best === undefined || rank[given.role] <= rank[best.role])) best = given
      }
      return best
    },
    nameOf(device, sees) {
      const statement = order[latest(entries.get(device)?.names ?? [], sees).at(-1) ?? -1]
      return statement !== undefined && 'name' in statement.body ? statement.body.name : undefined
    },
    recoveryKeys(sees) {
      const keys = latest(recoveries, sees).map((index) => registeredRecovery(order[index]))
      return [...new Set(keys.filter((key) => key !== undefined))].sort()
    },
    count: (sees) => [...entries.keys()].filter((device) => isMember(device, sees)).length,
  }
}

interface Books {
  of(device: DeviceId): DeviceEntries
  readonly recoveries: number[]
}

function enter(order: readonly Statement[], index: number, books: Books): void {
  const statement = order[index]
  if (statement === undefined) return
  if (registeredRecovery(statement) !== undefined) books.recoveries.push(index)
  switch (statement.kind) {
    case 'found':
    case 'add':
    case 'recover': {
      const device = admittedDevice(statement)
      if (device === undefined) return
      const entry = books.of(device)
      entry.admissions.push(index)
      entry.roles.push(index)
      entry.names.push(index)
      if (statement.kind === 'recover')
        for (const gone of statement.body.remove) books.of(gone).removals.push(index)
      return
    }
    case 'remove':
      books.of(statement.body.device).removals.push(index)
      return
    case 'rotate':
      books.of(statement.author).rotations.push(index)
      return
    case 'grant':
      books.of(statement.body.device).roles.push(index)
      return
    case 'rename':
      books.of(statement.body.device).names.push(index)
      return
    case 'witness':
      return
  }
}

function takenKeys(statement: Statement | undefined): readonly PeerId[] {
  if (statement === undefined) return []
  if (statement.kind === 'rotate') return [peerIdOf(statement.body.next)]
  const key = admittedKey(statement)
  return key === undefined ? [] : [key]
}

function admittedKey(statement: Statement): PeerId | undefined {
  return 'key' in statement.body ? peerIdOf(statement.body.key) : undefined
}

/** The device that an admission lets in. */
export function admittedDevice(statement: Statement): DeviceId | undefined {
  if (statement.kind === 'found' || statement.kind === 'recover') return statement.author
  return statement.kind === 'add' ? deviceIdOf(statement.body.key) : undefined
}

function givenRole(statement: Statement | undefined): { role: Role; grants: readonly string[] } | undefined {
  if (statement === undefined) return undefined
  if (statement.kind === 'found' || statement.kind === 'recover') return { role: 'full', grants: [] }
  if (statement.kind === 'add' || statement.kind === 'grant') {
    return { role: statement.body.role, grants: statement.body.grants }
  }
  return undefined
}

function registeredRecovery(statement: Statement | undefined): PeerId | undefined {
  if (statement === undefined || !('recovery' in statement.body)) return undefined
  return statement.body.recovery === undefined ? undefined : peerIdOf(statement.body.recovery)
}
