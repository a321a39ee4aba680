/** Launch links and sessions: one use, their ends, their bounds, what is kept of them. */
import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createMemoryKeep } from '../../src/base/keep.ts'
import { limits } from '../../src/base/limits.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { createSessions } from '../../src/console/sessions.ts'
import type { ConsoleRig } from '../support/console-rig.ts'
import { createConsoleRig } from '../support/console-rig.ts'

const redeem = (rig: ConsoleRig, token: string): Promise<Response> =>
  fetch(`${rig.origin}/api/v1/session`, {
    method: 'POST',
    headers: { origin: rig.origin, 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  })

test('a launch link is good once, and its secret is only in the fragment', async () => {
  const rig = await createConsoleRig({})
  const { url } = rig.host.open()
  expect(new URL(url).search + new URL(url).pathname).toBe('/')
  const token = new URL(url).hash.slice('#launch='.length)
  expect(token.length).toBeGreaterThanOrEqual(43)
  const first = await redeem(rig, token)
  expect(first.status).toBe(200)
  expect(first.headers.get('set-cookie')).toMatch(
    /^skein_\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/api; Max-Age=\d+$/,
  )
  expect(await (await redeem(rig, token)).json()).toMatchObject({
    error: { code: 'auth.invalid', fix: expect.stringContaining('skein console') },
  })
  expect((await redeem(rig, 'x'.repeat(43))).status).toBe(401)
})

test('a launch link ends after a minute, a session when nobody uses it', async () => {
  const clock = createVirtualClock()
  const sessions = await createSessions(createSystemEnv({ clock }), createMemoryKeep())
  const late = sessions.launch().token
  clock.advance(limits.consoleLaunchMs + 1)
  expect(await sessions.redeem(late, 'browser')).toBeUndefined()
  const made = await sessions.redeem(sessions.launch().token, 'browser')
  if (made === undefined) throw new Error('no session')
  clock.advance(limits.consoleIdleMs - 1)
  expect(sessions.find(made.cookie, made.tab)?.id).toBe(made.id)
  clock.advance(limits.consoleIdleMs + 1)
  expect(sessions.find(made.cookie, made.tab)).toBeUndefined()
  expect(sessions.list()).toEqual([])
})

test('sessions outlive a crash and end with a stop in good order; the keep holds no secret', async () => {
  const keep = createMemoryKeep()
  const env = createSystemEnv()
  const before = await createSessions(env, keep)
  const made = await before.redeem(before.launch().token, 'browser')
  if (made === undefined) throw new Error('no session')
  const kept = Buffer.from((await keep.read('console.sessions')) ?? []).toString('latin1')
  expect(kept).not.toContain(made.cookie)
  expect(kept).not.toContain(made.tab)
  const after = await createSessions(env, keep)
  expect(after.find(made.cookie, made.tab)?.id).toBe(made.id)
  await after.endAll()
  expect(after.find(made.cookie, made.tab)).toBeUndefined()
  expect((await createSessions(env, keep)).list()).toEqual([])
})

test('there are never more sessions or open links than the limits say', async () => {
  const sessions = await createSessions(createSystemEnv(), createMemoryKeep())
  const first = sessions.launch().token
  for (let count = 0; count < limits.consoleLaunches; count++) sessions.launch()
  expect(await sessions.redeem(first, '')).toBeUndefined()
  for (let count = 0; count < limits.consoleSessions + 3; count++)
    await sessions.redeem(sessions.launch().token, 'x'.repeat(9_999))
  expect(sessions.list()).toHaveLength(limits.consoleSessions)
  expect(sessions.list()[0]?.agent.length).toBeLessThanOrEqual(200)
})
