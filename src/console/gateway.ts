/**
 * Answers the requests of the console: admission first (admission.ts), then the page, the session, or a verb of the api
 * by the table (routes.ts) for who has a session. `/metrics` alone takes a token instead, for Prometheus. There is no
 * upgrade here, and nothing is changed by a read.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { withDeadline } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { VerbCalls } from '../peer/api-calls.ts'
import type { RequestVerb, StreamVerb } from '../peer/api.ts'
import { readVersion } from '../program/program.ts'
import { admit } from './admission.ts'
import type { StreamMessage } from './event-stream.ts'
import { pumpEvents } from './event-stream.ts'
import { answerError, answerJson, headersOf, readJsonBody, securityHeaders } from './http-answer.ts'
import type { Live } from './live.ts'
import { describeApi } from './openapi.ts'
import type { PageFiles } from './page-files.ts'
import type { Field } from './route.ts'
import type { FoundRoute } from './routes.ts'
import { findRoute } from './routes.ts'
import type { OpenSession, Sessions } from './sessions.ts'
import { ownerOf } from './socket-owner.ts'

export interface GatewayParts {
  readonly calls: VerbCalls
  readonly sessions: Sessions
  readonly live: Live
  readonly files: () => Promise<PageFiles>
  readonly port: number
  /** Aborts when the console ends. */
  readonly signal: AbortSignal
}

export interface Gateway {
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  readonly refuseUpgrade: (request: IncomingMessage, socket: Duplex) => void
}

export const cookieName = (port: number): string => `skein_${port}`
const tabHeader = 'skein-tab'
const apiPrefix = '/api/v1'

/** One request on its way. */
interface Visit {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
}

export function createGateway(env: Env, parts: GatewayParts): Gateway {
  const callsInFlight = new Map<string, number>()
  const serve = async (visit: Visit): Promise<void> => {
    const { pathname } = visit.url
    if (pathname === '/metrics') return await serveMetrics(parts, visit)
    if (pathname === `${apiPrefix}/session`) return await serveSession(parts, visit)
    if (!pathname.startsWith('/api/')) return await serveFile(parts, visit)
    const session = sessionOf(parts, visit.request)
    if (session === undefined) throw noSession()
    const count = callsInFlight.get(session.id) ?? 0
    if (count >= limits.consoleCallsInFlight)
      throw new SkeinError('limit.exceeded', 'too many calls in flight')
    callsInFlight.set(session.id, count + 1)
    try {
      await serveApi(env, parts, visit, session)
    } finally {
      const left = (callsInFlight.get(session.id) ?? 1) - 1
      if (left > 0) callsInFlight.set(session.id, left)
      else callsInFlight.delete(session.id)
    }
  }
  return {
    handle(request, response) {
      // A page that goes away in the middle is no fault
      response.on('error', (error) => env.log.debug('console answer not sent', errorFields(error)))
      for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value)
      const verdict = admit(knockOf(request, false), parts.port)
      if (!verdict.isAdmitted) {
        // What it still sends is not read
        response.setHeader('Connection', 'close')
        return answerError(response, new SkeinError('auth.denied', verdict.reason), verdict.status)
      }
      const url = parseUrl(request.url)
      if (url === undefined) return answerError(response, new SkeinError('usage', 'not an address'), 400)
      serve({ request, response, url }).catch((error: unknown) => {
        if (!(error instanceof SkeinError)) env.log.error('console request failed', errorFields(error))
        if (!request.complete && !response.headersSent) response.setHeader('Connection', 'close')
        answerError(response, error)
      })
    },
    refuseUpgrade(request, socket) {
      const verdict = admit(knockOf(request, true), parts.port)
      const status = verdict.isAdmitted ? '404 Not Found' : '403 Forbidden'
      socket.on('error', () => undefined) // because: it is being closed; who went away first does not matter
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    },
  }
}

const knockOf = (request: IncomingMessage, isUpgrade: boolean): Parameters<typeof admit>[0] => ({
  method: request.method ?? '',
  hosts: headersOf(request, 'host'),
  origins: headersOf(request, 'origin'),
  fetchSites: headersOf(request, 'sec-fetch-site'),
  isUpgrade,
})

