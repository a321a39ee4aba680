/** Whatever a person removes at whatever moment: no record stays that names a content which no device has any more. */
import { mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hasCode, SkeinError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { downloadSmall } from '../../src/blobs/download.ts'
import type { AskSource } from '../../src/blobs/wanted.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import { createDirectories } from '../../src/files/directories.ts'
import { createInbox } from '../../src/files/folder-inbox.ts'
import { converged, createPair, type Device, type Pair, picture, until } from '../support/two-folders.ts'

const inSync = (...devices: readonly Device[]): Promise<void> =>
  until(() => devices.every((device) => device.folder.status().state === 'in-sync'), devices)

/** What `act` does on the disk of `a` is looked at only after `a` has all news of `b`. */
async function unseen({ a, b, link }: Pair, act: () => Promise<void>): Promise<void> {
  await inSync(a, b)
  a.folder.pause()
  await act()
  await link.heal()
  a.folder.resume()
}

/** Apart, `x` becomes a file of `a` and a directory of `b`, both in the documents. */
async function makeFileAgainstDirectory({ a, b, link }: Pair): Promise<void> {
  await link.cut()
  await writeFile(join(a.root, 'x'), 'only here')
  await mkdir(join(b.root, 'x'))
  await until(async () => (await a.space.lookup('x')) !== undefined, [a])
  await until(async () => (await b.space.lookup('x')) !== undefined, [b])
}

describe('content that leaves the disk of its only holder', () => {
  test('a file deleted in the moment its name went to a directory of another device is deleted everywhere', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await makeFileAgainstDirectory(pair)
    await unseen(pair, () => unlink(join(a.root, 'x')))
    expect(await converged([a, b])).toEqual({ 'x/': 'dir' })
  })

  test('a file that gave way to a directory here, while another device made that directory too, is deleted', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await makeFileAgainstDirectory(pair)
    await unseen(pair, async () => {
      await unlink(join(a.root, 'x'))
      await mkdir(join(a.root, 'x'))
    })
    expect(await converged([a, b])).toEqual({ 'x/': 'dir' })
  })

  test('a directory that gave way to a file here, while another device made that file too, takes its files along', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await link.cut()
    await mkdir(join(a.root, 'x'))
    await writeFile(join(a.root, 'x/inner'), 'only here')
    await until(async () => (await a.space.lookup('x/inner')) !== undefined, [a])
    await unseen(pair, async () => {
      await unlink(join(a.root, 'x/inner'))
      await rename(join(a.root, 'x'), join(a.root, 'y'))
      await writeFile(join(b.root, 'x'), 'a file')
      await until(async () => (await b.space.lookup('x')) !== undefined, [b])
      await writeFile(join(a.root, 'x'), 'a file')
    })
    expect(await converged([a, b])).toEqual({ x: 'a file', 'y/': 'dir' })
  })

  test('what another device moved before it had the bytes stays deleted where it was deleted; the older bytes are kept', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    await writeFile(join(a.root, 'x'), 'first')
    await converged([a, b])
    b.folder.pause()
    // Too long to go ahead of its record
    const sizeBytes = limits.pushedContentBytes + 1
    await writeFile(join(a.root, 'x'), 'the second, nowhere else'.padEnd(sizeBytes))
    await until(async () => (await b.space.lookup('x'))?.data.sizeBytes === sizeBytes, [a, b])
    await link.cut()
    await unlink(join(a.root, 'x'))
    await until(async () => (await a.space.lookup('x')) === undefined, [a])
    await rename(join(b.root, 'x'), join(b.root, 'y'))
    b.folder.resume()
    await until(async () => (await b.space.lookup('y')) !== undefined, [b])
    await link.heal()
    expect(await converged([a, b])).toEqual({})
    const kept = await b.folder.versions.list()
    const contents = await Promise.all(kept.map((version) => readFile(join(b.root, version.kept), 'utf8')))
    expect(contents).toEqual(['first'])
  })

  test('without any device in reach nothing is given up', async () => {
    await using pair = await createPair()
    const { a, b, link } = pair
    // No text: of that small devices keep a copy for merges
    await writeFile(join(a.root, 'x'), Uint8Array.of(0, 1, 2))
    await mkdir(join(a.root, 'd'))
    await converged([a, b])
    a.folder.pause()
    await rename(join(b.root, 'x'), join(b.root, 'd/y'))
    await until(async () => (await a.space.lookup('d/y')) !== undefined, [a, b])
    await link.cut()
    await unlink(join(a.root, 'x'))
    a.folder.resume()
    await until(() => a.folder.status().problems.some(({ path }) => path === 'd/y'), [a])
    expect(await a.space.lookup('d/y')).toBeDefined()
    expect(await picture(a.root)).toEqual({ 'd/': 'dir' })
    await link.heal()
    expect(await converged([a, b])).toEqual({ 'd/': 'dir', 'd/y': '\0\x01\x02' })
  })

  test.each(['a file', 'a directory'])('%s moves into a new directory of its own name', async (kind) => {
    await using pair = await createPair()
    const { a, b, link } = pair
    if (kind === 'a directory') await mkdir(join(a.root, 'x'))
    await writeFile(join(a.root, kind === 'a directory' ? 'x/inner' : 'x'), 'content')
    await converged([a, b])
    await link.cut()
    await rename(join(a.root, 'x'), join(a.root, 'y'))
    await mkdir(join(a.root, 'x'))
    await rename(join(a.root, 'y'), join(a.root, 'x/old'))
    await until(async () => (await a.space.lookup('x/old')) !== undefined, [a])
    await inSync(a)
    await link.heal()
    expect(await converged([a, b])).toEqual(
      kind === 'a directory'
        ? { 'x/': 'dir', 'x/old/': 'dir', 'x/old/inner': 'content' }
        : { 'x/': 'dir', 'x/old': 'content' },
    )
  })

  test('a directory that was deleted and made again at once is empty everywhere', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'x/inner'), { recursive: true })
    await writeFile(join(a.root, 'x/inner/file'), 'content')
    await converged([a, b])
    await rm(join(a.root, 'x'), { recursive: true })
    // Its end is seen, and nothing is decided yet
    await until(() => a.folder.status().state === 'working', [a])
    await mkdir(join(a.root, 'x'))
    expect(await converged([a, b])).toEqual({ 'x/': 'dir' })
    await writeFile(join(a.root, 'x/new'), 'new')
    expect(await converged([a, b])).toEqual({ 'x/': 'dir', 'x/new': 'new' })
  })

  test('a file deleted here that another device moved into another directory is fetched again there', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'from'))
    await mkdir(join(a.root, 'to'))
    await writeFile(join(a.root, 'from/x'), 'content')
    await converged([a, b])
    a.folder.pause()
    await unlink(join(a.root, 'from/x'))
    await rename(join(b.root, 'from/x'), join(b.root, 'to/y'))
    await until(async () => (await a.space.lookup('to/y')) !== undefined, [a, b])
    a.folder.resume()
    expect(await converged([a, b])).toEqual({ 'from/': 'dir', 'to/': 'dir', 'to/y': 'content' })
  })
})

