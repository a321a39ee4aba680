/**
 * A real Chromium (Debian's) for tests of the web console, driven by playwright-core. Each visitor has a profile of its
 * own, so two of them are two people. What a page logs as an error, or a policy refuses, fails the test.
 */
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import type { SkeinPeer } from './skein.ts'

export interface Visitor extends AsyncDisposable {
  readonly page: Page
  /** Errors the page reported so far. */
  readonly faults: readonly string[]
}

export interface TestBrowser extends AsyncDisposable {
  /** Opens the console of a peer by a fresh link, as `skein console` does. */
  visit(peer: SkeinPeer, options?: VisitOptions): Promise<Visitor>
  /** A tab at an address. */
  open(url: string, options?: VisitOptions): Promise<Visitor>
}

export interface VisitOptions {
  readonly width?: number
  readonly height?: number
  readonly isDark?: boolean
}

export async function launchBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    // Root has no sandbox; the only pages it ever sees are ours
    args: ['--disable-gpu', '--no-first-run', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
  })
  const open: TestBrowser['open'] = async (url, options = {}) => openVisitor(browser, url, options)
  return {
    open,
    visit: async (peer, options) => open((await peer.json<{ readonly url: string }>('console')).url, options),
    [Symbol.asyncDispose]: () => browser.close(),
  }
}

async function openVisitor(browser: Browser, url: string, options: VisitOptions): Promise<Visitor> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1180, height: options.height ?? 860 },
    colorScheme: options.isDark === true ? 'dark' : 'light',
    locale: 'en-GB',
    timezoneId: 'UTC',
  })
  const page = await context.newPage()
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => {
    // because: a refused or broken request is an answer the page deals with; it is no fault of the page
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      faults.push(message.text())
  })
  await page.goto(url)
  return { page, faults, [Symbol.asyncDispose]: () => context.close() }
}

/** For the page to run: copies a picture whose PNG is more than half a megabyte. */
export const copyNoise = `(async () => {
  const canvas = new OffscreenCanvas(512, 512)
  const context = canvas.getContext('2d')
  const noise = context.createImageData(512, 512)
  for (let at = 0; at < noise.data.length; at += 65_536) crypto.getRandomValues(noise.data.subarray(at, at + 65_536))
  context.putImageData(noise, 0, 0)
  const picture = await canvas.convertToBlob({ type: 'image/png' })
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': picture })])
})()`
