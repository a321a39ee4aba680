/**
 * The decision about one place on a device that takes a part in the space only: one that receives but sends nothing, or
 * that keeps what it selected and leaves the rest to others. A layer over the planner (plan.ts), as pure as that:
 *
 * - Read-only: no action of this device writes to the document. A change made here stays and is listed ('keep') until the
 *   document wants the very place, or a person takes it back: then these bytes go to versions ('overrule').
 * - Not selected: nothing is fetched, and what stands there by our own hand goes once others hold it ('release'). That
 *   it is absent is never a deletion. What a person put there without our hand is hers: it stays, and is not sent.
 * - Send-only (a push): nothing on this disk changes; what others did is looked at another time.
 */
import { sameData, type SyncedRow } from './folder-tree.ts'
import { type Action, type Place, planPlace } from './plan.ts'

export interface Part {
  /** This device sends nothing of this space. */
  readonly isReadOnly: boolean
  /** The place looked at is among what this device keeps. */
  readonly isSelected: boolean
  /** So is the place where the document has the row's version; the same as `isSelected` where it did not move. */
  readonly isOwnSelected: boolean
  /** A person takes back what was changed here. */
  readonly isReverted: boolean
  /** This device takes nothing in: a push. */
  readonly isSendOnly?: boolean
}

export const wholePart: Part = {
  isReadOnly: false,
  isSelected: true,
  isOwnSelected: true,
  isReverted: false,
}

const quietly: Action = { kind: 'forget', isOurs: true }

/** @param plan the planner below. */
export function planPart(place: Place, part: Part, plan: (place: Place) => Action = planPlace): Action {
  const whole = part.isSelected ? planMoved(place, part, plan(place)) : planUnselected(place, part, plan)
  const action = part.isReadOnly ? withoutSending(place, part, whole) : whole
  if (part.isSendOnly === true) return withoutReceiving(action)
  return part.isReverted ? reverted(place, action) : action
}

const isElsewhere = (row: SyncedRow, own: Place['own']): boolean =>
  own !== undefined && (own.parentId !== row.parentId || own.name !== row.name)

/** Selected here, but others moved it to where this device keeps nothing. */
function planMoved({ row, disk, own }: Place, { isOwnSelected }: Part, action: Action): Action {
  if (isOwnSelected || row === undefined || !isElsewhere(row, own) || disk.state !== 'same') return action
  return release(row, own)
}

function planUnselected(place: Place, { isOwnSelected }: Part, plan: (place: Place) => Action): Action {
  const { row, disk, own } = place
  // Invariant: without a row it was not put there by us, so it is not ours to take away or to send
  if (row === undefined)
    return disk.state === 'present' ? { kind: 'keep', change: 'added' } : { kind: 'nothing' }
  // Invariant: that it is not on the disk says nothing about what a person wants on other devices
  if (disk.state === 'absent') return quietly
  // Invariant: an edit of a version that others have is sent like any other; it goes once they have that as well
  if (disk.state === 'present' || own === undefined) return plan(place)
  if (isElsewhere(row, own) && isOwnSelected) return plan(place)
  return release(row, own)
}

/** The bytes of a version that others replaced go to versions; of one that stands, others must be known to hold them. */
function release(row: SyncedRow, own: Place['own']): Action {
  const isReplaced = own !== undefined && own.version !== row.version && !sameData(row, own)
  return isReplaced ? { kind: 'trash' } : { kind: 'release' }
}

/** Invariant: what is left writes nothing to the document. */
function withoutSending(place: Place, part: Part, action: Action): Action {
  const { row, disk, own, here } = place
  switch (action.kind) {
    case 'adopt':
      return action.deletesOld === true ? { kind: 'adopt', entry: action.entry } : action
    case 'delete': {
      // Invariant: only the version that stood here is gone from here; where the document wants another one, it comes
      const isStill = row !== undefined && here?.nodeId === row.nodeId && !isElsewhere(row, own)
      return isStill ? { kind: 'keep', change: 'deleted' } : quietly
    }
    case 'create':
    case 'edit':
    case 'recreate': {
      const isNews = row === undefined || own?.version !== row.version || isElsewhere(row, own)
      if (row !== undefined && !isNews && part.isSelected) return { kind: 'keep', change: 'edited' }
      // Invariant: where the document wants nothing, what was made here stays; from now on it is no version of anything
      if (here === undefined || !part.isSelected)
        return row === undefined ? { kind: 'keep', change: 'added' } : quietly
      return disk.state === 'present' ? { kind: 'overrule', data: disk.data } : { kind: 'nothing' }
    }
    case 'nothing':
    case 'forget':
    case 'materialise':
    case 'replace':
    case 'move':
    case 'trash':
    case 'keep':
    case 'release':
    case 'overrule':
      return action
  }
}

/** Invariant: what is left changes nothing on the disk. */
function withoutReceiving(action: Action): Action {
  switch (action.kind) {
    case 'materialise':
    case 'replace':
    case 'move':
    case 'trash':
    case 'release':
    case 'overrule':
      return { kind: 'nothing' }
    case 'nothing':
    case 'forget':
    case 'adopt':
    case 'create':
    case 'edit':
    case 'recreate':
    case 'delete':
    case 'keep':
      return action
  }
}

function reverted({ disk }: Place, action: Action): Action {
  if (action.kind !== 'keep') return action
  if (action.change === 'deleted') return quietly
  return disk.state === 'present' ? { kind: 'overrule', data: disk.data } : action
}
