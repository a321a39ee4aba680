/**
 * The control protocol between the CLI and the peer of one home: JSON, one message a line, over a Unix socket
 * or named pipe that only the owner can open. No codec package is loaded: the CLI must start in milliseconds.
 *
 *   client: {"id":1,"verb":"status","params":{}}     {"id":1,"cancel":true}
 *   server: {"id":1,"result":...}                    a request is answered once
 *           {"id":1,"item":...}* {"id":1,"end":true} a stream has items, then an end
 *           {"id":1,"error":{"code","message","fix"?}}  either may end so instead
 *
 * Ids are chosen by the client and unique while in flight. A line is at most limits.controlMessageBytes; a longer
 * one, or one that is no such message, ends the connection. Text is carried as it is: whoever prints escapes it.
 */
import type { WireError } from '../base/errors.ts'
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'

export type ClientMessage =
  | { readonly id: number; readonly verb: string; readonly params: unknown }
  | { readonly id: number; readonly cancel: true }

export type ServerMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly item: unknown }
  | { readonly id: number; readonly end: true }
  | { readonly id: number; readonly error: WireError }

const newline = 0x0a

/** One message with its newline. @throws `limit.exceeded` when it would be too long. */
export function encodeLine(message: ClientMessage | ServerMessage): string {
  const line = `${JSON.stringify(message)}\n`
  if (line.length * 3 > limits.controlMessageBytes && Buffer.byteLength(line) > limits.controlMessageBytes) {
    throw new SkeinError(
      'limit.exceeded',
      `a control message of more than ${limits.controlMessageBytes} bytes`,
    )
  }
  return line
}

/** Splits bytes into lines; memory stays below one line's limit plus one chunk. */
export interface LineReader {
  /** @returns the complete lines, without newlines. @throws `limit.exceeded`, `codec.invalid` for bad UTF-8. */
  push(chunk: Uint8Array): readonly string[]
}

export function createLineReader(maxBytes: number = limits.controlMessageBytes): LineReader {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let parts: Uint8Array[] = []
  let heldBytes = 0
  const hold = (bytes: Uint8Array): void => {
    heldBytes += bytes.byteLength
    if (heldBytes > maxBytes) throw new SkeinError('limit.exceeded', `a line of more than ${maxBytes} bytes`)
    parts.push(bytes)
  }
  const finishLine = (): string => {
    const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
    parts = []
    heldBytes = 0
    try {
      return decoder.decode(bytes)
    } catch (error) {
      throw new SkeinError('codec.invalid', 'a control message that is not UTF-8', { cause: error })
    }
  }
  return {
    push(chunk) {
      const lines: string[] = []
      let start = 0
      for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
        hold(chunk.subarray(start, end))
        lines.push(finishLine())
        start = end + 1
      }
      if (start < chunk.byteLength) hold(chunk.slice(start))
      return lines
    },
  }
}

type Fields = Readonly<Record<string, unknown>>

function parseFields(line: string): Fields & { readonly id: number } {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new SkeinError('codec.invalid', 'a control message that is not JSON', { cause: error })
  }
  if (typeof value !== 'object' || value === null || !('id' in value)) {
    throw new SkeinError('codec.invalid', 'a control message without an id')
  }
  if (typeof value.id !== 'number' || !Number.isSafeInteger(value.id) || value.id < 0) {
    throw new SkeinError('codec.invalid', 'a control message whose id is no number')
  }
  return { ...value, id: value.id }
}

/** @throws `codec.invalid`. Parameters are still unchecked: each verb has its own validator. */
export function parseClientMessage(line: string): ClientMessage {
  const fields = parseFields(line)
  if (fields['cancel'] === true) return { id: fields.id, cancel: true }
  const verb = fields['verb']
  if (typeof verb !== 'string' || verb.length > 64)
    throw new SkeinError('codec.invalid', 'a request without a verb')
  return { id: fields.id, verb, params: fields['params'] ?? {} }
}

/** @throws `codec.invalid`. Results are trusted as far as the peer of one's own home is. */
export function parseServerMessage(line: string): ServerMessage {
  const { id, ...fields } = parseFields(line)
  if (fields['end'] === true) return { id, end: true }
  if ('item' in fields) return { id, item: fields['item'] }
  if ('error' in fields) return { id, error: parseError(fields['error']) }
  if ('result' in fields) return { id, result: fields['result'] }
  throw new SkeinError('codec.invalid', 'a reply of no known kind')
}

function parseError(value: unknown): WireError {
  const fields: Fields = typeof value === 'object' && value !== null ? { ...value } : {}
  const { code, message, fix } = { code: fields['code'], message: fields['message'], fix: fields['fix'] }
  if (typeof code !== 'string' || typeof message !== 'string') {
    throw new SkeinError('codec.invalid', 'an error reply without code and message')
  }
  return typeof fix === 'string' ? { code, message, fix } : { code, message }
}

/** What a new peer process tells the one that started it, once, over the inherited IPC channel. */
export type StartMessage =
  | { readonly kind: 'ready'; readonly pid: number }
  | { readonly kind: 'failed'; readonly error: WireError }

/** @throws `codec.invalid`. */
export function parseStartMessage(value: unknown): StartMessage {
  const fields: Fields = typeof value === 'object' && value !== null ? { ...value } : {}
  if (fields['kind'] === 'ready' && typeof fields['pid'] === 'number')
    return { kind: 'ready', pid: fields['pid'] }
  if (fields['kind'] === 'failed') return { kind: 'failed', error: parseError(fields['error']) }
  throw new SkeinError('codec.invalid', 'an unknown message from the new peer')
}
