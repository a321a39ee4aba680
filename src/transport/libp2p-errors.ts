/** What libp2p throws, as operating errors. It throws Errors by name, and here and there an event. */
import { abortReason } from '../base/clock.ts'
import { SkeinError, type ErrorCode } from '../base/errors.ts'

const codes: Readonly<Record<string, ErrorCode>> = {
  UnsupportedProtocolError: 'rpc.unknown',
  UnexpectedPeerError: 'auth.denied',
  ConnectionInterceptedError: 'auth.denied',
  TooManyOutboundProtocolStreamsError: 'limit.exceeded',
  TimeoutError: 'deadline.exceeded',
}

/** @param signal its reason wins when it is aborted: that is why the operation ended. */
export function fromLibp2p(error: unknown, what: string, signal?: AbortSignal): SkeinError {
  if (error instanceof SkeinError) return error
  if (signal?.aborted === true) return abortReason(signal)
  const name = error instanceof Error ? error.name : ''
  // The upgrader keeps only the message of what noise threw (pinned by test/transport/dial.test.ts)
  const isOtherKey =
    error instanceof Error && /does not match expected remote identity key/.test(error.message)
  const code = isOtherKey ? 'auth.denied' : (codes[name] ?? 'peer.gone')
  const detail = error instanceof Error ? error.message : String(error)
  return new SkeinError(code, `${what}: ${isOtherKey ? 'another device answers' : detail}`, { cause: error })
}
