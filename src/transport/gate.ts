/**
 * Who may be connected and what they may open. Asked right after the handshake, when the key of the remote is
 * proved and before any byte of a protocol, and again at each channel: the roster can change in between.
 */
import type { Membership, Access } from '../base/link.ts'
import { isPeerId, type PeerId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'

/** What a connection was admitted as. */
export type Standing = 'member' | 'stranger'

export interface Gate {
  /** @param ours true when we dialled: then a stranger is whom we asked for, e.g. while joining a mesh. */
  standingOf(peerId: string, ours: boolean): Standing | undefined
  /** May this connection open (or go on with) a protocol now? */
  mayOpen(peerId: PeerId, access: Access): boolean
  /** May a connection admitted so, once, stay? */
  mayStay(peerId: PeerId, admitted: Standing, ours: boolean): boolean
}

/** @param countOf connections held now: those of strangers, or those of one peer. */
export function createGate(
  membership: Membership,
  countOf: { strangers(): number; peer(peerId: string): number },
): Gate {
  const isMember = (peerId: PeerId): boolean => membership.deviceOf(peerId) !== undefined
  return {
    standingOf(peerId, ours) {
      // Only Ed25519 keys are device keys
      if (!isPeerId(peerId)) return undefined
      if (isMember(peerId))
        return ours || countOf.peer(peerId) < limits.connectionsPerPeer ? 'member' : undefined
      if (ours) return 'stranger'
      if (!membership.isPairingOpen() || countOf.strangers() >= limits.pairingConnections) return undefined
      return 'stranger'
    },
    mayOpen: (peerId, access) => isMember(peerId) || (access === 'pairing' && membership.isPairingOpen()),
    mayStay(peerId, admitted, ours) {
      if (isMember(peerId)) return true
      // Removed from the roster: whatever it has open was opened as a member
      if (admitted === 'member') return false
      return ours || membership.isPairingOpen()
    },
  }
}
