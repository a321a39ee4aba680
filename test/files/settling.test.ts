import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SkeinError } from '../../src/base/errors.ts'
import { createSystemClock } from '../../src/base/system-clock.ts'
import type { BlobHash } from '../../src/blobs/hash.ts'
import { hashOf } from '../../src/blobs/hash.ts'
import type { Filesystem } from '../../src/files/filesystem.ts'
import type { FolderTree, RowChange, SyncedRow } from '../../src/files/folder-tree.ts'
import { createSettling, type Settling } from '../../src/files/settling.ts'
import { converged, createPair, type Device, until } from '../support/two-folders.ts'

const hash = hashOf(new Uint8Array([1]))
const row = (name: string, nodeId = name): SyncedRow => ({
  nodeId,
  parentId: 'p',
  name,
  diskName: name,
  version: '',
  kind: 'file',
  hash,
  size: 1,
  executable: false,
  target: '',
  dev: 1n,
  ino: 1n,
  mtimeNs: 1n,
  ctimeNs: 1n,
  isRacy: false,
  isLeftover: false,
})
const put = (name: string, nodeId?: string): RowChange => ({ kind: 'put', row: row(name, nodeId) })
const forget = (name: string, nodeId = name): RowChange => ({ kind: 'forget', parentId: 'p', name, nodeId })
const touched = { files: ['a'], directories: [''] }
const names = (rows: readonly SyncedRow[]): readonly string[] => rows.map(({ name }) => name).toSorted()

interface Bench {
  readonly settling: Settling
  readonly stored: Map<string, SyncedRow>
  readonly log: string[]
  /** Lets the sync that is under way end. */
  readonly synced: (error?: SkeinError) => void
}

function createBench(): Bench {
  const stored = new Map<string, SyncedRow>([['old', row('old')]])
  const log: string[] = []
  let gate = Promise.withResolvers<void>()
  // because: what is left out here is never asked for
  const tree = {
    rows: () => Promise.resolve([...stored.values()]),
    row: (_parent: string, name: string) => Promise.resolve(stored.get(name)),
    rowsAt: (places: readonly { name: string }[]) =>
      Promise.resolve(places.map(({ name }) => stored.get(name))),
    rowsWithHash: (wanted: BlobHash) =>
      Promise.resolve([...stored.values()].filter((one) => one.hash === wanted)),
    commit: () => Promise.resolve(void log.push('commit')),
  } as unknown as FolderTree
  const filesystem: Pick<Filesystem, 'syncAll'> = {
    async syncAll(files) {
      log.push(`sync ${files.join()}`)
      await gate.promise
    },
  }
  const settling = createSettling(createSystemClock(), tree, filesystem, (hasFailed) =>
    log.push(hasFailed ? 'failed' : 'end'),
  )
  settling.begin((rows) => {
    for (const change of rows) {
      if (change.kind === 'put') stored.set(change.row.name, change.row)
      else stored.delete(change.name)
      log.push(`${change.kind} ${change.kind === 'put' ? change.row.name : change.name}`)
    }
    return Promise.resolve()
  })
  return {
    settling,
    stored,
    log,
    synced(error) {
      const before = gate
      gate = Promise.withResolvers()
      if (error === undefined) before.resolve()
      else before.reject(error)
    },
  }
}

describe('rows that wait for the disk', () => {
  test('are seen at once, and stored only after the sync, in order', async () => {
    const { settling, stored, log, synced } = createBench()
    await settling.add([put('new'), forget('old')], touched)
    expect(names(await settling.tree.rows('p'))).toEqual(['new'])
    expect((await settling.tree.row('p', 'new'))?.nodeId).toBe('new')
    expect(await settling.tree.row('p', 'old')).toBeUndefined()
    expect(names(await settling.tree.rowsWithHash(hash))).toEqual(['new'])
    expect([...stored.keys()]).toEqual(['old'])
    synced()
    await settling.drain()
    expect(log).toEqual(['sync a', 'put new', 'forget old', 'end'])
    expect(names(await settling.tree.rows('p'))).toEqual(['new'])
    expect(settling.pending).toBe(0)
  })

  test('share a sync with what came meanwhile; a later batch overrules an earlier one', async () => {
    const { settling, log, synced } = createBench()
    await settling.add([put('one')], touched)
    await settling.add([put('two')], { files: ['b'], directories: [] })
    await settling.add([forget('two'), put('three')], { files: ['c'], directories: [] })
    expect(names(await settling.tree.rows('p'))).toEqual(['old', 'one', 'three'])
    synced()
    await until(() => log.includes('sync b,c'), [])
    synced()
    await settling.drain()
    expect(log).toEqual(['sync a', 'put one', 'sync b,c', 'put two', 'forget two', 'put three', 'end'])
  })

  test('many at once wait a little for more, unless somebody waits for them', async () => {
    const { settling, log, synced } = createBench()
    const many = Array.from({ length: 100 }, (_, index) => put(`many ${index}`))
    await settling.add(many, touched)
    await settling.add([put('one more')], { files: ['b'], directories: [] })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(log).toEqual([])
    const drained = settling.drain()
    await until(() => log.length > 0, [])
    expect(log).toEqual(['sync a,b'])
    synced()
    await drained
    expect(settling.pending).toBe(0)
  })

  test('a forgotten row of another node hides nothing', async () => {
    const { settling, synced } = createBench()
    await settling.add([forget('old', 'somebody else')], touched)
    expect(names(await settling.tree.rows('p'))).toEqual(['old'])
    synced()
    await settling.drain()
  })

  test('what is committed otherwise comes after them', async () => {
    const { settling, log, synced } = createBench()
    await settling.add([put('new')], touched)
    const commit = settling.tree.commit([], [])
    synced()
    await commit
    expect(log.indexOf('commit')).toBeGreaterThan(log.indexOf('put new'))
  })

  test('are lost when the disk fails, which is told to who comes next', async () => {
    const { settling, stored, log, synced } = createBench()
    await settling.add([put('new')], touched)
    synced(new SkeinError('disk.full', 'no room'))
    await expect(settling.drain()).rejects.toMatchObject({ code: 'disk.full' })
    expect(names(await settling.tree.rows('p'))).toEqual(['old'])
    expect(log).toEqual(['sync a', 'failed'])
    expect([...stored.keys()]).toEqual(['old'])
    await settling.drain()
  })
})

