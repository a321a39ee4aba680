/**
 * The clipboard of one desktop as the rest of Skein sees it: copies made by the person arrive with all their formats,
 * copies from elsewhere are offered to its programs. X11, Wayland, macOS, Windows and memory stand behind it.
 *
 * What a password manager marked as secret never comes out of an adapter (no format, no size, no event), and neither
 * does what this process offered itself.
 */

/** One format of a copy, under its MIME type (`text/plain`, `text/html`, `text/rtf`, `image/png`, `text/uri-list`). */
export interface CopiedFormat {
  readonly mime: string
  readonly content: Uint8Array
}

/** All formats of one copy together; at least one. */
export interface Copy {
  readonly formats: readonly CopiedFormat[]
  /** Formats that were left out, because they were too large, broken or too late, with the reason for people. */
  readonly leftOut: readonly { readonly mime: string; readonly reason: string }[]
}

/** One format that is offered: its content is asked for only when a program pastes it. */
export interface OfferedFormat {
  readonly mime: string
  /** @throws any error: the program that pastes is told that there is nothing. */
  read(signal: AbortSignal): Promise<Uint8Array>
}

export type ClipboardState =
  | { readonly kind: 'ready' }
  /** No display or program to talk to for now; the adapter tries again by itself. */
  | { readonly kind: 'away'; readonly reason: string; readonly fix: string }

export interface DesktopClipboard extends AsyncDisposable {
  /** `x11`, `wayland`, `macos`, `windows` or `memory`. */
  readonly name: string
  readonly state: ClipboardState
  onState(listener: (state: ClipboardState) => void): Disposable
  /** Each copy that another program makes from now on, in order; storms may be thinned, the last one always comes. */
  onCopy(listener: (copy: Copy) => void): Disposable
  /** Makes these formats the content of the clipboard, until anybody copies something else. Replaces an earlier offer. */
  offer(formats: readonly OfferedFormat[]): Promise<void>
  /** Takes an offer of this process back, where it still stands; nothing else is touched. */
  withdraw(): Promise<void>
}
