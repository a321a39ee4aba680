import { readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newSpaceId } from '../../src/base/ids.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import type { FolderOptions } from '../../src/files/folder-options.ts'
import {
  converged,
  createDevice,
  createPair,
  type Device,
  type Link,
  linkDevices,
  type Pair,
  picture,
  until,
} from '../support/two-folders.ts'

const text = (edits: Readonly<Record<number, string>> = {}): string =>
  Array.from({ length: 9 }, (_, line) => `${edits[line] ?? `line ${line}`}\n`).join('')

/** Writes and waits until the device has taken it in. */
async function edit(device: Device, path: string, content: string): Promise<void> {
  await writeFile(join(device.root, path), content)
  await until(async () => {
    const entry = await device.space.lookup(path)
    const state = device.folder.status().state
    return (
      entry?.data.sizeBytes === Buffer.byteLength(content) && (state === 'in-sync' || state === 'waiting')
    )
  }, [device])
}

async function content(device: Device, path: string): Promise<string> {
  return await readFile(join(device.root, path), 'utf8')
}

/** Contents of the versions kept on these devices. */
async function kept(...devices: readonly Device[]): Promise<ReadonlySet<string>> {
  const all = new Set<string>()
  for (const device of devices)
    for (const version of await device.folder.versions.list())
      all.add(await readFile(join(device.root, version.kept), 'utf8'))
  return all
}

async function versionsOf(device: Device, path: string): Promise<number> {
  const entry = await device.space.lookup(path)
  return entry === undefined ? 0 : ((await device.space.node(entry.nodeId))?.versions.length ?? 0)
}

interface Trio extends AsyncDisposable {
  readonly devices: readonly [Device, Device, Device]
  cut(): Promise<void>
  heal(): Promise<void>
}

async function createTrio(options: FolderOptions = {}): Promise<Trio> {
  const spaceId = newSpaceId(createSystemRandom())
  const a = await createDevice(spaceId, options)
  const b = await createDevice(spaceId, options)
  const c = await createDevice(spaceId, options)
  const links: Link[] = [await linkDevices(a, b), await linkDevices(b, c), await linkDevices(a, c)]
  return {
    devices: [a, b, c],
    async cut() {
      for (const link of links) await link.cut()
    },
    async heal() {
      for (const link of links) await link.heal()
    },
    async [Symbol.asyncDispose]() {
      for (const device of [a, b, c]) await device.close()
    },
  }
}

/** Two edit a line each while stopped, and lost what they started from. */
async function editWithoutBase([a, b]: readonly [Device, Device]): Promise<void> {
  for (const device of [a, b]) {
    await device.stop()
    await rm(join(device.root, '.skein/bases'), { recursive: true, force: true })
    await rm(join(device.root, '.skein/versions'), { recursive: true, force: true })
  }
  await writeFile(join(a.root, 'notes.txt'), text({ 1: 'edited on a' }))
  await writeFile(join(b.root, 'notes.txt'), text({ 6: 'edited on b' }))
  for (const device of [a, b]) await device.restart()
  await until(() => [a, b].every((device) => device.folder.status().state === 'in-sync'), [a, b])
}

/** Both edit a line each while apart, and what they started from is nowhere any more. */
async function editApartWithoutBase({ a, b, link }: Pair): Promise<void> {
  await writeFile(join(a.root, 'notes.txt'), text())
  await converged([a, b])
  await link.cut()
  await editWithoutBase([a, b])
  await link.heal()
}

