/** Names that some disks take for one: this disk holds both forms, and so do all others, each file under a name of its own. */
import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { nameProblem, otherFormName } from '../../src/files/names.ts'
import { createPair, type Device, until as untilWithin } from '../support/two-folders.ts'

const [composed, decomposed] = ['caf\u00e9.txt', 'cafe\u0301.txt']
const other = 'caf\u00e9 (other form).txt'

const until = (check: () => Promise<boolean>, devices: readonly Device[]): Promise<void> =>
  untilWithin(check, devices, 30_000)

async function contents(root: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const name of (await readdir(root)).filter((one) => one !== '.skein').sort())
    found[name] = await readFile(join(root, name), 'utf8').catch(() => 'gone')
  return found
}

const shows = (device: Device, wanted: Readonly<Record<string, string>>): (() => Promise<boolean>) => {
  const sorted = JSON.stringify(
    Object.fromEntries(Object.entries(wanted).sort(([a], [b]) => (a < b ? -1 : 1))),
  )
  return async () => JSON.stringify(await contents(device.root)) === sorted
}

describe('two files with one name in two Unicode forms', () => {
  test('are both synced, edited, renamed and deleted apart from each other', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, composed), 'one')
    await writeFile(join(a.root, decomposed), 'two')
    await until(shows(b, { [composed]: 'one', [other]: 'two' }), [a, b])
    await appendFile(join(b.root, other), ', edited')
    await until(shows(a, { [composed]: 'one', [decomposed]: 'two, edited' }), [a, b])
    await appendFile(join(a.root, decomposed), ' again')
    await until(shows(b, { [composed]: 'one', [other]: 'two, edited again' }), [a, b])
    await a.restart()
    await b.restart()
    // The one that had the name goes; the other stays what it is on both
    await rm(join(a.root, composed))
    await until(shows(b, { [other]: 'two, edited again' }), [a, b])
    expect(await contents(a.root)).toEqual({ [decomposed]: 'two, edited again' })
    await rename(join(b.root, other), join(b.root, 'plain'))
    await until(shows(a, { plain: 'two, edited again' }), [a, b])
    expect([...a.folder.status().problems, ...b.folder.status().problems]).toEqual([])
  })

  test('are both synced whichever came first, with what lies in them', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, decomposed), 'first')
    await until(shows(b, { [composed]: 'first' }), [a, b])
    await writeFile(join(a.root, composed), 'second')
    await until(shows(b, { [composed]: 'first', [other]: 'second' }), [a, b])
    expect(await contents(a.root)).toEqual({ [decomposed]: 'first', [composed]: 'second' })
    for (const name of ['\u00e9', 'e\u0301']) {
      await mkdir(join(a.root, name))
      await writeFile(join(a.root, name, 'file'), `in ${name.length}`)
    }
    const texts = (): Promise<readonly string[]> =>
      Promise.all(
        ['\u00e9/file', '\u00e9 (other form)/file'].map((path) =>
          readFile(join(b.root, path), 'utf8').catch(() => 'none yet'),
        ),
      )
    await until(async () => (await texts()).join() === 'in 1,in 2', [a, b])
  })

  test('are as two when they are new on two devices, and nothing goes round', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await link.cut()
    for (const { root } of [a, b]) {
      await writeFile(join(root, composed), 'the same')
      await writeFile(join(root, decomposed), 'the other one, the same as well')
    }
    await until(async () => [a, b].every(({ folder }) => folder.status().files === 2), [a, b])
    await link.heal()
    const both = { [composed]: 'the same', [decomposed]: 'the other one, the same as well' }
    await until(shows(b, both), [a, b])
    await until(async () => [a, b].every(({ folder }) => folder.status().state === 'in-sync'), [a, b])
    for (const { root } of [a, b]) expect(await contents(root)).toEqual(both)
  })
})

test('the other name fits, is a name, and gives way to what stands there', () => {
  expect(otherFormName('a.txt', () => false)).toBe('a (other form).txt')
  expect(otherFormName('a.txt', (name) => name === 'a (other form).txt')).toBe('a (other form 2).txt')
  const long = `${'\u00e9'.repeat(120)}.text`
  const found = otherFormName(long, () => false)
  expect(nameProblem(found)).toBeUndefined()
  expect(new TextEncoder().encode(found).byteLength).toBeLessThanOrEqual(limits.pathNameBytes)
  expect(found.endsWith(' (other form).text')).toBe(true)
})