test('a content is nowhere only when every device was asked and said so', async () => {
  const wanted = { hash: hashOf(Uint8Array.of(1)), sizeBytes: 1 }
  const failing = (code: 'blob.missing' | 'channel.closed') => (): Promise<void> =>
    Promise.reject(new SkeinError(code, 'no'))
  const [missing, closed] = [failing('blob.missing'), failing('channel.closed')]
  const isNowhere = async (sources: readonly AskSource[]): Promise<unknown> => {
    const error: unknown = await downloadSmall(wanted, sources).catch((reason: unknown) => reason)
    return hasCode(error, 'blob.missing') && error.details['isNowhere'] === true
  }
  expect(await isNowhere([missing])).toBe(true)
  expect(await isNowhere([missing, missing])).toBe(true)
  expect(await isNowhere([])).toBe(false)
  expect(await isNowhere([closed])).toBe(false)
  expect(await isNowhere([closed, missing])).toBe(false)
  expect(await isNowhere([missing, closed])).toBe(false)
})

test('a change in a directory that gets its rows in the round under way is looked at in the next one', () => {
  const directories = createDirectories('root')
  const inbox = createInbox(directories)
  inbox.addPath('new')
  expect([...inbox.take().dirty]).toEqual(['root'])
  inbox.addPath('new')
  directories.put({ nodeId: 'id', parentId: 'root', name: 'new', diskName: 'new', isLeftover: false })
  expect([...inbox.take().dirty].sort()).toEqual(['id', 'root'])
  expect(inbox.hasWork).toBe(false)
})