describe('edits made apart', () => {
  test('in different lines: one text with both on both devices, no conflict copy, both inputs kept', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'notes.txt'), text())
    await converged([a, b])
    await link.cut()
    await edit(a, 'notes.txt', text({ 1: 'edited on a' }))
    await edit(b, 'notes.txt', text({ 6: 'edited on b' }))
    await link.heal()
    expect(Object.keys(await converged([a, b]))).toEqual(['notes.txt'])
    expect(await content(a, 'notes.txt')).toBe(text({ 1: 'edited on a', 6: 'edited on b' }))
    expect(await content(b, 'notes.txt')).toBe(text({ 1: 'edited on a', 6: 'edited on b' }))
    for (const device of [a, b]) {
      const versions = await kept(device)
      expect(versions).toContain(text({ 1: 'edited on a' }))
      expect(versions).toContain(text({ 6: 'edited on b' }))
      expect(await versionsOf(device, 'notes.txt')).toBe(1)
    }
    // The merged version is one like any other
    await edit(b, 'notes.txt', text({ 1: 'edited on a', 6: 'edited on b', 8: 'later' }))
    expect(Object.keys(await converged([a, b]))).toEqual(['notes.txt'])
    await unlink(join(a.root, 'notes.txt'))
    expect(await converged([a, b])).toEqual({})
  })

  test('several times on each side: the base is what they last had in common', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'notes.txt'), text())
    await converged([a, b])
    await link.cut()
    await edit(a, 'notes.txt', text({ 1: 'a, first' }))
    await edit(a, 'notes.txt', text({ 1: 'a, second' }))
    await edit(b, 'notes.txt', text({ 6: 'b, one' }))
    await edit(b, 'notes.txt', text({ 6: 'b, the second' }))
    await edit(b, 'notes.txt', text({ 6: 'b, number three' }))
    await link.heal()
    expect(Object.keys(await converged([a, b]))).toEqual(['notes.txt'])
    expect(await content(a, 'notes.txt')).toBe(text({ 1: 'a, second', 6: 'b, number three' }))
    // And again: the merged one is the base now
    await link.cut()
    await edit(a, 'notes.txt', text({ 1: 'a, third', 6: 'b, number three' }))
    await edit(b, 'notes.txt', text({ 1: 'a, second', 4: 'between', 6: 'b, number three' }))
    await link.heal()
    expect(Object.keys(await converged([a, b]))).toEqual(['notes.txt'])
    expect(await content(b, 'notes.txt')).toBe(text({ 1: 'a, third', 4: 'between', 6: 'b, number three' }))
  })

  test('in the same line: both are kept, under the same names everywhere', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'timeout.conf'), 'a\nseconds 30\nb\n')
    await converged([a, b])
    await link.cut()
    await edit(a, 'timeout.conf', 'a\nseconds 45\nb\n')
    await edit(b, 'timeout.conf', 'a\nseconds 60\nb\n')
    await link.heal()
    const all = await converged([a, b])
    expect(Object.keys(all)).toHaveLength(2)
    expect(new Set(Object.values(all))).toEqual(new Set(['a\nseconds 45\nb\n', 'a\nseconds 60\nb\n']))
    // A person decides: the copy goes, and nothing comes back
    const copy = Object.keys(all).find((path) => path.includes('conflict')) ?? expect.fail('no copy')
    await rm(join(a.root, copy))
    expect(Object.keys(await converged([a, b]))).toEqual(['timeout.conf'])
  })

  test('the same edit on both sides is one edit, and one deletion takes it away', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'same.txt'), text())
    await converged([a, b])
    await link.cut()
    await edit(a, 'same.txt', text({ 2: 'the same' }))
    await edit(b, 'same.txt', text({ 2: 'the same' }))
    await link.heal()
    expect(Object.keys(await converged([a, b]))).toEqual(['same.txt'])
    await edit(a, 'same.txt', text({ 2: 'the same', 7: 'and more' }))
    expect(Object.keys(await converged([a, b]))).toEqual(['same.txt'])
    expect(await content(b, 'same.txt')).toBe(text({ 2: 'the same', 7: 'and more' }))
    await link.cut()
    await edit(a, 'same.txt', text({ 3: 'once more' }))
    await edit(b, 'same.txt', text({ 3: 'once more' }))
    await link.heal()
    await converged([a, b])
    await unlink(join(b.root, 'same.txt'))
    expect(await converged([a, b])).toEqual({})
  })

  test('package.json: neighbouring dependencies from both sides', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    const manifest = (dependencies: object): string =>
      `${JSON.stringify({ name: 'x', dependencies }, null, 2)}\n`
    await writeFile(join(a.root, 'package.json'), manifest({ alpha: '1', omega: '1' }))
    await converged([a, b])
    await link.cut()
    await edit(a, 'package.json', manifest({ alpha: '1', beta: '22', omega: '1' }))
    await edit(b, 'package.json', manifest({ alpha: '1', gamma: '3', omega: '1' }))
    await link.heal()
    expect(Object.keys(await converged([a, b]))).toEqual(['package.json'])
    const merged = await content(a, 'package.json')
    expect(merged).toBe(manifest({ alpha: '1', beta: '22', gamma: '3', omega: '1' }))
  })

  test('lock files, keys and binaries are never merged', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    const binary = (edits: Readonly<Record<number, string>>): string => `\0${text(edits)}`
    await writeFile(join(a.root, 'yarn.lock'), text())
    await writeFile(join(a.root, 'data.bin'), binary({}))
    await converged([a, b])
    await link.cut()
    await edit(a, 'yarn.lock', text({ 1: 'one' }))
    await edit(a, 'data.bin', binary({ 1: 'one' }))
    await edit(b, 'yarn.lock', text({ 6: 'two' }))
    await edit(b, 'data.bin', binary({ 6: 'two' }))
    await link.heal()
    expect(Object.keys(await converged([a, b]))).toHaveLength(4)
  })

  test('a large text goes through the thread, and what is too different is kept twice', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    const lines = Array.from({ length: 10_000 }, (_, line) => `line ${line} of a longer text\n`)
    await writeFile(join(a.root, 'long.txt'), lines.join(''))
    await writeFile(join(a.root, 'turned.txt'), lines.join(''))
    await converged([a, b])
    await until(() => a.folder.status().state === 'in-sync', [a])
    await new Promise((resolve) => setTimeout(resolve, 300))
    await link.cut()
    await edit(a, 'long.txt', lines.with(10, 'from a\n').join(''))
    await edit(b, 'long.txt', lines.with(9_000, 'from b, much lower\n').join(''))
    await edit(a, 'turned.txt', `first\n${lines.toReversed().join('')}`)
    await edit(b, 'turned.txt', lines.with(9_000, 'x\n').join(''))
    await link.heal()
    const all = Object.keys(await converged([a, b]))
    expect(all).toHaveLength(3)
    expect(all.filter((path) => path.startsWith('long'))).toEqual(['long.txt'])
    const merged = lines.with(10, 'from a\n').with(9_000, 'from b, much lower\n')
    expect(await content(a, 'long.txt')).toBe(merged.join(''))
  })
})

