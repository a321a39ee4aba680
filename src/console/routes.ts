/**
 * The REST face of the api as one table: each verb with its method, path and fields. The gateway and the OpenAPI
 * document (openapi.ts) are made from it; the parameters themselves are checked by the validators of the control socket.
 * Reads are GET and change nothing; whatever changes something is POST, PATCH or DELETE. Streams answer with
 * server-sent events (`item`, then `end` or `error`). The table is complete by type.
 */
import type { VerbName } from '../peer/api.ts'
import type { Field, Method, RouteOf } from './route.ts'
import { text, needed, integer, flag, texts, role } from './route.ts'
import { spaceRoutes } from './space-routes.ts'

/**
 * Verbs that no page may call: they are about the console itself, check what is presented to it, or give away or take a
 * secret that outlives every session.
 */
type HiddenVerb = 'consoleOpen' | 'tokenCheck' | 'spaceKey' | 'recover'

/** `events` is not called as it is: the live stream is made of it (live.ts). */
export type RoutedVerb = Exclude<VerbName, HiddenVerb | 'events'>

export const routes: { readonly [V in RoutedVerb]: RouteOf<V> } = {
  status: {
    method: 'GET',
    path: '/status',
    summary: 'this device, its links and folders',
    cli: 'skein status',
    fields: {},
  },
  down: { method: 'POST', path: '/down', summary: 'stop the peer', cli: 'skein down', fields: {} },
  doctor: {
    method: 'GET',
    path: '/doctor',
    summary: 'what is wrong, with cause and fix',
    cli: 'skein doctor',
    fields: {},
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    summary: 'numbers in Prometheus form',
    cli: 'skein metrics',
    fields: {},
  },
  logs: {
    method: 'GET',
    path: '/logs',
    summary: 'lines of the log',
    cli: 'skein logs',
    fields: { lines: integer, follow: flag },
    isStream: true,
  },
  devices: { method: 'GET', path: '/devices', summary: 'the roster', cli: 'skein devices', fields: {} },
  machines: {
    method: 'GET',
    path: '/machines',
    summary: 'what the machines in reach are, and how busy',
    cli: 'skein devices --machines',
    fields: {},
  },
  revoke: {
    method: 'DELETE',
    path: '/devices/{device}',
    summary: 'put a device out',
    cli: 'skein revoke DEVICE',
    fields: { device: needed },
  },
  rename: {
    method: 'PATCH',
    path: '/devices/{device}',
    summary: 'give a device another name',
    cli: 'skein rename NAME --device DEVICE',
    fields: { device: text, name: needed },
  },
  grant: {
    method: 'POST',
    path: '/devices/{device}/grant',
    summary: 'another role for a device, with what a limited one may read',
    cli: 'skein grant DEVICE --role ROLE',
    fields: { device: needed, role: { ...role, isRequired: true }, spaces: texts },
  },
  leave: {
    method: 'POST',
    path: '/leave',
    summary: 'take this device out of its mesh',
    cli: 'skein leave',
    fields: {},
  },
  rotate: {
    method: 'POST',
    path: '/rotate',
    summary: 'give this device a new key',
    cli: 'skein rotate',
    fields: {},
  },
  pair: {
    method: 'POST',
    path: '/pairing',
    summary: 'open the pairing window; closes with the connection',
    cli: 'skein pair',
    fields: { role, spaces: texts },
    isStream: true,
  },
  pairConfirm: {
    method: 'POST',
    path: '/pairing/confirm',
    summary: 'let a device in, or not',
    cli: 'skein pair',
    fields: { requestId: needed, accept: { type: 'boolean', isRequired: true }, role },
  },
  pairJoin: {
    method: 'POST',
    path: '/pairing/join',
    summary: 'join the mesh of another device',
    cli: 'skein pair CODE',
    fields: { code: text, address: text },
    isStream: true,
  },
  tokenMint: {
    method: 'POST',
    path: '/tokens',
    summary: 'make a token; it is shown once',
    cli: 'skein token mint SCOPES',
    fields: { scopes: { type: 'texts', isRequired: true }, lifetimeMs: integer, audience: text },
  },
  tokenList: {
    method: 'GET',
    path: '/tokens',
    summary: 'tokens made here',
    cli: 'skein token list',
    fields: {},
  },
  tokenRevoke: {
    method: 'DELETE',
    path: '/tokens/{jti}',
    summary: 'make a token void',
    cli: 'skein token revoke JTI',
    fields: { jti: needed },
  },
  audit: {
    method: 'GET',
    path: '/audit',
    summary: 'the audit log',
    cli: 'skein audit',
    fields: { limit: integer },
  },
  auditVerify: {
    method: 'GET',
    path: '/audit/verdict',
    summary: 'whether the audit log is whole',
    cli: 'skein audit verify',
    fields: {},
  },
  consoleSessions: {
    method: 'GET',
    path: '/sessions',
    summary: 'browser sessions',
    cli: 'skein console list',
    fields: {},
  },
  consoleEnd: {
    method: 'DELETE',
    path: '/sessions/{id}',
    summary: 'end a browser session',
    cli: 'skein console end ID',
    fields: { id: needed },
  },
  ...spaceRoutes,
  clipGet: {
    method: 'GET',
    path: '/clipboard',
    summary: 'the clipboard, or an earlier item',
    cli: 'skein clip get',
    fields: { id: text },
  },
  clipRead: {
    method: 'GET',
    path: '/clipboard/content',
    summary: 'the bytes of an item, in pieces of base64',
    cli: 'skein clip get ID --type TYPE',
    fields: { id: text, type: text },
    isStream: true,
  },
  clipSet: {
    method: 'POST',
    path: '/clipboard',
    summary: 'put something on the clipboard of all devices',
    cli: 'skein clip set TEXT',
    fields: { text, base64: text, upload: text, type: text },
  },
  clipUpload: {
    method: 'POST',
    path: '/clipboard/uploads',
    summary: 'hand a long content over, piece by piece',
    cli: 'skein clip set < FILE',
    fields: { upload: text, base64: needed },
  },
  clipHistory: {
    method: 'GET',
    path: '/clipboard/history',
    summary: 'former contents of the clipboard',
    cli: 'skein clip history',
    fields: { limit: integer, query: text, pinned: flag },
  },
  clipPaste: {
    method: 'POST',
    path: '/clipboard/{id}/paste',
    summary: 'make an earlier item the newest again',
    cli: 'skein clip paste ID',
    fields: { id: needed },
  },
  clipPin: {
    method: 'POST',
    path: '/clipboard/{id}/pin',
    summary: 'keep an item',
    cli: 'skein clip pin ID',
    fields: { id: needed },
  },
  clipUnpin: {
    method: 'DELETE',
    path: '/clipboard/{id}/pin',
    summary: 'let an item go with the others',
    cli: 'skein clip unpin ID',
    fields: { id: needed },
  },
  clipDelete: {
    method: 'DELETE',
    path: '/clipboard/{id}',
    summary: 'delete an item on all devices',
    cli: 'skein clip delete ID',
    fields: { id: needed },
  },
  clipClear: {
    method: 'POST',
    path: '/clipboard/clear',
    summary: 'delete all items that are not pinned, on all devices',
    cli: 'skein clip clear',
    fields: { pinned: flag },
  },
  clipPause: {
    method: 'POST',
    path: '/clipboard/pause',
    summary: 'take this desktop out of the clipboard for a while',
    cli: 'skein clip pause',
    fields: { forMs: integer },
  },
  clipResume: {
    method: 'POST',
    path: '/clipboard/resume',
    summary: 'take part again',
    cli: 'skein clip resume',
    fields: {},
  },
  clipState: {
    method: 'GET',
    path: '/clipboard/state',
    summary: 'what the clipboard of this device does',
    cli: 'skein clip',
    fields: {},
  },
}

