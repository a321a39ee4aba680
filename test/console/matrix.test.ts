/**
 * Who gets in: Host x Origin x Sec-Fetch-Site x method x credentials, every combination, over real sockets. The oracle is
 * a list of what is allowed, written by hand and not derived from the code: all that is not on it must be refused.
 */
import { expect, test } from 'vitest'
import { createConsoleRig, sendRaw } from '../support/console-rig.ts'

const absent = undefined

/** `own`: the origin that belongs to the host asked for. */
const allowedReads = [
  ['absent', 'absent'],
  ['absent', 'same-origin'],
  ['absent', 'none'],
  ['own', 'absent'],
  ['own', 'same-origin'],
  ['own', 'none'],
].map(String)
const allowedWrites = [
  ['own', 'absent'],
  ['own', 'same-origin'],
  ['absent', 'same-origin'],
].map(String)

test('nothing but the page of the console itself, with both secrets, reaches a verb', async () => {
  let reads = 0
  let writes = 0
  const rig = await createConsoleRig({
    doctor: () => Promise.resolve(void reads++ as never),
    pause: () => Promise.resolve(void writes++ as never),
  })
  const { port } = rig
  const mine = await rig.signIn()
  const other = await rig.signIn()
  const hosts: readonly (readonly [string, readonly string[], boolean])[] = [
    ['ip', [`127.0.0.1:${port}`], true],
    ['name', [`localhost:${port}`], true],
    ['ip6', [`[::1]:${port}`], true],
    ['evil', ['evil.example'], false],
    ['evil with the port', [`evil.example:${port}`], false],
    ['trailing dot', [`localhost.:${port}`], false],
    ['short form', [`127.1:${port}`], false],
    ['other port', [`127.0.0.1:${port + 1}`], false],
    ['no port', ['127.0.0.1'], false],
    ['missing', [], false],
    ['twice', [`127.0.0.1:${port}`, `127.0.0.1:${port}`], false],
  ]
  const origins = ['absent', 'null', 'http://evil.example', 'own', `http://sub.localhost:${port}`, 'https']
  const sites = ['absent', 'same-origin', 'none', 'same-site', 'cross-site']
  const methods = ['GET', 'POST', 'UPGRADE', 'OPTIONS'] as const
  const credentials: Readonly<Record<string, readonly [string | undefined, string | undefined]>> = {
    none: [absent, absent],
    cookie: [mine.cookie, absent],
    tab: [absent, mine.tab],
    mixed: [mine.cookie, other.tab],
    both: [mine.cookie, mine.tab],
  }
  let cases = 0
  let admitted = 0
  for (const [hostName, hostLines, isGoodHost] of hosts) {
    for (const originName of origins) {
      const own = `http://${hostLines[0]}`
      const origin =
        originName === 'absent'
          ? absent
          : originName === 'own'
            ? own
            : originName === 'https'
              ? `https://127.0.0.1:${port}`
              : originName
      for (const site of sites) {
        for (const method of methods) {
          // Refused hosts are looked at with full credentials only: less would be refused anyway
          for (const who of isGoodHost ? Object.keys(credentials) : ['both']) {
            const [cookie, tab] = credentials[who] ?? []
            const before = reads + writes
            const answer = await sendRaw(
              port,
              [
                method === 'POST'
                  ? 'POST /api/v1/pause HTTP/1.1'
                  : `${method === 'OPTIONS' ? method : 'GET'} /api/v1/doctor HTTP/1.1`,
                ...hostLines.map((line) => `Host: ${line}`),
                ...(origin === absent ? [] : [`Origin: ${origin}`]),
                ...(site === 'absent' ? [] : [`Sec-Fetch-Site: ${site}`]),
                ...(cookie === absent ? [] : [`Cookie: ${cookie}`]),
                ...(tab === absent ? [] : [`Skein-Tab: ${tab}`]),
                ...(method === 'UPGRADE'
                  ? ['Connection: Upgrade', 'Upgrade: websocket']
                  : ['Connection: close']),
                ...(method === 'POST' ? ['Content-Type: application/json', 'Content-Length: 2'] : []),
                '',
                method === 'POST' ? '{}' : '',
              ].join('\r\n'),
            )
            cases++
            const where = [hostName, originName, site, method, who].join(' | ')
            const cell = String([originName, site])
            const isAdmitted =
              isGoodHost &&
              ((method === 'GET' && allowedReads.includes(cell)) ||
                (method === 'POST' && allowedWrites.includes(cell)))
            const isAnswered = isAdmitted && who === 'both'
            expect.soft(reads + writes - before, where).toBe(isAnswered ? 1 : 0)
            if (isAnswered) expect.soft(answer.status, where).toBe(200)
            else if (isAdmitted) expect.soft(answer.status, where).toBe(401)
            else expect.soft(answer.status, where).toBeGreaterThanOrEqual(400)
            expect
              .soft([...answer.headers.keys()].filter((name) => name.startsWith('access-control')))
              .toEqual([])
            if (isAnswered) admitted++
          }
        }
      }
    }
  }
  expect(cases).toBeGreaterThan(1_500)
  expect(admitted).toBe(3 * (allowedReads.length + allowedWrites.length))
})
