/** `skein console` and the link that `skein up` prints, over the double peer with the real gateway. */
import { expect, test } from 'vitest'
import { findOpener } from '../../src/cli/commands/console.ts'
import { createCli } from '../support/run-cli.ts'

test('up and console print a link that is good once; sessions are listed and put out', async () => {
  const cli = await createCli()
  const up = await cli.run(['up'])
  const link = /Console: (http:\/\/127\.0\.0\.1:\d+)\/#launch=([\w-]{43})\n.*skein console/.exec(up.out)
  expect(link, up.out).not.toBeNull()
  const [, origin = '', token = ''] = link ?? []
  const redeem = (): Promise<Response> =>
    fetch(`${origin}/api/v1/session`, {
      method: 'POST',
      headers: { origin, 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    })
  expect((await redeem()).status).toBe(200)
  expect((await redeem()).status).toBe(401)
  expect(await cli.json(['console'])).toMatchObject({ url: expect.stringContaining(`${origin}/#launch=`) })
  const printed = await cli.run(['console', '--print'])
  expect(printed.out).toContain(`${origin}/#launch=`)
  const sessions = (await cli.json(['console', 'list'])) as readonly { readonly id: string }[]
  expect(sessions).toHaveLength(1)
  expect(await cli.run(['console', 'end', sessions[0]?.id ?? ''])).toMatchObject({ code: 0 })
  expect(await cli.json(['console', 'list'])).toEqual([])
  expect(await cli.run(['console', 'end', 'nobody'])).toMatchObject({ code: 1 })
})

test('without a console, up says nothing of it and console says how to have one', async () => {
  const cli = await createCli()
  const up = await cli.run(['up', '--no-console'])
  expect(up).toMatchObject({ code: 0, out: expect.not.stringContaining('Console') })
  const refused = await cli.run(['console'])
  expect(refused.code).not.toBe(0)
  expect(refused.err).toContain('settings.json')
})

test('where nobody would see a browser, none is opened', () => {
  expect(findOpener('linux', {})).toBeUndefined()
  expect(findOpener('linux', { DISPLAY: '' })).toBeUndefined()
  expect(findOpener('linux', { DISPLAY: ':0' })?.file).toBe('xdg-open')
  expect(findOpener('linux', { WAYLAND_DISPLAY: 'wayland-0' })?.file).toBe('xdg-open')
  expect(findOpener('darwin', {})?.file).toBe('open')
  // The shell's `start` would read the characters of the link
  expect(findOpener('win32', {})?.file).toBe('rundll32')
})