describe('three writers', () => {
  test('edits of three devices apart become one text on all of them', async () => {
    await using trio = await createTrio()
    const [a, b, c] = trio.devices
    await writeFile(join(a.root, 'shared.md'), text())
    await converged(trio.devices)
    await trio.cut()
    await edit(a, 'shared.md', text({ 0: 'first by a' }))
    await edit(b, 'shared.md', text({ 4: 'middle by b!' }))
    await edit(c, 'shared.md', text({ 8: 'the end by c' }))
    await trio.heal()
    expect(Object.keys(await converged(trio.devices))).toEqual(['shared.md'])
    const merged = text({ 0: 'first by a', 4: 'middle by b!', 8: 'the end by c' })
    for (const device of trio.devices) {
      expect(await content(device, 'shared.md')).toBe(merged)
      expect(await versionsOf(device, 'shared.md')).toBe(1)
    }
    const versions = await kept(...trio.devices)
    for (const input of [{ 0: 'first by a' }, { 4: 'middle by b!' }, { 8: 'the end by c' }])
      expect(versions).toContain(text(input))
  })

  test('two of three at one line: all three are kept', async () => {
    await using trio = await createTrio()
    const [a, b, c] = trio.devices
    await writeFile(join(a.root, 'shared.md'), text())
    await converged(trio.devices)
    await trio.cut()
    await edit(a, 'shared.md', text({ 0: 'first by a' }))
    await edit(b, 'shared.md', text({ 4: 'middle by b!' }))
    await edit(c, 'shared.md', text({ 4: 'middle by c, too' }))
    await trio.heal()
    const all = await converged(trio.devices)
    const contents = new Set<string>()
    for (const path of Object.keys(all)) contents.add(await content(a, path))
    const everything = [...contents].join('')
    for (const line of ['first by a', 'middle by b!', 'middle by c, too']) expect(everything).toContain(line)
  })

  test('a device without the base ends with the same bytes; one that has it merges', async () => {
    await using trio = await createTrio()
    const [a, b, c] = trio.devices
    await writeFile(join(a.root, 'notes.txt'), text())
    await converged(trio.devices)
    await trio.cut()
    await editWithoutBase([a, b])
    expect(await readdir(join(c.root, '.skein/bases'))).not.toEqual([])
    await trio.heal()
    expect(Object.keys(await converged(trio.devices))).toEqual(['notes.txt'])
    for (const device of trio.devices)
      expect(await content(device, 'notes.txt')).toBe(text({ 1: 'edited on a', 6: 'edited on b' }))
  })

  test('nobody has the base: conflict copies, the same everywhere', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await editApartWithoutBase(pair)
    const all = await converged([a, b])
    expect(new Set(Object.values(all))).toEqual(
      new Set([text({ 1: 'edited on a' }), text({ 6: 'edited on b' })]),
    )
    expect(await picture(a.root)).toEqual(all)
  })

  test('nobody has the base, until a file with that content comes: merged by itself, no device has to come', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await editApartWithoutBase(pair)
    expect(Object.keys(await converged([a, b]))).toHaveLength(2)
    const hash = hashOf(new TextEncoder().encode(text()))
    expect(a.folder.mergeWaits()).toMatchObject([{ path: 'notes.txt', waitsFor: hash }])
    await writeFile(join(b.root, 'from a backup.txt'), text())
    await until(
      () => readdir(a.root).then((names) => !names.some((name) => name.includes('conflict'))),
      [a, b],
    )
    expect(Object.keys(await converged([a, b]))).toEqual(['from a backup.txt', 'notes.txt'])
    expect(await content(a, 'notes.txt')).toBe(text({ 1: 'edited on a', 6: 'edited on b' }))
    await until(() => a.folder.mergeWaits().length === 0, [a, b])
  })

  test('merged by two devices at once while a third stays away: it catches up, nothing goes to and fro', async () => {
    await using trio = await createTrio()
    const [a, b, c] = trio.devices
    await writeFile(join(a.root, 'shared.md'), text())
    await converged(trio.devices)
    await trio.cut()
    await c.stop()
    await edit(a, 'shared.md', text({ 0: 'first by a' }))
    await edit(b, 'shared.md', text({ 4: 'middle by b!' }))
    await writeFile(join(c.root, 'shared.md'), text({ 8: 'the end by c' }))
    await trio.heal()
    await converged([a, b])
    const rounds = [a, b].map((device) => device.folder.status().rounds)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect([a, b].map((device) => device.folder.status().rounds)).toEqual(rounds)
    await c.restart()
    await until(async () => (await content(a, 'shared.md')).includes('by c'), trio.devices)
    expect(Object.keys(await converged(trio.devices))).toEqual(['shared.md'])
    const merged = text({ 0: 'first by a', 4: 'middle by b!', 8: 'the end by c' })
    for (const device of trio.devices) expect(await content(device, 'shared.md')).toBe(merged)
  })
})
