/** Folders in a process that may not read everything, or gets no more watches: what it cannot do is told, and done later. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { describeWith } from '../support/needs.ts'

const script = fileURLToPath(new URL('limited-process.ts', import.meta.url))
const timeout = 120_000

async function play(scene: string, around: readonly string[]): Promise<unknown> {
  const [program, ...rest] = [...around, process.execPath, script, scene]
  const { stdout } = await promisify(execFile)(program ?? process.execPath, rest, { timeout })
  return JSON.parse(stdout)
}

describeWith(['nsenter'], 'a process of limited means', () => {
  test(
    'lists what it may not read or write, with cause and fix, syncs all else, and follows once it may',
    { timeout },
    async () => {
      // Permissions mean nothing to root, unless it lets go of that
      const rights = '-dac_override,-dac_read_search'
      const around =
        process.getuid?.() === 0 ? ['setpriv', '--inh-caps', rights, '--bounding-set', rights] : []
      const denied = /permission denied; give your user access/
      const found = await play('unreadable', around)
      expect(found).toMatchObject({
        atSender: [expect.stringMatching(/^"?closed/), expect.stringMatching(/^"?secret/)],
        deletions: [0, 0],
      })
      // because: matched right above
      const { atSender, atReceiver } = found as Readonly<Record<'atSender' | 'atReceiver', readonly string[]>>
      expect(
        [...atSender, ...atReceiver].every((line) => denied.test(line)),
        JSON.stringify(found),
      ).toBe(true)
      expect(new Set(atReceiver.map((line) => line.split(':')[0]))).toEqual(new Set(['good', 'open/new']))
    },
  )
})

describeWith(['netns', 'nsenter'], 'a system without watches left', () => {
  test('polls the directories that got none, and misses nothing', { timeout }, async () => {
    const found = await play('fewWatches', ['unshare', '--user', '--map-root-user'])
    expect(found).toMatchObject({ watching: { native: expect.any(Number), polled: expect.any(Number) } })
    // because: matched right above
    const { polled } = (found as { readonly watching: { readonly polled: number } }).watching
    expect(polled).toBeGreaterThan(10)
  })
})
