/**
 * The web console as a person has it: real peers, a real Chromium, every step through the page. Also writes a picture of
 * each view at desktop and phone width to dist/screens, or to where SKEIN_SCREENS says (docs/screens for the README).
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { buildPage } from '../../scripts/build-page.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { connectClient } from '../../src/cli/client.ts'
import type { TestBrowser } from '../support/browser.ts'
import { launchBrowser, copyNoise } from '../support/browser.ts'
import { describeWith } from '../support/needs.ts'
import type { SkeinPeer } from '../support/skein.ts'
import { createSkeinPeer, pairPeers, until } from '../support/skein.ts'

const screens = resolve(process.env['SKEIN_SCREENS'] ?? join(import.meta.dirname, '../../dist/screens'))
const views = ['devices', 'spaces', 'clipboard', 'activity', 'metrics', 'security', 'doctor'] as const
const hostileText = '<img src=x onerror="document.title=\'owned\'">\u202egnp.exe\u001b[2J'

const show = async (page: Page, view: (typeof views)[number]): Promise<void> => {
  await page.locator(`nav a[href="#${view}"]`).click()
  await page
    .locator('nav a[aria-current=page]')
    .filter({ hasText: new RegExp(view, 'i') })
    .waitFor()
}
const live = (page: Page): Promise<void> => page.getByText('● live').waitFor()
const answer = (page: Page, label: string): Promise<void> =>
  page.getByRole('button', { name: label, exact: true }).click()

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-console-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/** Pairs through the two pages, as two people would. */
async function pairByPages(host: Page, joiner: Page): Promise<void> {
  await answer(host, 'Show a code')
  const code = await host.locator('[data-code]').innerText()
  await joiner.getByLabel('Code', { exact: true }).fill(code)
  await answer(joiner, 'Join')
  await host.getByText('A device wants to join').waitFor()
  await answer(host, 'Let it in')
  await host.getByText('has joined').waitFor()
  await joiner.getByText('Joined: this device is one of 2 now').waitFor()
}

async function photograph(browser: TestBrowser, peer: SkeinPeer): Promise<void> {
  await mkdir(screens, { recursive: true })
  for (const [name, width, height, isDark] of [
    ['desktop', 1180, 860, false],
    ['phone', 390, 780, true],
  ] as const) {
    await using visitor = await browser.visit(peer, { width, height, isDark })
    await live(visitor.page)
    for (const view of views) {
      await show(visitor.page, view)
      await visitor.page.waitForLoadState('networkidle', { timeout: 300 }).catch(() => undefined)
      // Plots need a few samples to show anything
      await visitor.page.waitForTimeout(view === 'metrics' ? 6_000 : 500)
      await visitor.page.screenshot({ path: join(screens, `${view}-${name}.png`) })
      const overflow = await visitor.page.evaluate('document.documentElement.scrollWidth - window.innerWidth')
      expect(overflow, `${view} at ${name} width scrolls sideways`).toBeLessThanOrEqual(0)
    }
    expect(visitor.faults).toEqual([])
  }
}

const lines = 'a line from alice\nand another one'

/** A picture is drawn, an item is found, pinned, made the newest and deleted, and the desktop is paused. */
async function useClipboard(page: Page, peer: SkeinPeer): Promise<void> {
  using client = await connectClient(peer.home)
  const picture = await readFile(join(import.meta.dirname, '../../docs/screens/doctor-phone.png'))
  await client.call('clipSet', { base64: picture.toString('base64'), type: 'image/png' })
  await client.call('clipSet', { base64: Buffer.from('no picture').toString('base64'), type: 'image/png' })
  await show(page, 'clipboard')
  const items = page.locator('[data-clip]')
  const canvas = items.nth(1).locator('canvas')
  await canvas.scrollIntoViewIfNeeded()
  await until('the picture', async () => (await canvas.getAttribute('height')) === '200')
  await items.nth(0).getByText('too large to be shown').waitFor()
  await items.nth(0).getByRole('button', { name: 'Delete', exact: true }).click()
  await items.nth(0).getByRole('button', { name: 'Yes, delete' }).click()
  await until('it is gone', async () => (await items.count()) === 3)
  await page.getByLabel('Search').fill('A LINE')
  const found = items.filter({ hasText: 'a line from alice' })
  await until('one found', async () => (await items.count()) === 1)
  await found.getByRole('button', { name: 'Pin', exact: true }).click()
  await found.getByText('pinned').waitFor()
  await page.getByLabel('Search').fill('')
  await found.getByRole('button', { name: 'Make it the newest' }).click()
  await until('it is the newest', async () => (await items.nth(0).innerText()).includes('a line from alice'))
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await found.first().getByRole('button', { name: 'Copy here' }).click()
  await until(
    'the browser has it',
    async () => (await page.evaluate('navigator.clipboard.readText()')) === lines,
  )
  await page.evaluate(`navigator.clipboard.writeText('typed in the browser')`)
  await answer(page, 'Take what this browser can paste')
  await until('it is taken', async () => (await items.nth(0).innerText()).includes('typed in the browser'))
  // Drawn by the page itself: half a megabyte and more, so that it goes in pieces
  await page.evaluate(copyNoise)
  await answer(page, 'Take what this browser can paste')
  await until('the picture is taken', async () => (await items.nth(0).innerText()).includes('image/png'))
  expect((await client.call('clipGet', {})).item?.sizeBytes).toBeGreaterThan(600_000)
  await answer(page, 'Pause for 10 minutes')
  await page.getByText('○ paused').waitFor()
  expect((await client.call('clipState', {})).state).toBe('paused')
  await answer(page, 'Resume')
  await page.getByText('● takes part').waitFor()
}

