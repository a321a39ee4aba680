/** A real console gateway over verbs from memory, and raw requests to it as any program on the machine could send. */
import { connect } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Env } from '../../src/base/env.ts'
import { createSystemEnv } from '../../src/base/env.ts'
import type { Keep } from '../../src/base/keep.ts'
import { createMemoryKeep } from '../../src/base/keep.ts'
import { createConsole } from '../../src/console/console.ts'
import type { Api } from '../../src/peer/api.ts'
import type { ConsoleHost } from '../../src/peer/api-calls.ts'
import { createVerbCalls } from '../../src/peer/verb-calls.ts'

export interface Credentials {
  readonly cookie: string
  readonly tab: string
}

export interface ConsoleRig {
  readonly host: ConsoleHost
  readonly port: number
  readonly origin: string
  readonly keep: Keep
  /** As a page does that was opened by a fresh link. */
  signIn(): Promise<Credentials>
}

export interface RigOptions {
  readonly env?: Env
  readonly keep?: Keep
  readonly port?: number
}

/** Serves only the verbs that a test needs; events never come unless it gives them. */
export async function createConsoleRig(api: Partial<Api>, options: RigOptions = {}): Promise<ConsoleRig> {
  const keep = options.keep ?? createMemoryKeep()
  const whole = { events: silence, ...api } as Api // because: a verb that is not given is a fault of the test
  const host = await createConsole(options.env ?? createSystemEnv(), {
    calls: createVerbCalls(whole),
    keep,
    port: options.port ?? 0,
  })
  onTestFinished(() => host[Symbol.asyncDispose]())
  const { port } = host.open()
  const origin = `http://127.0.0.1:${port}`
  return {
    host,
    port,
    origin,
    keep,
    async signIn() {
      const token = new URL(host.open().url).hash.slice('#launch='.length)
      const response = await fetch(`${origin}/api/v1/session`, {
        method: 'POST',
        headers: { origin, 'content-type': 'application/json' },
        body: JSON.stringify({ token }),
      })
      const { tab } = (await response.json()) as { readonly tab: string } // because: the test fails below if not
      const cookie = (response.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
      return { cookie, tab }
    },
  }
}

/** No event ever. */
const silence: Api['events'] = (_params, { signal }) => ({
  [Symbol.asyncIterator]: () => ({
    next: () =>
      new Promise((resolve) => {
        const end = (): void => resolve({ done: true, value: undefined })
        if (signal.aborted) end()
        else signal.addEventListener('abort', end, { once: true })
      }),
  }),
})

export interface RawAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** One request on a connection of its own, its bytes exactly as given. */
export function sendRaw(port: number, text: string, host = '127.0.0.1'): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host })
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (answer += chunk))
    socket.once('error', (error) => (answer === '' ? reject(error) : undefined))
    socket.once('close', () => {
      const [head = '', ...body] = answer.split('\r\n\r\n')
      const [first = '', ...lines] = head.split('\r\n')
      const headers = new Map(
        lines.map((line) => {
          const colon = line.indexOf(':')
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
        }),
      )
      resolve({ status: Number(first.split(' ')[1] ?? 0), headers, body: body.join('\r\n\r\n') })
    })
    socket.write(text)
  })
}

export interface Asking {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** As the page does. */
export const ask = (
  rig: ConsoleRig,
  who: Credentials,
  path: string,
  asking: Asking = {},
): Promise<Response> =>
  fetch(`${rig.origin}/api/v1${path}`, {
    method: asking.method ?? 'GET',
    headers: {
      cookie: who.cookie,
      'skein-tab': who.tab,
      ...(asking.method !== undefined && { origin: rig.origin }),
      ...(asking.body !== undefined && { 'content-type': 'application/json' }),
      ...asking.headers,
    },
    ...(asking.body !== undefined && { body: JSON.stringify(asking.body) }),
    ...(asking.signal !== undefined && { signal: asking.signal }),
  })
