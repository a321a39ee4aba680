/** The clipboard's part of the api, as types: see api.ts. */
import type { DeviceId } from '../base/ids.ts'

export interface ClipItem {
  readonly id: string
  readonly atMs: number
  readonly deviceId: DeviceId
  readonly deviceName: string
  /** The first of `mediaTypes`. */
  readonly mediaType: string
  readonly mediaTypes: readonly string[]
  readonly sizeBytes: number
  /** Present for items with text; a long one is cut. */
  readonly text?: string
  readonly isPinned: boolean
  /** Names of copied files. */
  readonly files?: readonly string[]
  /** What of the copy is not in it, and why. */
  readonly leftOut?: readonly { readonly what: string; readonly reason: string }[]
  /** Why it cannot be read here. */
  readonly problem?: string
}

/** `id`: of an item, or an unambiguous start of one; the newest item where there is none. */
export interface ClipGetParams {
  readonly id?: string
}

export interface ClipGetResult {
  readonly item?: ClipItem
  /** The whole text, where it has one of limits.messageBytes at most. */
  readonly text?: string
}

export interface ClipReadParams {
  readonly id?: string
  /** A media type of the item, such as `image/png`. Default: its text, else its first one. */
  readonly type?: string
}

/** First what comes, then its bytes in order. */
export type ClipPiece =
  | { readonly kind: 'content'; readonly mediaType: string; readonly sizeBytes: number }
  | { readonly kind: 'piece'; readonly base64: string }

/** One of `text`, `base64` and `upload`. */
export interface ClipSetParams {
  readonly text?: string
  readonly base64?: string
  /** What clipUpload gave for the last piece. */
  readonly upload?: string
  /** Media type of the bytes. Default `text/plain`. */
  readonly type?: string
}

/** A long content is handed over in pieces, the first one without `upload`. */
export interface ClipUploadParams {
  readonly upload?: string
  readonly base64: string
}

export interface ClipHistoryParams {
  readonly limit?: number
  /** Only items whose text holds this, in any case. */
  readonly query?: string
  readonly pinned?: boolean
}

export interface ClipIdParams {
  readonly id: string
}

export interface ClipClearParams {
  /** The pinned ones as well. */
  readonly pinned?: boolean
}

export interface ClipPauseParams {
  /** Goes on by itself after so long. */
  readonly forMs?: number
}

/** What the clipboard of this device does. */
export interface ClipState {
  /** `x11`, `wayland`, `macos`, `windows`, or `memory` on a machine without a desktop. */
  readonly desktop: string
  /** `off`: by settings.json. `away`: no display to talk to for now. */
  readonly state: 'ready' | 'away' | 'paused' | 'off'
  readonly reason?: string
  readonly fix?: string
  /** When a pause ends by itself. */
  readonly pausedUntilMs?: number
  readonly itemCount: number
  /** Long contents kept in the home. */
  readonly heldBytes: number
}
