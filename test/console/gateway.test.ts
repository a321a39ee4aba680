/** The gateway: parameters, limits, headers, hostile bytes, numbers, the description of itself. */
import { connect } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SkeinError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { Field } from '../../src/console/route.ts'
import { routeList, routes } from '../../src/console/routes.ts'
import type { Verbs } from '../../src/peer/api.ts'
import { controlParams, isStreamVerb } from '../../src/peer/control-params.ts'
import { ask, createConsoleRig, sendRaw } from '../support/console-rig.ts'

test('a session that is ended loses its streams at once', async () => {
  const rig = await createConsoleRig({ status: () => Promise.resolve({} as never) })
  const who = await rig.signIn()
  const stream = await ask(rig, who, '/events')
  const reader = stream.body?.getReader()
  await reader?.read()
  const [session] = rig.host.sessions()
  expect(await rig.host.endSession(session?.id ?? '')).toBe(true)
  for (;;) if ((await reader?.read())?.done !== false) break
  expect((await ask(rig, who, '/doctor')).status).toBe(401)
  expect(await rig.host.endSession('nobody')).toBe(false)
})

test('parameters come from path, query and body, and are checked by the validators of the socket', async () => {
  const seen: unknown[] = []
  const note = (params: unknown): Promise<never> => Promise.resolve(void seen.push(params) as never)
  const rig = await createConsoleRig({ revoke: note, audit: note, clipSet: note, rename: note })
  const who = await rig.signIn()
  await ask(rig, who, '/devices/old%20phone', { method: 'DELETE' })
  await ask(rig, who, '/audit?limit=7')
  await ask(rig, who, '/clipboard', { method: 'POST', body: { text: 'a', more: 1 } })
  await ask(rig, who, '/devices/x', { method: 'PATCH', body: { name: 'new', device: 'other' } })
  expect(seen).toEqual([{ device: 'old phone' }, { limit: 7 }, { text: 'a' }, { name: 'new', device: 'x' }])
  for (const path of ['/audit?limit=0', '/audit?limit=1e3', '/audit?limit=1&limit=2'])
    expect((await ask(rig, who, path)).status, path).toBe(400)
  expect((await ask(rig, who, '/clipboard', { method: 'POST', body: { text: 7 } })).status).toBe(400)
  expect((await ask(rig, who, '/clipboard', { method: 'POST', body: [1] })).status).toBe(400)
  expect((await ask(rig, who, '/devices/%ff', { method: 'DELETE' })).status).toBe(404)
  expect((await ask(rig, who, '/constructor')).status).toBe(404)
  const wrong = await ask(rig, who, '/doctor', { method: 'DELETE' })
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET'])
  expect(seen).toHaveLength(4)
})

