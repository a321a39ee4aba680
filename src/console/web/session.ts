/**
 * The session of this tab: the launch token out of the address becomes a cookie, which no script sees, and a token kept
 * for this tab alone; every request carries both. Nothing else of the page talks to the network.
 */
import { readMessages, type Message } from './messages.ts'

const tabKey = 'skein-tab'

/** An error as the console answers it. */
export class ConsoleError extends Error {
  readonly code: string
  readonly fix: string | undefined
  constructor(code: string, message: string, fix: string | undefined) {
    super(message)
    this.code = code
    this.fix = fix
  }
}

/** Takes the launch token out of the address bar, and the history, and trades it in. @returns whether there was one. */
export async function redeemLaunch(): Promise<boolean> {
  const token = /^#launch=([\w-]{20,128})$/.exec(location.hash)?.[1]
  if (token === undefined) return false
  history.replaceState(null, '', '/')
  const response = await fetch('/api/v1/session', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token }),
  })
  const { tab } = (await readAnswer(response)) as { readonly tab: string } // because: the console's own answer
  sessionStorage.setItem(tabKey, tab)
  return true
}

export const hasSession = (): boolean => sessionStorage.getItem(tabKey) !== null

export async function endSession(): Promise<void> {
  await call('DELETE', '/session')
  sessionStorage.removeItem(tabKey)
  location.reload()
}

function ask(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(`/api/v1${path}`, {
    method,
    headers: {
      'Skein-Tab': sessionStorage.getItem(tabKey) ?? '',
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  })
}

async function readAnswer(response: Response): Promise<unknown> {
  const value: unknown = await response.json().catch(() => undefined)
  if (response.ok) return value
  const { error } = (value ?? {}) as { readonly error?: { code: string; message: string; fix?: string } } // because: as above
  throw new ConsoleError(
    error?.code ?? 'internal',
    error?.message ?? `answered ${response.status}`,
    error?.fix,
  )
}

/** One call. @throws ConsoleError. */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await readAnswer(await ask(method, path, body))) as T // because: types of the api that the peer implements
}

export const get = <T>(path: string, query: Readonly<Record<string, string>> = {}): Promise<T> => {
  const text = new URLSearchParams(query).toString()
  return call<T>('GET', text === '' ? path : `${path}?${text}`)
}

export interface StreamOptions {
  readonly method?: string
  readonly body?: unknown
  readonly lastId?: string
  readonly signal: AbortSignal
}

/** A stream of the console, message by message, until it ends. @throws ConsoleError when it is refused. */
export async function* stream(path: string, options: StreamOptions): AsyncGenerator<Message> {
  const { method = 'GET', body, lastId, signal } = options
  const response = await fetch(`/api/v1${path}`, {
    method,
    headers: {
      'Skein-Tab': sessionStorage.getItem(tabKey) ?? '',
      ...(lastId !== undefined && { 'Last-Event-ID': lastId }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal,
  })
  if (!response.ok || response.body === null) {
    await readAnswer(response)
    return
  }
  for await (const message of readMessages(response.body)) {
    if (message.event === 'end') return
    if (message.event === 'error') {
      const { code, message: text, fix } = message.data as { code: string; message: string; fix?: string } // because: as above
      throw new ConsoleError(code, text, fix)
    }
    yield message
  }
}
