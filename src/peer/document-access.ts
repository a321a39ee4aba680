/**
 * Which documents a device may read. Full devices read all; a limited one those of the spaces that it was granted, and
 * nothing else: not even the list of spaces (granted-spaces.ts). Writing is for full devices alone (auth/access.ts), so
 * what a limited device writes to a space is refused by every other one, whoever brings it.
 */
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { isSpaceId } from '../base/ids.ts'
import { may } from './auth/access.ts'
import type { RosterState } from './auth/roster-state.ts'
import type { Grant } from './auth/statement.ts'

export function mayReadDocument(state: RosterState, device: DeviceId, document: string): boolean {
  if (may(state, device, 'doc.read', document).allowed) return true
  const space = spaceOfDocument(document)
  return space !== undefined && may(state, device, 'space.read', space).allowed
}

/** What lets a device read a space: its tree, and its contents. */
export const readGrants = (space: SpaceId): readonly Grant[] => [`space.read:${space}`, `blob.read:${space}`]

/** The space whose tree a document is part of (crdt/shard.ts). */
export function spaceOfDocument(document: string): SpaceId | undefined {
  const [kind, space = '', shard, ...rest] = document.split('/')
  const isShard = kind === 't' && rest.length === 0 && /^[0-9a-f]{2}$/.test(shard ?? '')
  return isShard && isSpaceId(space) ? space : undefined
}
