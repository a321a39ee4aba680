import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { createHashWorkers } from '../../src/files/hash-workers.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createNodeFilesystem } from '../../src/files/node-filesystem.ts'
import { createSmallFiles } from '../../src/files/small-files.ts'
import { testSmallFiles } from '../contract/small-files.ts'

testSmallFiles('memory', () => {
  const disk = createMemoryFilesystem()
  return Promise.resolve({ disk, small: createSmallFiles(disk), teardown: () => Promise.resolve() })
})
testSmallFiles('node', async () => {
  const root = await mkdtemp(join(tmpdir(), 'skein-small-'))
  const disk = createNodeFilesystem(root)
  return { disk, small: createSmallFiles(disk), teardown: () => rm(root, { recursive: true }) }
})
testSmallFiles('a thread', async () => {
  const root = await mkdtemp(join(tmpdir(), 'skein-small-'))
  const disk = createNodeFilesystem(root)
  const workers = createHashWorkers(root, disk)
  const teardown = async (): Promise<void> => {
    await workers[Symbol.asyncDispose]()
    await rm(root, { recursive: true })
  }
  return { disk, small: workers.small, teardown }
})

test('a thread that starts late writes nothing into another directory in place of the root', async () => {
  const base = await mkdtemp(join(tmpdir(), 'skein-small-'))
  const root = join(base, 'root')
  await mkdir(join(root, '.skein/tmp'), { recursive: true })
  const disk = createNodeFilesystem(root)
  // The folder has looked at its root; then another one stands there
  const meant = await disk.lstat('')
  await rename(root, join(base, 'aside'))
  await mkdir(join(root, '.skein/tmp'), { recursive: true })
  await using workers = createHashWorkers(root, { lstat: () => Promise.resolve(meant) })
  const file = { path: 'a', staging: '.skein/tmp/a', bytes: new Uint8Array(3), mode: 0o644, mtimeNs: 0n }
  const [outcome] = await workers.small.place([file], new AbortController().signal)
  expect(outcome).toMatchObject({ code: 'folder.missing' })
  expect(await createNodeFilesystem(root).lstat('a')).toBeUndefined()
  await rm(base, { recursive: true })
})

test('a thread that had nothing to do for long ends, and another one works when there is something again', async () => {
  const root = await mkdtemp(join(tmpdir(), 'skein-small-'))
  const disk = createNodeFilesystem(root)
  const clock = createVirtualClock()
  await using workers = createHashWorkers(root, disk, clock)
  const { signal } = new AbortController()
  expect(await workers.small.read(['none'], 10, signal)).toMatchObject([{ code: 'not.found' }])
  clock.advance(20_000)
  expect(workers.small.isReady).toBe(true)
  await workers.small.read(['none'], 10, signal)
  clock.advance(20_000)
  expect(workers.small.isReady).toBe(true)
  clock.advance(20_000)
  expect(workers.small.isReady).toBe(false)
  expect(await workers.small.read(['none'], 10, signal)).toMatchObject([{ code: 'not.found' }])
  await rm(root, { recursive: true })
})

test(
  'a process that ends its threads while they start comes to its own end',
  { timeout: 30_000 },
  async () => {
    const root = await mkdtemp(join(tmpdir(), 'skein-small-'))
    const source = (name: string): string =>
      JSON.stringify(new URL(`../../src/files/${name}.ts`, import.meta.url).href)
    const script = `
    import { createHashWorkers } from ${source('hash-workers')}
    import { createNodeFilesystem } from ${source('node-filesystem')}
    const root = ${JSON.stringify(root)}
    for (let delayMs = 0; delayMs < 120; delayMs += 8) {
      const workers = createHashWorkers(root, createNodeFilesystem(root))
      await workers.small.prepare()
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      await workers[Symbol.asyncDispose]()
    }
    console.log('at its end')`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
    expect(stdout).toBe('at its end\n')
    await rm(root, { recursive: true })
  },
)
