/**
 * Server-sent events (WHATWG HTML, section 9.2) onto a response: one message at a time, waiting while the reader does
 * not take them, with a sign of life in between so that both sides notice a dead connection.
 */
import type { ServerResponse } from 'node:http'
import { untilAborted } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { toWireError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'

export interface StreamMessage {
  readonly event: string
  readonly id?: string
  readonly data: unknown
}

/** JSON has no line breaks, so a message cannot be taken for two. */
export const formatMessage = ({ event, id, data }: StreamMessage): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data ?? null)}\n\n`

/** Writes until the source ends or the signal aborts. A fault of the source becomes an `error` message. */
export async function pumpEvents(
  env: Env,
  response: ServerResponse,
  source: AsyncIterable<StreamMessage>,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-store' })
  response.write(': open\n\n')
  let timer = env.clock.setTimer(0, () => undefined)
  const beat = (): void => {
    timer = env.clock.setTimer(limits.consoleHeartbeatMs, () => {
      // A reader that takes nothing gets no more of them
      if (!response.writableNeedDrain && !response.destroyed) response.write(': alive\n\n')
      beat()
    })
  }
  beat()
  const items = source[Symbol.asyncIterator]()
  try {
    for (let next = await untilAborted(items.next(), signal); next.done !== true;) {
      if (!response.write(formatMessage(next.value))) await untilAborted(drained(response), signal)
      next = await untilAborted(items.next(), signal)
    }
    response.write(formatMessage({ event: 'end', data: {} }))
  } catch (error) {
    if (!signal.aborted) response.write(formatMessage({ event: 'error', data: toWireError(error) }))
  } finally {
    timer[Symbol.dispose]()
    response.end()
    // Not awaited: a source that is stuck must not keep the connection; its own signal has been aborted
    items.return?.().catch(() => undefined)
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (!response.writableNeedDrain || response.destroyed) return resolve()
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
