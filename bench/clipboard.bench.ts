/**
 * The shared clipboard between two desktops: two paired peers, each in a network namespace of its own with an X display
 * of its own. A program copies on one display; on the other a program waits for the change and pastes, and the bytes are
 * compared. Both programs speak X by themselves; xclip is asked at the end, as an independent witness. Needs root.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLab, type Lab } from '../test/support/netns.ts'
import { createSkeinPeer, pairPeers, until, type SkeinPeer } from '../test/support/skein.ts'
import { startXDisplay, type XTestDisplay } from '../test/support/x-display.ts'
import { openXProgram, type XProgram } from '../test/support/x-program.ts'
import type { BenchContext } from './bench-harness.ts'

export const name = 'clipboard'
export const about = 'from a copy on one desktop to its paste on another, and what an idle clipboard costs'
export const figures = ['clip_p50_ms', 'clip_p95_ms', 'clip_10MB_ms', 'clip_idle_cpu_percent']

const largeBytes = 10_000_000
const patienceMs = 20_000

/** One device: its display, its peer, and a program of the person. */
interface Desktop {
  readonly display: XTestDisplay
  readonly peer: SkeinPeer
  readonly program: XProgram
}

export async function run(context: BenchContext): Promise<void> {
  await using lab = await createLab({ hosts: 2 })
  await using stack = new AsyncDisposableStack()
  const near = await openDesktop(lab, stack, 0)
  const far = await openDesktop(lab, stack, 1)
  await pairPeers(near.peer, far.peer)
  await settle(near, far)
  await measureTexts(context, near, far)
  await measureLarge(context, near, far)
  await askWitness(near, far)
  await measureIdle(context, near, far)
}

async function openDesktop(lab: Lab, stack: AsyncDisposableStack, host: number): Promise<Desktop> {
  const display = stack.use(await startXDisplay())
  const peer = stack.use(
    await createSkeinPeer({
      name: host === 0 ? 'near' : 'far',
      launch: (file, args) =>
        lab.spawn(host, file, args, {
          stdio: ['ignore', 'pipe', 'pipe'],
          env: { ...process.env, DISPLAY: display.name },
        }),
      upArgs: [],
    }),
  )
  await peer.up()
  const program = stack.use(await openXProgram(display.name))
  return { display, peer, program }
}

/** The first item makes documents, keys and connections; they are there from then on. */
async function settle(near: Desktop, far: Desktop): Promise<void> {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    const text = `settled ${from.display.name} ${to.display.name}`
    await until(`the clipboard reaches ${to.display.name}`, async () => {
      await from.program.copy({ UTF8_STRING: Buffer.from(`${text} ${performance.now()}`) })
      await sleep(500)
      return (await to.program.paste('UTF8_STRING'))?.toString().startsWith(text)
    })
  }
}

/** Copies `content` on `from`. @returns ms until it was pasted, byte by byte, on `to`. */
async function measureOne(from: Desktop, to: Desktop, target: string, content: Buffer): Promise<number> {
  const startMs = performance.now()
  let changed = to.program.changed()
  await from.program.copy({ [target]: content })
  for (;;) {
    const isInTime = await Promise.race([changed.then(() => true), sleep(patienceMs, false, { ref: false })])
    if (!isInTime) throw new Error('what was copied did not come')
    changed = to.program.changed()
    const pasted = await to.program.paste(target)
    if (pasted?.equals(content) === true) return performance.now() - startMs
  }
}

async function measureTexts(context: BenchContext, near: Desktop, far: Desktop): Promise<void> {
  const runs = context.isQuick ? 20 : 200
  const samples: number[] = []
  for (let index = 0; index < runs; index++) {
    const [from, to] = index % 2 === 0 ? [near, far] : [far, near]
    const content = Buffer.from(`copy ${index} ${'word '.repeat(index)}`)
    samples.push(await measureOne(from, to, 'UTF8_STRING', content))
    // A person does not copy faster; the seal of the last one is still being put away
    await sleep(50)
  }
  context.progress(`${runs} copies, worst ${Math.max(...samples).toFixed(0)} ms`)
  context.report('clip_p50_ms', context.percentile(samples, 50), 'ms', { runs, note: 'bar 30' })
  context.report('clip_p95_ms', context.percentile(samples, 95), 'ms', { runs, note: 'bar 100' })
}

async function measureLarge(context: BenchContext, near: Desktop, far: Desktop): Promise<void> {
  const runs = context.isQuick ? 3 : 11
  const samples: number[] = []
  for (let index = 0; index < runs; index++) {
    const content = Buffer.alloc(largeBytes)
    for (let offset = 0; offset < largeBytes; offset += 4)
      content.writeUInt32LE((offset * 2654435761 + index) >>> 0, offset)
    samples.push(await measureOne(near, far, 'image/png', content))
    await sleep(200)
  }
  context.progress(`10 MB: ${samples.map((ms) => ms.toFixed(0)).join(', ')} ms`)
  context.report('clip_10MB_ms', context.median(samples), 'ms', { runs, note: 'bar 400' })
}

/** Once more with programs that nobody here wrote. */
async function askWitness(near: Desktop, far: Desktop): Promise<void> {
  const content = Buffer.from('xclip was here: größer, 日本, 👍')
  const changed = far.program.changed()
  await near.display.copyByXclip('UTF8_STRING', content)
  await changed
  const seen = await far.display.readByXclip('UTF8_STRING')
  if (!seen.equals(content)) throw new Error(`xclip read ${JSON.stringify(seen.toString())}`)
}

/**
 * What the clipboard costs while nobody copies: a peer with it beside its fellow without it, at the same time. What a
 * whole peer costs at rest is the figure of the bench `idle`.
 */
async function measureIdle(context: BenchContext, near: Desktop, far: Desktop): Promise<void> {
  for (const { peer } of [near, far]) await peer.run('down')
  await writeFile(join(far.peer.home, 'settings.json'), JSON.stringify({ clipboard: false }))
  for (const { peer } of [near, far]) await peer.up()
  const pids = [await near.peer.pid(), await far.peer.pid()]
  await sleep(context.isQuick ? 15_000 : 45_000, undefined, { signal: context.signal })
  const spanMs = context.isQuick ? 10_000 : 60_000
  const before = pids.map(readCpuMs)
  const startMs = performance.now()
  await sleep(spanMs, undefined, { signal: context.signal })
  const elapsedMs = performance.now() - startMs
  const [on = 0, off = 0] = pids.map(
    (pid, index) => ((readCpuMs(pid) - (before[index] ?? 0)) / elapsedMs) * 100,
  )
  const wholes = `${on.toFixed(2)} % with it, ${off.toFixed(2)} % without, over ${spanMs / 1000} s`
  context.report('clip_idle_cpu_percent', Math.max(0, on - off), '%', { runs: 1, note: `bar 0.5; ${wholes}` })
}

/** CPU time of all threads, to the nanosecond; see sched-stats in the kernel's documentation. */
function readCpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const spentNs = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  )
  return spentNs.reduce((sum, one) => sum + one, 0) / 1e6
}
