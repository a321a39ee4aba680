/** What the `files` bench charges to each side: real processes, by the kernel's count. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { residentBytes, watchCosts } from '../../bench/sides/folder-costs.ts'

/** Works for so long by its own count, says so, and goes on living if it is told to. */
const worker = (cpuMs: number, isLasting: boolean): ChildProcess =>
  spawn(
    process.execPath,
    [
      '-e',
      `const held = Buffer.alloc(64 * 2 ** 20, 1); while (process.cpuUsage().user < ${cpuMs * 1000}) held.indexOf(2)
       process.stdout.write('done'); if (${isLasting}) setInterval(() => held, 1000)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )

test('charges each side with the work of its processes, children and ended ones included', async () => {
  const near = worker(400, true)
  const far: ChildProcess[] = []
  try {
    const alive = (child: ChildProcess): readonly number[] =>
      child.pid === undefined || child.exitCode !== null ? [] : [child.pid]
    const end = watchCosts(() => ({ near: alive(near), far: far.flatMap(alive), isRunHere: true }))
    if (near.stdout !== null) await once(near.stdout, 'data')
    for (const cpuMs of [300, 300]) {
      const child = worker(cpuMs, false)
      far.push(child)
      await once(child, 'close')
    }
    const { cpuSeconds, peakMiB } = end()
    expect(cpuSeconds[0]).toBeGreaterThan(0.2)
    expect(cpuSeconds[0]).toBeLessThan(3)
    // Two that have ended, neither of them charged twice
    expect(cpuSeconds[1]).toBeGreaterThan(0.55)
    expect(cpuSeconds[1]).toBeLessThan(4)
    expect(Math.min(...peakMiB)).toBeGreaterThan(64)
    expect(residentBytes(alive(near))).toBeGreaterThan(64 * 2 ** 20)
  } finally {
    near.kill('SIGKILL')
  }
})
