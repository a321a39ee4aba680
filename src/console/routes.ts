/**
 * The REST face of the api as one table: each verb with its method, path and fields. The gateway and the OpenAPI
 * document (openapi.ts) are made from it; the parameters themselves are checked by the validators of the control socket.
 * Reads are GET and change nothing; whatever changes something is POST, PATCH or DELETE. Streams answer with
 * server-sent events (`item`, then `end` or `error`). The table is complete by type.
 */
import type { ParamsOf, StreamVerb, VerbName } from '../peer/api.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** How a field is written in a query and described; its exact bounds are the validator's. */
export interface Field {
  readonly type: 'text' | 'integer' | 'boolean' | 'texts'
  readonly isRequired?: true
  readonly oneOf?: readonly string[]
}

interface RouteOf<V extends VerbName> {
  readonly method: Method
  /** Below /api/v1. A part in braces is a field. */
  readonly path: string
  readonly summary: string
  /** The command that does the same. */
  readonly cli: string
  readonly fields: { readonly [K in keyof ParamsOf<V>]-?: Field }
  readonly isStream?: V extends StreamVerb ? true : never
}

/** Verbs that no page may call: they are about the console itself, or check what is presented to it. */
type HiddenVerb = 'consoleOpen' | 'tokenCheck'

/** `events` is not called as it is: the live stream is made of it (live.ts). */
export type RoutedVerb = Exclude<VerbName, HiddenVerb | 'events'>

const text: Field = { type: 'text' }
const needed: Field = { type: 'text', isRequired: true }
const integer: Field = { type: 'integer' }
const flag: Field = { type: 'boolean' }
const texts: Field = { type: 'texts' }
const role: Field = { type: 'text', oneOf: ['full', 'limited', 'storage', 'guest'] }

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
  share: {
    method: 'POST',
    path: '/spaces',
    summary: 'share a directory',
    cli: 'skein share DIR',
    fields: { directory: needed, name: text },
  },
  join: {
    method: 'POST',
    path: '/spaces/{space}/join',
    summary: 'hold a shared folder here',
    cli: 'skein join SPACE DIR',
    fields: { space: needed, directory: needed },
  },
  unshare: {
    method: 'DELETE',
    path: '/spaces/{space}',
    summary: 'hold a folder here no longer; the files stay',
    cli: 'skein unshare SPACE',
    fields: { space: needed },
  },
  spaces: { method: 'GET', path: '/spaces', summary: 'shared folders', cli: 'skein spaces', fields: {} },
  sync: {
    method: 'POST',
    path: '/sync',
    summary: 'wait until all is in sync',
    cli: 'skein sync',
    fields: { space: text, timeoutMs: integer },
  },
  syncProgress: {
    method: 'GET',
    path: '/sync',
    summary: 'reports until all is in sync',
    cli: 'skein sync --wait',
    fields: { space: text, timeoutMs: integer },
    isStream: true,
  },
  pause: {
    method: 'POST',
    path: '/pause',
    summary: 'stop syncing',
    cli: 'skein pause SPACE',
    fields: { space: text },
  },
  resume: {
    method: 'POST',
    path: '/resume',
    summary: 'sync again',
    cli: 'skein resume SPACE',
    fields: { space: text },
  },
  deletions: {
    method: 'POST',
    path: '/spaces/{space}/deletions',
    summary: 'let held deletions happen, or undo them',
    cli: 'skein deletions SPACE --VERDICT',
    fields: { space: needed, verdict: { type: 'text', isRequired: true, oneOf: ['allow', 'undo'] } },
  },
  conflicts: {
    method: 'GET',
    path: '/conflicts',
    summary: 'versions that stand side by side',
    cli: 'skein conflicts',
    fields: { space: text },
  },
  conflictShow: {
    method: 'GET',
    path: '/conflicts/detail',
    summary: 'one conflict with its differences',
    cli: 'skein conflicts show PATH',
    fields: { path: needed },
  },
  conflictPick: {
    method: 'POST',
    path: '/conflicts/pick',
    summary: 'resolve a conflict by choice',
    cli: 'skein conflicts pick PATH --CHOICE',
    fields: {
      path: needed,
      choice: { type: 'text', isRequired: true, oneOf: ['mine', 'theirs', 'both', 'device'] },
      device: text,
    },
  },
  conflictMerge: {
    method: 'POST',
    path: '/conflicts/merge',
    summary: 'resolve a conflict by a merged file, or write a draft of it',
    cli: 'skein conflicts merge PATH',
    fields: { path: needed, result: text },
  },
  versions: {
    method: 'GET',
    path: '/versions',
    summary: 'former contents of a file',
    cli: 'skein versions PATH',
    fields: { path: needed },
  },
  restore: {
    method: 'POST',
    path: '/restore',
    summary: 'bring a former content back',
    cli: 'skein restore PATH',
    fields: { path: needed, version: text, to: text, atMs: integer },
  },
  history: {
    method: 'GET',
    path: '/history',
    summary: 'what happened to a file',
    cli: 'skein log PATH',
    fields: { path: needed },
  },
  ignore: {
    method: 'POST',
    path: '/spaces/{space}/ignore',
    summary: 'add and remove ignore rules; without either it only lists them',
    cli: 'skein ignore SPACE',
    fields: { space: needed, add: texts, remove: texts },
  },
  ignoreCheck: {
    method: 'GET',
    path: '/ignore/check',
    summary: 'whether a path is ignored, and why',
    cli: 'skein ignore --check PATH',
    fields: { path: needed },
  },
  clipGet: { method: 'GET', path: '/clipboard', summary: 'the clipboard', cli: 'skein clip get', fields: {} },
  clipSet: {
    method: 'POST',
    path: '/clipboard',
    summary: 'put text on the clipboard',
    cli: 'skein clip set TEXT',
    fields: { text: needed },
  },
  clipHistory: {
    method: 'GET',
    path: '/clipboard/history',
    summary: 'former contents of the clipboard',
    cli: 'skein clip history',
    fields: { limit: integer, query: text },
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
