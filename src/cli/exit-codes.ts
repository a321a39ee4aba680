/** Exit codes: part of the interface for scripts, so they never change meaning. */
import type { SkeinError } from '../base/errors.ts'

export const exitCodes = {
  ok: 0,
  /** It was tried and failed; the message says why and what to do. */
  failed: 1,
  /** The command line is not right. */
  usage: 2,
  /** The background peer is not up. */
  notRunning: 3,
  /** Refused: by rights, a wrong or closed pairing, an invalid or expired token. */
  refused: 4,
  /** It took longer than was asked for. */
  timedOut: 5,
  /** Ctrl-C. */
  interrupted: 130,
} as const

export function exitCodeOf(error: SkeinError): number {
  if (error.code === 'usage') return exitCodes.usage
  if (error.code === 'not.running') return exitCodes.notRunning
  if (error.code === 'deadline.exceeded') return exitCodes.timedOut
  if (error.code === 'cancelled') return exitCodes.interrupted
  if (error.code.startsWith('auth.') || error.code.startsWith('pair.')) return exitCodes.refused
  return exitCodes.failed
}