describeWith(['chromium'], 'the web console', () => {
  beforeAll(async () => {
    expect(await buildPage()).toBe(true)
  })

  test('a link is good once and leaves the address; the session needs both secrets', async () => {
    await using peer = await createSkeinPeer({ name: 'alice' })
    await peer.up()
    await using browser = await launchBrowser()
    const { url } = await peer.json<{ readonly url: string }>('console')
    await using first = await browser.open(url)
    await live(first.page)
    expect(first.page.url()).not.toContain('launch')
    await using second = await browser.open(url)
    await second.page.getByText('this link was used already').waitFor()
    await second.page.getByText('skein console').waitFor()
    // The cookie is there in a new tab of the same browser, and is not enough
    const tab = await first.page.context().newPage()
    await tab.goto(new URL(url).origin)
    await tab.getByText('This tab has no session').waitFor()
    await expect(first.page.evaluate('document.cookie')).resolves.toBe('')
    expect([...first.faults, ...second.faults]).toEqual([])
  })

  test('two peers pair through two pages, a file is watched arriving, a conflict is resolved', async () => {
    await using alice = await createSkeinPeer({ name: 'alice' })
    await using bob = await createSkeinPeer({ name: 'bob' })
    await using browser = await launchBrowser()
    const folder = await temporaryFolder()
    const [a, b] = [join(folder, 'a'), join(folder, 'b')]
    await mkdir(a)
    await writeFile(join(a, 'hello.txt'), 'from alice')
    await alice.up('--kind', 'laptop')
    await bob.up('--kind', 'server')
    await using visitorA = await browser.visit(alice)
    await using visitorB = await browser.visit(bob)
    const [pageA, pageB] = [visitorA.page, visitorB.page]
    // A pairing window ends with the view that showed it
    await answer(pageA, 'Show a code')
    await pageA.locator('[data-code]').waitFor()
    expect((await alice.status()).isPairingOpen).toBe(true)
    await show(pageA, 'doctor')
    await until('the window is closed', async () => !(await alice.status()).isPairingOpen)
    await show(pageA, 'devices')
    await pairByPages(pageA, pageB)
    await pageA.locator('.map.ring .link.up').waitFor()

    // What both machines are, and what goes over the link
    await until('two machines', async () => (await pageA.getByText(/cores, load \d+ %/).count()) === 2)
    await pageA.getByText(/\d B\/s in, .*out|kB\/s in, .*out/).waitFor()

    await show(pageA, 'spaces')
    await pageA.getByText('Nothing is shared yet').waitFor()
    await pageA.getByText('Share a directory of this device', { exact: true }).click()
    await pageA.getByLabel('Directory', { exact: true }).fill(a)
    await pageA.getByLabel('Name').fill('work')
    await answer(pageA, 'Share')
    await show(pageB, 'spaces')
    await pageB.getByLabel('Keep it here in').fill(b)
    await answer(pageB, 'Join')
    await pageB.locator('[data-space=work]').getByText('1 file,').waitFor()
    await until(
      'the first file',
      async () => (await readFile(join(b, 'hello.txt'), 'utf8').catch(() => '')) !== '',
    )
    await writeFile(join(a, 'second.txt'), 'more')
    await pageB.locator('[data-space=work]').getByText('2 files,').waitFor()

    await makeConflict(alice, bob, [a, b])
    const conflict = pageA.locator('[data-conflict="picture.bin"]')
    await conflict.waitFor()
    await alice.run('clip', 'set', lines)
    await bob.run('clip', 'set', 'https://skein.example/from-bob')
    await useClipboard(pageA, alice)
    await show(pageA, 'spaces')
    await photograph(browser, alice)
    await conflict.getByRole('button', { name: 'Keep mine', exact: true }).click()
    await conflict.waitFor({ state: 'detached' })
    await until('one version everywhere', async () => {
      const [one, two] = await Promise.all(
        [a, b].map((where) => readFile(join(where, 'picture.bin'), 'latin1')),
      )
      return one === two && one?.startsWith('alice')
    })

    await checkDashboard(alice)
    expect([...visitorA.faults, ...visitorB.faults]).toEqual([])
  })

  test('a browser tells of what needs a person once it was asked to, and is not asked where it refuses', async () => {
    await using alice = await createSkeinPeer({ name: 'alice' })
    await using bob = await createSkeinPeer({ name: 'bob' })
    await using browser = await launchBrowser()
    const folder = await temporaryFolder()
    await alice.up()
    await bob.up()
    expect((await alice.run('share', folder, '--name', 'w\u202ek')).code).toBe(0)
    // Headless, nobody is there to be asked: the browser says no by itself
    await using refusing = await browser.visit(alice)
    await show(refusing.page, 'activity')
    await answer(refusing.page, 'Notify me')
    await refusing.page.locator('[data-notices=blocked]').waitFor()
    await using visitor = await browser.visit(alice)
    const { page } = visitor
    await page.context().grantPermissions(['notifications'])
    await show(page, 'activity')
    await page.reload()
    await live(page)
    await page.locator('[data-notices=off]').waitFor()
    await page.evaluate(`{
      globalThis.shown = []
      const Plain = Notification
      globalThis.Notification = class extends Plain {
        constructor(title, options) {
          super(title, options)
          shown.push(options.body)
        }
      }
    }`)
    const shown = async (): Promise<string> => String(await page.evaluate('shown.join()'))
    await promisify(execFile)('mkfifo', [join(folder, 'pipe one')])
    await page.getByText('1 file of').waitFor()
    expect(await shown()).toBe('')
    await answer(page, 'Notify me')
    await page.locator('[data-notices=on]').waitFor()
    await promisify(execFile)('mkfifo', [join(folder, 'pipe two')])
    await until(
      'the problem was told',
      async () => (await shown()) === '2 files of "w\\u{202e}k" cannot be synced',
    )
    await show(page, 'devices')
    await answer(page, 'Show a code')
    const joining = bob.run('pair', await page.locator('[data-code]').innerText())
    await until('the request was told', async () => (await shown()).includes('"bob" wants to join the mesh'))
    await answer(page, 'Let it in')
    expect((await joining).code).toBe(0)
    await show(page, 'activity')
    await answer(page, 'Stop telling me')
    await page.locator('[data-notices=off]').waitFor()
    expect([...visitor.faults, ...refusing.faults]).toEqual([])
  })

  test('what other devices say is shown harmlessly, and a revoked device is gone at once', async () => {
    await using alice = await createSkeinPeer({ name: 'alice' })
    await using mallory = await createSkeinPeer({ name: 'mallory' })
    await using browser = await launchBrowser()
    await alice.up()
    await mallory.up()
    await pairPeers(alice, mallory)
    expect((await mallory.run('rename', '<b onclick=x>bold</b>')).code).toBe(0)
    expect((await mallory.run('clip', 'set', hostileText)).code).toBe(0)
    const folder = await temporaryFolder()
    expect((await mallory.run('share', folder, '--name', '<i>x</i>\u202egnp')).code).toBe(0)
    await using visitor = await browser.visit(alice)
    const { page } = visitor
    await page.getByText('<b onclick=x>bold</b>').first().waitFor()
    await show(page, 'clipboard')
    const shown = page.locator('.lines').filter({ hasText: 'gnp.exe' })
    await shown.waitFor()
    expect(await shown.innerText()).toBe(
      '<img src=x onerror="document.title=\'owned\'">\\u{202e}gnp.exe\\u{1b}[2J',
    )
    await show(page, 'spaces')
    await page.getByRole('heading', { name: '<i>x</i>\\u{202e}gnp' }).waitFor()
    await show(page, 'activity')
    await page.locator('.log li').first().waitFor()
    expect(await page.locator('#page img, #page b, #page i').count()).toBe(0)
    expect(await page.title()).toBe('Skein')
    expect(
      await page.evaluate(
        "(() => { try { document.body.innerHTML = 'x'; return 'taken' } catch { return 'refused' } })()",
      ),
    ).toBe('refused')

    await show(page, 'devices')
    const card = page.locator('.item').filter({ hasText: 'bold' })
    await card.getByText('Rename or revoke').click()
    await card.getByRole('button', { name: 'Revoke', exact: true }).click()
    await card.getByRole('button', { name: 'Yes, revoke' }).click()
    await card.getByText('revoked').waitFor()
    await until('the link is cut', async () =>
      (await alice.status()).links.every((link) => link.state !== 'up'),
    )
    // The one refused just now, and nothing else
    expect(visitor.faults).toEqual([expect.stringContaining('TrustedHTML')])
  })

  test('an open page comes back by itself after a crash of the peer, and says what to do after a stop', async () => {
    await using peer = await createSkeinPeer({ name: 'alice' })
    const { pid } = await peer.up()
    await using browser = await launchBrowser()
    await using visitor = await browser.visit(peer)
    const { page } = visitor
    await live(page)
    process.kill(pid, 'SIGKILL')
    await page.getByText('the peer is away').waitFor()
    await peer.up()
    await live(page)
    await peer.run('clip', 'set', 'after the crash')
    await show(page, 'clipboard')
    await page.getByText('after the crash', { exact: true }).waitFor()
    const [session] = await peer.json<readonly { readonly id: string }[]>('console', 'list')
    expect(session?.id).toMatch(/^[0-9a-f]{12}$/)
    await peer.run('down')
    await page.getByText('the peer is away').waitFor()
    await peer.up()
    await page.getByText('This tab has no session').waitFor()
    expect(await peer.json('console', 'list')).toEqual([])
  })

  test('all of it can be used by keyboard, and everything to press or fill in has a name', async () => {
    await using peer = await createSkeinPeer({ name: 'alice' })
    await peer.up()
    await using browser = await launchBrowser()
    await using visitor = await browser.visit(peer)
    const { page } = visitor
    await live(page)
    for (const view of views) {
      await show(page, view)
      const nameless = await page
        .locator('button, input, textarea, select, a')
        .evaluateAll((found) =>
          found
            .filter(
              (one) =>
                (one.textContent ?? '').trim() === '' &&
                !('labels' in one && (one.labels as { readonly length: number } | null)?.length),
            )
            .map((one) => one.outerHTML),
        )
      expect(nameless, view).toEqual([])
    }
    await page.locator('nav a[href="#devices"]').focus()
    for (let count = 0; count < views.length - 1; count++) await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Doctor' }).waitFor()
  })
})

