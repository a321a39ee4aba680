/**
 * Operating errors. What can go wrong while the program is right: each has a code that callers switch on,
 * a message for a person that names the fix, and the cause. Programmer errors are `assert` failures instead.
 */

/** Every code an operating error can carry. A new one is added here, nowhere else. */
export const errorCodes = [
  'auth.denied', // the roster or a role does not allow it
  'auth.invalid', // signature, token or proof does not verify
  'auth.expired',
  'blob.missing', // nobody reachable holds these bytes
  'blob.corrupt', // bytes do not match their hash
  'cancelled', // the caller's signal was aborted
  'channel.closed', // ended in good order, by either side
  'channel.aborted', // cut off: reset, network gone, protocol broken
  'channel.stalled', // the watchdog saw no progress for too long
  'codec.invalid', // bytes that are not what the protocol says
  'codec.version', // a version we do not speak
  'config.invalid',
  'deadline.exceeded',
  'disk.full',
  'disk.failed', // the disk reported an error
  'file.unsafe', // a name or path that would leave the folder or cannot be held
  'file.changed', // the file on disk is not the one that was looked at
  'file.exists', // something is already there, or a directory is not empty
  'file.denied', // the system refuses access
  'file.busy', // another program holds it
  'file.unsupported', // this disk cannot do it
  'folder.missing', // the root of a shared folder is gone, empty, unmounted or another one
  'home.locked', // another process runs on this home
  'home.unusable', // unreadable, not a directory, wrong permissions
  'internal',
  'limit.exceeded',
  'not.found',
  'not.running', // the background peer is not up
  'pair.busy',
  'pair.closed', // no window open
  'pair.failed', // wrong code, mismatch, or refused by the person
  'peer.gone', // link lost or never there
  'peer.unknown', // not in the roster
  'port.busy',
  'rpc.unknown', // no such method
  'store.corrupt',
  'store.failed',
  'usage', // the command line is not right
  'vault.overtaken', // another device has added to a sealed space meanwhile: read on, then try again
] as const

export type ErrorCode = (typeof errorCodes)[number]

export interface SkeinErrorOptions {
  readonly cause?: unknown
  /** The one thing a person can do about it, as a sentence or a command line. */
  readonly fix?: string
  /** Facts for logs and `--json`; never secrets or content. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

export class SkeinError extends Error {
  override readonly name = 'SkeinError'
  readonly code: ErrorCode
  readonly fix: string | undefined
  readonly details: Readonly<Record<string, string | number | boolean>>

  constructor(code: ErrorCode, message: string, options: SkeinErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.fix = options.fix
    this.details = options.details ?? {}
  }
}

/** What of an error may cross the network or the control socket: no stack, no cause. */
export interface WireError {
  readonly code: string
  readonly message: string
  readonly fix?: string
}

export function toWireError(error: unknown): WireError {
  const known = asSkeinError(error)
  const wire = { code: known.code, message: known.message.slice(0, 1000) }
  return known.fix === undefined ? wire : { ...wire, fix: known.fix.slice(0, 500) }
}

export function fromWireError(wire: WireError): SkeinError {
  const code = errorCodes.find((known) => known === wire.code) ?? 'internal'
  return new SkeinError(code, wire.message, wire.fix === undefined ? {} : { fix: wire.fix })
}

/** Turns anything thrown into a SkeinError; what was not one becomes `internal` (or `cancelled` for an abort). */
export function asSkeinError(error: unknown, code: ErrorCode = 'internal'): SkeinError {
  if (error instanceof SkeinError) return error
  if (error instanceof Error) {
    const kind = error.name === 'AbortError' ? 'cancelled' : code
    return new SkeinError(kind, error.message, { cause: error })
  }
  return new SkeinError(code, String(error))
}

/** True when `error` is an operating error with one of the codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is SkeinError {
  return error instanceof SkeinError && codes.includes(error.code)
}