export interface FoundRoute {
  readonly verb: RoutedVerb
  readonly method: Method
  readonly fields: Readonly<Record<string, Field>>
  readonly isStream: boolean
  /** Fields of the path, decoded. */
  readonly inPath: Readonly<Record<string, string>>
}

/** The table as a list, verbs with their routes. */
export const routeList: readonly (readonly [RoutedVerb, RouteOf<VerbName>])[] =
  // because: the keys of the table are the routed verbs
  Object.entries(routes) as [RoutedVerb, RouteOf<VerbName>][]

/** @param path below /api/v1. @returns the methods the path has instead when this one is not among them. */
export function findRoute(
  method: string,
  path: string,
): FoundRoute | { readonly methods: readonly Method[] } {
  const methods: Method[] = []
  for (const [verb, route] of routeList) {
    const inPath = matchPath(route.path, path)
    if (inPath === undefined) continue
    if (route.method === method)
      return { verb, method: route.method, fields: route.fields, isStream: route.isStream === true, inPath }
    methods.push(route.method)
  }
  return { methods }
}

/** @returns the fields in braces; undefined when the path is another one, or holds a broken escape. */
function matchPath(pattern: string, path: string): Readonly<Record<string, string>> | undefined {
  const [wanted, given] = [pattern.split('/'), path.split('/')]
  if (wanted.length !== given.length) return undefined
  const found: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? ''
    if (!part.startsWith('{')) {
      if (part !== value) return undefined
      continue
    }
    try {
      found[part.slice(1, -1)] = decodeURIComponent(value)
    } catch (error) {
      if (error instanceof URIError) return undefined
      throw error
    }
  }
  return found
}