function parseUrl(text: string | undefined): URL | undefined {
  if (text === undefined || !text.startsWith('/') || text.startsWith('//')) return undefined
  return URL.parse(text, 'http://console') ?? undefined
}

const noSession = (): SkeinError =>
  new SkeinError('auth.invalid', 'this page has no session', { fix: 'skein console' })

/** @returns undefined unless cookie and tab belong to one session. */
function sessionOf(parts: GatewayParts, request: IncomingMessage): OpenSession | undefined {
  const [tab, ...more] = headersOf(request, tabHeader)
  const cookies = headersOf(request, 'cookie')
    .flatMap((header) => header.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${cookieName(parts.port)}=`))
  const [cookie] = cookies
  if (tab === undefined || more.length > 0 || cookie === undefined || cookies.length > 1) return undefined
  return parts.sessions.find(cookie.slice(cookie.indexOf('=') + 1), tab)
}

/** The launch token becomes a session; DELETE ends the own one. */
async function serveSession(parts: GatewayParts, { request, response }: Visit): Promise<void> {
  const { sessions, port } = parts
  const cookie = (value: string, ageS: number): string =>
    `${cookieName(port)}=${value}; HttpOnly; SameSite=Strict; Path=/api; Max-Age=${ageS}`
  if (request.method === 'DELETE') {
    const session = sessionOf(parts, request)
    if (session === undefined) throw noSession()
    await sessions.end(session.id)
    return answerJson(response, 200, {}, { 'Set-Cookie': cookie('', 0) })
  }
  if (request.method !== 'POST') return refuseMethod(response, ['POST', 'DELETE'])
  const { token } = await readJsonBody(request)
  const isToken = typeof token === 'string' && token.length <= 128
  const agent = request.headers['user-agent'] ?? ''
  const owner = await ownerOf(request.socket)
  const isOwnUser = owner === undefined || owner === process.getuid?.()
  const made = isToken ? await sessions.redeem(token, agent, isOwnUser) : undefined
  if (made === undefined) {
    const reason = isOwnUser ? '' : ', or is for another user of this machine'
    throw new SkeinError('auth.invalid', `this link was used already, or is older than a minute${reason}`, {
      fix: 'skein console makes a new one',
    })
  }
  const headers = { 'Set-Cookie': cookie(made.cookie, limits.consoleSessionMs / 1000) }
  answerJson(response, 200, { id: made.id, tab: made.tab }, headers)
}

/** By token of this device with the scope `metrics:read`. */
async function serveMetrics(parts: GatewayParts, { request, response }: Visit): Promise<void> {
  if (request.method !== 'GET') return refuseMethod(response, ['GET'])
  const [header, ...more] = headersOf(request, 'authorization')
  const token = /^Bearer ([\w.-]{1,8192})$/.exec(header ?? '')?.[1]
  if (token === undefined || more.length > 0) {
    throw new SkeinError('auth.invalid', 'a token is needed', { fix: 'skein token mint metrics:read' })
  }
  const call = { signal: parts.signal }
  await parts.calls.request('tokenCheck', { token, scope: 'metrics:read' }, call)
  const found = await parts.calls.request('metrics', {}, call)
  const text = typeof found === 'object' && found !== null && 'text' in found ? String(found.text) : ''
  response.writeHead(200, {
    'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    'Cache-Control': 'no-store',
  })
  response.end(text)
}

async function serveFile(parts: GatewayParts, { request, response, url }: Visit): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuseMethod(response, ['GET', 'HEAD'])
  const files = await parts.files()
  const file = files.get(url.pathname)
  if (file === undefined) {
    const isUnbuilt = files.size === 0 && url.pathname === '/'
    throw new SkeinError(
      'not.found',
      isUnbuilt ? 'the page is not built' : 'no such page',
      isUnbuilt ? { fix: 'npm run page, then skein down && skein up' } : {},
    )
  }
  const accepted = String(request.headers['accept-encoding'] ?? '')
  const encoding = /\bbr\b/.test(accepted) ? 'br' : /\bgzip\b/.test(accepted) ? 'gzip' : undefined
  const body = encoding === 'br' ? file.brotli : encoding === 'gzip' ? file.gzip : file.plain
  response.writeHead(200, {
    'Content-Type': file.type,
    'Content-Length': String(body.byteLength),
    'Cache-Control': file.cacheControl,
    Vary: 'Accept-Encoding',
    ...(encoding !== undefined && { 'Content-Encoding': encoding }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function refuseMethod(response: ServerResponse, methods: readonly string[]): void {
  response.setHeader('Allow', methods.join(', '))
  answerError(response, new SkeinError('usage', 'no such method here'), 405)
}

async function serveApi(env: Env, parts: GatewayParts, visit: Visit, session: OpenSession): Promise<void> {
  const { request, response, url } = visit
  const path = url.pathname.startsWith(`${apiPrefix}/`) ? url.pathname.slice(apiPrefix.length) : ''
  if (path === '/openapi.json' && request.method === 'GET')
    return answerJson(response, 200, describeApi(readVersion()))
  using call = openCall(visit, session, parts.signal)
  if (path === '/events' && request.method === 'GET') {
    const [lastId] = headersOf(request, 'last-event-id')
    return await pumpEvents(env, response, parts.live.follow(lastId, call.signal), call.signal)
  }
  const route = findRoute(request.method ?? '', path)
  if ('methods' in route) {
    if (route.methods.length > 0) return refuseMethod(response, route.methods)
    throw new SkeinError('not.found', 'no such address', { fix: 'GET /api/v1/openapi.json lists them' })
  }
  const params = await readParams(visit, route)
  if (route.isStream) {
    // because: the table marks exactly the stream verbs as streams
    const items = parts.calls.stream(route.verb as StreamVerb, params, call)
    return await pumpEvents(env, response, asMessages(items), call.signal)
  }
  const result = await withDeadline(
    env.clock,
    { timeoutMs: limits.consoleCallMs, what: route.verb, signal: call.signal },
    // because: as above
    (signal) => parts.calls.request(route.verb as RequestVerb, params, { signal }),
  )
  answerJson(response, 200, result)
}

async function* asMessages(items: AsyncIterable<unknown>): AsyncGenerator<StreamMessage> {
  for await (const data of items) yield { event: 'item', data }
}

/** A signal that aborts when the page goes away, its session ends, or the console does. */
function openCall(
  { response }: Visit,
  session: OpenSession,
  stopping: AbortSignal,
): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController()
  const end = (): void => controller.abort(new SkeinError('cancelled', 'the page went away'))
  response.once('close', end)
  session.signal.addEventListener('abort', end, { once: true })
  stopping.addEventListener('abort', end, { once: true })
  if (session.signal.aborted || stopping.aborted) end()
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      response.off('close', end)
      session.signal.removeEventListener('abort', end)
      stopping.removeEventListener('abort', end)
    },
  }
}

/** Fields of path and query or body; what the table does not name is left out, the rest is the validators' to judge. */
async function readParams({ request, url }: Visit, route: FoundRoute): Promise<Record<string, unknown>> {
  const given = route.method === 'GET' ? readQuery(url.searchParams, route.fields) : await readBody(request)
  const params: Record<string, unknown> = {}
  for (const name of Object.keys(route.fields)) {
    const value = Object.hasOwn(route.inPath, name) ? route.inPath[name] : given[name]
    if (value !== undefined) params[name] = value
  }
  return params
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await readJsonBody(request)
  } catch (error) {
    if (hasCode(error, 'limit.exceeded')) request.unpipe()
    throw error
  }
}

function readQuery(
  query: URLSearchParams,
  fields: Readonly<Record<string, Field>>,
): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for (const [name, { type }] of Object.entries(fields)) {
    const [value, ...more] = query.getAll(name)
    if (value === undefined) continue
    if (more.length > 0 && type !== 'texts') throw new SkeinError('usage', `${name} is there twice`)
    if (type === 'texts') found[name] = [value, ...more]
    else if (type === 'integer') found[name] = /^-?\d{1,16}$/.test(value) ? Number(value) : value
    else if (type === 'boolean') found[name] = value === 'true' ? true : value === 'false' ? false : value
    else found[name] = value
  }
  return found
}
