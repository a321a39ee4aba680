/** Pairing as verbs: what happens in a window on a device of the mesh, and on the device that joins. Types only. */
import type { WireError } from '../base/errors.ts'
import type { DeviceId, MeshId, PeerId } from '../base/ids.ts'
import type { DeviceKind, Role } from './api-device.ts'

export interface PairParams {
  /** Granted on confirmation unless the person picks another. Default `full`. */
  readonly role?: Role
  /** Spaces a `limited` device may use. */
  readonly spaces?: readonly string[]
}

/** What happens in a pairing window, on the existing device. The stream ends when the window closes. */
export type PairEvent =
  | {
      readonly kind: 'opened'
      /** Typed by hand, `7-ABCD-EFGH` or the like; good for one guess. */
      readonly shortCode: string
      /** PeerId, addresses and one-time secret as text; also what the QR code holds. */
      readonly longCode: string
      readonly expiresAtMs: number
    }
  /** A wrong guess burnt the short code; here is the next. */
  | { readonly kind: 'code'; readonly shortCode: string; readonly codesLeft: number }
  /** Compare-six-digits: both people read the same digits before confirming. */
  | { readonly kind: 'compare'; readonly requestId: string; readonly digits: string }
  /** The joiner proved the secret. Nothing is added until `pairConfirm` accepts this request. */
  | {
      readonly kind: 'confirm'
      readonly requestId: string
      readonly name: string
      readonly deviceKind: DeviceKind
      readonly peerId: PeerId
      readonly role: Role
      readonly address: string
    }
  | {
      readonly kind: 'joined'
      readonly requestId: string
      readonly deviceId: DeviceId
      readonly name: string
    }
  /** One attempt failed; the window stays open while codes are left. */
  | { readonly kind: 'failed'; readonly requestId?: string; readonly error: WireError }
  | { readonly kind: 'closed'; readonly reason: 'joined' | 'expired' | 'codes-used' | 'cancelled' }

export interface PairConfirmParams {
  readonly requestId: string
  readonly accept: boolean
  /** Grants another role than the one shown. */
  readonly role?: Role
}

export interface PairJoinParams {
  /** Long code, QR text or short code. Absent: compare-six-digits with the device at `address`. */
  readonly code?: string
  /** Multiaddr or host:port of the existing device, when discovery cannot find it. */
  readonly address?: string
}

/** Progress on the joining device. A failure ends the stream with an error (`pair.*`, `peer.gone`). */
export type PairJoinEvent =
  | { readonly kind: 'searching' }
  | { readonly kind: 'connected'; readonly peerId: PeerId; readonly address: string }
  /** Both screens show the same digits: answer with `pairConfirm`. */
  | { readonly kind: 'compare'; readonly requestId: string; readonly digits: string }
  /** Proved; the person at the existing device is being asked. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'joined'; readonly mesh: MeshId; readonly name: string; readonly deviceCount: number }