test('bodies must be JSON by type, and are bounded', async () => {
  const rig = await createConsoleRig({ clipSet: () => Promise.resolve({} as never) })
  const who = await rig.signIn()
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json, text/plain']) {
    const headers = { 'content-type': type }
    expect((await ask(rig, who, '/clipboard', { method: 'POST', body: { text: 'a' }, headers })).status).toBe(
      400,
    )
  }
  const text = 'x'.repeat(limits.consoleBodyBytes)
  const tooLong = await ask(rig, who, '/clipboard', { method: 'POST', body: { text } }).catch(() => undefined)
  expect(tooLong?.status ?? 429).toBe(429)
  const header = 'x'.repeat(limits.consoleHeaderBytes)
  const overflow = await sendRaw(
    rig.port,
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nA: ${header}\r\n\r\n`,
  )
  expect(overflow.status).toBe(431)
})

test('every answer carries the headers that keep other pages out', async () => {
  const rig = await createConsoleRig({ doctor: () => Promise.resolve([]) })
  const who = await rig.signIn()
  for (const response of [
    await fetch(`${rig.origin}/`),
    await fetch(`${rig.origin}/nothing`),
    await ask(rig, who, '/doctor'),
    await ask(rig, { cookie: '', tab: '' }, '/doctor'),
    await fetch(`${rig.origin}/`, { headers: { origin: 'http://evil.example' } }),
  ]) {
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).toContain("require-trusted-types-for 'script'")
    expect(policy).not.toContain('unsafe')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
    expect(response.headers.get('cross-origin-opener-policy')).toBe('same-origin')
    expect(response.headers.get('cross-origin-resource-policy')).toBe('same-origin')
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  }
})

test('paths cannot leave the page', async () => {
  const rig = await createConsoleRig({})
  for (const path of [
    '/../package.json',
    '/%2e%2e/package.json',
    '//evil.example/',
    '/index.html.br',
    'http://x/',
  ])
    expect(
      (
        await sendRaw(
          rig.port,
          `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nConnection: close\r\n\r\n`,
        )
      ).status,
      path,
    ).toBeGreaterThanOrEqual(400)
})

test('broken and hostile bytes get an error or nothing, and the next page is served', async () => {
  const rig = await createConsoleRig({ doctor: () => Promise.resolve([]) })
  const who = await rig.signIn()
  const good = [
    'POST /api/v1/clipboard HTTP/1.1',
    `Host: 127.0.0.1:${rig.port}`,
    `Origin: ${rig.origin}`,
    `Cookie: ${who.cookie}`,
    `Skein-Tab: ${who.tab}`,
    'Content-Type: application/json',
    'Content-Length: 14',
    'Connection: close',
    '',
    '{"text":"abc"}',
  ].join('\r\n')
  const cut = fc.record({
    at: fc.nat(good.length),
    length: fc.nat(12),
    text: fc.oneof(
      fc.string(),
      fc.constantFrom('\r\n', '\r\n\r\n', '\0', '%', '\u00ff', '{', 'Transfer-Encoding: chunked'),
    ),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 3 }), async (cuts) => {
      const text = cuts.reduce(
        (all, { at, length, text: put }) => all.slice(0, at) + put + all.slice(at + length),
        good,
      )
      await pokeRaw(rig.port, text)
    }),
    { numRuns: 200 },
  )
  expect((await ask(rig, who, '/doctor')).status).toBe(200)
})

/** Sends and hangs up: most of these are never answered. */
function pokeRaw(port: number, text: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => resolve())
    socket.on('close', () => resolve())
    socket.resume()
    socket.end(Buffer.from(text, 'latin1'))
  })
}

test('numbers for Prometheus need a token that the peer vouches for', async () => {
  const rig = await createConsoleRig({
    tokenCheck: ({ token, scope }) =>
      token === 'good.token.x' && scope === 'metrics:read'
        ? Promise.resolve({ jti: 'j' })
        : Promise.reject(new SkeinError('auth.invalid', 'no')),
    metrics: () => Promise.resolve({ text: 'skein_up 1\n' }),
  })
  const get = (authorization?: string): Promise<Response> =>
    fetch(`${rig.origin}/metrics`, authorization === undefined ? {} : { headers: { authorization } })
  expect((await get()).status).toBe(401)
  expect((await get('Bearer bad')).status).toBe(401)
  const { cookie, tab } = await rig.signIn()
  expect((await fetch(`${rig.origin}/metrics`, { headers: { cookie, 'skein-tab': tab } })).status).toBe(401)
  const good = await get('Bearer good.token.x')
  expect([good.status, await good.text()]).toEqual([200, 'skein_up 1\n'])
})

test('the description names every route, and its required fields are what the validators require', async () => {
  const rig = await createConsoleRig({})
  const document = (await (await ask(rig, await rig.signIn(), '/openapi.json')).json()) as {
    readonly openapi: string
    readonly paths: Record<string, Record<string, { readonly operationId: string }>>
  }
  expect(document.openapi).toBe('3.1.0')
  const named = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map((one) => one.operationId),
  )
  expect(named.sort()).toEqual([...routeList.map(([verb]) => verb), 'live'].sort())
  const samples = { integer: 1, boolean: true, texts: ['x'] } as const
  for (const [verb, route] of routeList) {
    const required = Object.entries<Field>(route.fields).filter(([, field]) => field.isRequired === true)
    const sample = (name: string, field: Field): unknown =>
      field.type === 'text'
        ? (field.oneOf?.[0] ?? (/path|dir|to/.test(name) ? '/x' : 'x'))
        : samples[field.type]
    const least = Object.fromEntries(required.map(([name, field]) => [name, sample(name, field)]))
    expect(() => controlParams[verb](least, verb), verb).not.toThrow()
    for (const [name] of required) {
      const { [name]: _, ...less } = least
      expect(() => controlParams[verb](less, verb), `${verb} without ${name}`).toThrow()
    }
    expect(route.isStream === true, verb).toBe(isStreamVerb(verb))
  }
})

test('no read changes anything: every GET is a verb that only looks', () => {
  const looking: readonly (keyof Verbs)[] = [
    'status',
    'doctor',
    'metrics',
    'logs',
    'devices',
    'machines',
    'tokenList',
    'audit',
    'auditVerify',
    'consoleSessions',
    'scrubStatus',
    'spaces',
    'localChanges',
    'entries',
    'held',
    'syncProgress',
    'conflicts',
    'conflictShow',
    'versions',
    'history',
    'ignoreCheck',
    'clipGet',
    'clipRead',
    'clipHistory',
    'clipState',
  ]
  const gets = routeList.filter(([, route]) => route.method === 'GET').map(([verb]) => verb)
  expect(gets.sort()).toEqual([...looking].sort())
  expect(routes.pair.method).toBe('POST')
})
