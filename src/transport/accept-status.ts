/** The acceptor's first byte on a stream: whether it takes the channel. */
import type { Stream } from '@libp2p/interface'
import { asSkeinError, SkeinError } from '../base/errors.ts'

export const acceptStatus = { accepted: 0, denied: 1, busy: 2 } as const

/** Refuses a stream with a reason that the opener can tell. */
export function refuseStream(stream: Stream, status: 1 | 2): void {
  try {
    stream.send(new Uint8Array([status]))
    stream.close().catch((error: unknown) => stream.abort(asSkeinError(error)))
  } catch (error) {
    stream.abort(asSkeinError(error)) // because: it ended meanwhile, which is what was wanted
  }
}

/** What the opener makes of a status that is not `accepted`. */
export function refusal(status: number, label: string): SkeinError {
  const code = status === acceptStatus.denied ? 'auth.denied' : 'limit.exceeded'
  return new SkeinError(code, `${label}: refused by the other side`)
}