/** Every number that docs/grafana.json shows is one that a peer with a link and a folder gives to Prometheus. */
async function checkDashboard(peer: SkeinPeer): Promise<void> {
  const { token } = await peer.json<{ readonly token: string }>('token', 'mint', 'metrics:read')
  const { url } = await peer.json<{ readonly url: string }>('console')
  const response = await fetch(new URL('/metrics', url), { headers: { authorization: `Bearer ${token}` } })
  expect(response.status).toBe(200)
  const given = new Set([...(await response.text()).matchAll(/^(\w+)(?:\{.*\})? /gm)].map(([, name]) => name))
  const dashboard = await readFile(join(import.meta.dirname, '../../docs/grafana.json'), 'utf8')
  const shown = [...dashboard.matchAll(/\b(?:skein|process|nodejs)_\w+/g)].map(([name]) => name)
  expect(shown.length).toBeGreaterThan(15)
  expect(shown.filter((name) => !given.has(name))).toEqual([])
  const other = await peer.json<{ readonly token: string }>('token', 'mint', 'status:read')
  const headers = { authorization: `Bearer ${other.token}` }
  expect((await fetch(new URL('/metrics', url), { headers })).status).toBe(403)
}

/** Both change one binary file while they do not sync. */
async function makeConflict(
  alice: SkeinPeer,
  bob: SkeinPeer,
  [a, b]: readonly [string, string],
): Promise<void> {
  const bytes = (start: string): Buffer =>
    Buffer.concat([Buffer.from(start), createSystemRandom().bytes(5_000)])
  await writeFile(join(a, 'picture.bin'), bytes('first'))
  await until(
    'the picture',
    async () => (await readFile(join(b, 'picture.bin'), 'latin1').catch(() => '')).length > 5_000,
  )
  await alice.run('sync', 'work')
  await bob.run('pause', 'work')
  await writeFile(join(a, 'picture.bin'), bytes('alice'))
  await writeFile(join(b, 'picture.bin'), bytes('bob'))
  await alice.run('sync', 'work', '--timeout', '2s')
  await bob.run('resume', 'work')
}