describe('a folder whose disk takes its time to sync', () => {
  const holdSyncs = () => {
    const state = { isHeld: false, gate: Promise.withResolvers<void>() }
    return {
      state,
      wrap: (plain: Filesystem): Filesystem => ({
        ...plain,
        syncAll: async (files, directories) => {
          // Only what was placed: what replaces something is synced before, and is waited for
          if (state.isHeld && directories.length > 0) await state.gate.promise
          await plain.syncAll(files, directories)
        },
      }),
      [Symbol.dispose]: () => state.gate.resolve(),
    }
  }
  const content = (device: Device, name: string): Promise<string> =>
    readFile(join(device.root, name), 'utf8').catch(() => '')

  test('shows what came without waiting for it, and is in sync only once it is on the disk', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    using held = holdSyncs()
    await b.restart(held.wrap)
    await until(() => b.folder.status().state === 'in-sync', [b])
    held.state.isHeld = true
    for (const name of ['one', 'two', 'three']) {
      await writeFile(join(a.root, name), name)
      await until(async () => (await content(b, name)) === name, [a, b])
    }
    expect(b.folder.status().state).not.toBe('in-sync')
    expect((await b.space.index.getMany(['one', 'two', 'three'])).every((found) => found === undefined)).toBe(
      true,
    )
    held.state.gate.resolve()
    expect(await converged([a, b])).toEqual({ one: 'one', two: 'two', three: 'three' })
  })

  test('killed before that: its files are recognised by content, nothing is deleted or fetched twice', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    const failing: { error: SkeinError | undefined } = { error: undefined }
    await b.restart((plain) => ({
      ...plain,
      syncAll: async (files, directories) => {
        // Staged files are synced by themselves, before they get their names
        if (failing.error !== undefined && directories.length > 0) throw failing.error
        await plain.syncAll(files, directories)
      },
    }))
    await until(() => b.folder.status().state === 'in-sync', [b])
    failing.error = new SkeinError('folder.missing', 'killed')
    await writeFile(join(a.root, 'came'), 'came before the kill')
    await until(async () => (await content(b, 'came')) === 'came before the kill', [a, b])
    await b.stop()
    await b.restart()
    expect(await converged([a, b])).toEqual({ came: 'came before the kill' })
    expect(await b.folder.versions.list()).toEqual([])
  })
})

describe('contents that are pushed', () => {
  test('are placed without being asked for; what was pushed to nobody is asked for', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await converged([a, b])
    let asked = 0
    const fetchSmall = b.exchange.fetchSmall.bind(b.exchange)
    Object.assign(b.exchange, {
      fetchSmall: (wanted: Parameters<typeof fetchSmall>[0]) => {
        asked++
        return fetchSmall(wanted)
      },
    })
    await writeFile(join(a.root, 'pushed'), 'goes ahead of its record')
    expect(await converged([a, b])).toEqual({ pushed: 'goes ahead of its record' })
    expect(asked).toBe(0)
    expect(b.exchange.push.heldBytes).toBe(0)
    await b.stop()
    await writeFile(join(a.root, 'asked for'), 'written while the other one was off')
    await until(async () => (await a.space.lookup('asked for')) !== undefined, [a])
    await b.restart()
    await converged([a, b])
    expect(asked).toBe(1)
  })

  test('a copy of what is here already is not pushed', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'one'), 'the same bytes')
    await converged([a, b])
    await writeFile(join(a.root, 'two'), 'the same bytes')
    expect(await converged([a, b])).toEqual({ one: 'the same bytes', two: 'the same bytes' })
    expect(b.exchange.push.heldBytes).toBe(0)
  })
})
