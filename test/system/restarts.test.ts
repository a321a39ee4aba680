/** One device alone, killed again and again at any moment of its start: what lies in its folder never moves by itself. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { sleep } from '../../src/base/clock.ts'
import { createSystemClock } from '../../src/base/system-clock.ts'
import { createSkeinPeer } from '../support/skein.ts'

const rounds = 8

/** Everything in a folder that is not Skein's own, by path. */
async function list(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true })
  return entries.filter((path) => path.split('/')[0] !== '.skein').sort()
}

test('a device killed in eight starts keeps every file at its place', { timeout: 120_000 }, async () => {
  const clock = createSystemClock()
  const root = await mkdtemp(join(tmpdir(), 'skein-restarts-'))
  await using peer = await createSkeinPeer({
    name: 'alone',
    upArgs: ['--no-discovery', '--listen', '127.0.0.1:0'],
  })
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  for (let index = 0; index < 480; index++) {
    const directory = join(root, `d${index % 8}`, `e${index % 16}`)
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, `${index}.txt`), `content of ${index}\n`.repeat(1 + (index % 50)))
  }
  await peer.up()
  await peer.json('share', root, '--name', 'alone')
  const expected = await list(root)
  for (let round = 0; round < rounds; round++) {
    // From at once to after the first look at everything, in the first round while it is read for the first time
    await sleep(clock, round * 60)
    process.kill(await peer.pid(), 'SIGKILL')
    await peer.up()
  }
  expect((await peer.run('sync', 'alone', '--timeout', '30s')).code).toBe(0)
  expect(await list(root)).toEqual(expected)
  const versions = await peer.json<{ readonly versions: readonly unknown[] }>('versions', root)
  expect(versions.versions).toEqual([])
})
