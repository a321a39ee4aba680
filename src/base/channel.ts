/**
 * The seam between features and the network: an ordered duplex of messages with back-pressure and close.
 * Files, tasks, screens and clipboard talk to a Channel and do not know whether libp2p, WebRTC or memory carries it.
 *
 * Contract (test/contract/channel.ts):
 * - messages arrive whole, in order, at most once; after a clean close all that was sent before it arrives;
 * - `send` never blocks; false means "taken, but wait for `drained()`"; ignoring it past a hard bound aborts;
 * - one receiver; while the promise it returned is pending nothing more is handed over, and the sender's side
 *   fills up: data waits, memory does not grow;
 * - a receiver that throws or rejects aborts the channel with that error;
 * - nothing is lost before `receive` is called: messages wait (bounded) until then;
 * - `closed` settles exactly once on both sides and never rejects.
 */
import type { SkeinError } from './errors.ts'

export type Receiver = (message: Uint8Array) => void | Promise<void>

export interface Channel extends AsyncDisposable {
  /** For logs: protocol and remote. */
  readonly label: string
  /**
   * Queues one message made of these parts, <= limits.messageBytes together. The channel owns the buffers from here.
   * @returns false when the sender should await `drained()` before the next.
   * @throws `channel.closed` | `channel.aborted` after the end, `limit.exceeded` for a message too long.
   */
  send(...parts: readonly Uint8Array[]): boolean
  /** Resolves when there is room again. @throws `channel.*` if it ends first, or the signal's reason. */
  drained(signal?: AbortSignal): Promise<void>
  /** Sets the one receiver. A message is valid only during the call (and its promise): copy what is kept. */
  receive(receiver: Receiver): void
  /** Ends in good order: what was sent is delivered, then both sides see `closed` without an error. Idempotent. */
  close(): Promise<void>
  /** Cuts off now. Both sides see an error. Idempotent; never throws. */
  abort(error: SkeinError): void
  /** Settles at the end: undefined after a clean close by either side, else why it broke. */
  readonly closed: Promise<SkeinError | undefined>
}
