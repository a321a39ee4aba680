/** The web console in a real Chromium: how much the first view weighs, when it is seen, and when it is live. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { execFileSync, spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { buildPage } from '../scripts/build-page.ts'
import type { BenchContext } from './bench-harness.ts'

export const name = 'console'
export const about = 'the first view of the web console: size, first paint, first live state'
export const figures = ['console_gz_kB', 'console_paint_ms', 'console_live_ms']

const root = fileURLToPath(new URL('..', import.meta.url))
const entry = join(root, 'bin/skein.js')

export async function run(context: BenchContext): Promise<void> {
  await buildPage()
  context.report('console_gz_kB', (await firstViewBytes()) / 1000, 'kB', {
    note: 'bar 150; plots come later',
  })
  const directory = mkdtempSync(join(tmpdir(), 'skein-bench-'))
  const home = join(directory, 'home')
  const skein = (...args: readonly string[]): string =>
    execFileSync(process.execPath, [entry, ...args, '--home', home], { encoding: 'utf8' })
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--disable-gpu', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
  })
  try {
    skein('up', '--listen', '127.0.0.1:0', '--no-discovery', '--console-port', '0')
    const runs = context.isQuick ? 3 : 15
    const paints: number[] = []
    const lives: number[] = []
    for (let index = -1; index < runs; index++) {
      const { url } = JSON.parse(skein('console', '--json')) as { readonly url: string } // because: what it prints
      const { paintMs, liveMs } = await visit(browser, url)
      if (index < 0) continue // the browser's own first page
      paints.push(paintMs)
      lives.push(liveMs)
    }
    context.progress(
      `paint up to ${Math.max(...paints).toFixed(0)} ms, live up to ${Math.max(...lives).toFixed(0)} ms`,
    )
    context.report('console_paint_ms', context.median(paints), 'ms', { runs, note: 'bar 300' })
    context.report('console_live_ms', context.median(lives), 'ms', { runs, note: 'bar 1000' })
  } finally {
    await browser.close()
    spawnSync(process.execPath, [entry, 'down', '--home', home])
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Nothing is kept from one visit to the next: every one is a first visit. */
async function visit(
  browser: Browser,
  url: string,
): Promise<{ readonly paintMs: number; readonly liveMs: number }> {
  const context = await browser.newContext()
  try {
    const page = await context.newPage()
    await page.goto(url, { waitUntil: 'commit' })
    await page.locator('header .live.live').waitFor()
    const [paintMs, liveMs] = [await timeOf(page, 'first-contentful-paint'), await timeOf(page, 'skein-live')]
    return { paintMs, liveMs }
  } finally {
    await context.close()
  }
}

/** Since the browser began to load the page. */
async function timeOf(page: Page, entry: string): Promise<number> {
  for (;;) {
    const found: unknown = await page.evaluate(`performance.getEntriesByName('${entry}')[0]?.startTime`)
    if (typeof found === 'number') return found
  }
}

/** What a first visit loads: the page, its script and style, its icon. */
async function firstViewBytes(): Promise<number> {
  const folder = join(root, 'dist/page')
  const names = (await readdir(folder)).filter((file) => /^(index|page-|icon-).*\.gz$/.test(file))
  return names.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)
}
