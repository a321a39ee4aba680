/** Answers of the console: JSON and errors, always with the headers that keep other pages out. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ErrorCode } from '../base/errors.ts'
import { SkeinError, toWireError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'

/**
 * On every answer. Nothing inline, nothing from elsewhere, no frames, no script made of text; the page is never in a
 * window that another page holds, and its address is told to nobody.
 */
export const securityHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}

const statuses: Partial<Readonly<Record<ErrorCode, number>>> = {
  usage: 400,
  'codec.invalid': 400,
  'auth.invalid': 401,
  'auth.expired': 401,
  'auth.denied': 403,
  'not.found': 404,
  'peer.unknown': 404,
  'rpc.unknown': 404,
  'file.exists': 409,
  'pair.busy': 409,
  'limit.exceeded': 429,
  'not.running': 503,
  cancelled: 503,
  'deadline.exceeded': 504,
}

export function answerJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(JSON.stringify(value ?? null))
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': String(body.byteLength),
    'Cache-Control': 'no-store',
    ...headers,
  })
  response.end(body)
}

/** @param status instead of the one that the error's code stands for. */
export function answerError(response: ServerResponse, error: unknown, status?: number): void {
  const wire = toWireError(error)
  const code = error instanceof SkeinError ? error.code : 'internal'
  if (response.headersSent) return void response.destroy()
  answerJson(response, status ?? statuses[code] ?? 500, { error: wire })
}

/** Every header of the name as it came; Node would join or drop repeated ones. */
export function headersOf(request: IncomingMessage, name: string): readonly string[] {
  const found: string[] = []
  for (let index = 0; index < request.rawHeaders.length; index += 2)
    if (request.rawHeaders[index]?.toLowerCase() === name) found.push(request.rawHeaders[index + 1] ?? '')
  return found
}

/** A JSON object. @throws `usage` for another type or form, `limit.exceeded` for a longer one. */
export async function readJsonBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const isEmpty =
    request.headers['transfer-encoding'] === undefined && isZero(request.headers['content-length'])
  if (isEmpty) return {}
  const [type, ...more] = headersOf(request, 'content-type')
  if (more.length > 0 || type === undefined || !/^application\/json(; ?charset=utf-8)?$/i.test(type))
    throw new SkeinError('usage', 'the body must be application/json')
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request) {
    // because: without an encoding set, a request gives buffers
    const chunk = part as Buffer
    size += chunk.byteLength
    if (size > limits.consoleBodyBytes)
      throw new SkeinError('limit.exceeded', `a body of more than ${limits.consoleBodyBytes} bytes`)
    parts.push(chunk)
  }
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch (error) {
    throw new SkeinError('usage', 'the body is not JSON', { cause: error })
  }
  throw new SkeinError('usage', 'the body must be a JSON object')
}

const isZero = (length: string | undefined): boolean => length === undefined || length === '0'
