import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSystemEnv, type Env } from '../../src/base/env.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import type { Filesystem, WatchEvent } from '../../src/files/filesystem.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createWatcher, type WatcherOptions } from '../../src/files/watch.ts'
import { createPair, picture, until } from '../support/two-folders.ts'

function watching(
  filesystem: Filesystem,
  env: Env,
  options: WatcherOptions = {},
  own: readonly string[] = [],
) {
  const dirty: string[] = []
  const note = { suspects: 0 }
  const watcher = createWatcher(
    env,
    filesystem,
    {
      onDirty: (path) => dirty.push(path),
      onSuspectAll: () => note.suspects++,
      isLikelyOwn: (_path, name) => own.includes(name),
    },
    options,
  )
  return { watcher, dirty, note }
}

/** A disk whose watch events the test makes itself. */
function steered(): {
  filesystem: Filesystem
  emit(path: string, event?: WatchEvent): void
  refuse: boolean
  opened: string[]
} {
  const listeners = new Map<string, (event: WatchEvent) => void>()
  const control = {
    refuse: false,
    opened: [] as string[],
    filesystem: {
      ...createMemoryFilesystem(),
      watch(path: string, listener: (event: WatchEvent) => void): Disposable {
        if (control.refuse) throw new SkeinError('limit.exceeded', 'no watches left')
        control.opened.push(path)
        listeners.set(path, listener)
        return { [Symbol.dispose]: () => void listeners.delete(path) }
      },
    },
    emit: (path: string, event: WatchEvent = { kind: 'changed', name: 'x' }) => listeners.get(path)?.(event),
  }
  return control
}

describe('watcher', () => {
  const one = { dev: 1n, ino: 1n }
  const two = { dev: 1n, ino: 2n }

  test('hints at the directory of a change, and at the parent of a directory that ended', () => {
    const clock = createVirtualClock()
    const disk = steered()
    const { watcher, dirty } = watching(disk.filesystem, createSystemEnv({ clock }))
    watcher.add('a', one)
    watcher.add('a/b', two)
    disk.emit('a/b')
    disk.emit('a/b', { kind: 'ended' })
    expect(dirty).toEqual(['a/b', 'a'])
    watcher[Symbol.dispose]()
    disk.emit('a/b')
    expect(dirty.length).toBe(2)
  })

  test('watches again when another inode stands at the path, not otherwise', () => {
    const disk = steered()
    const { watcher } = watching(disk.filesystem, createSystemEnv({ clock: createVirtualClock() }))
    watcher.add('a', one)
    watcher.add('a', one)
    watcher.add('a', two)
    expect(disk.opened).toEqual(['a', 'a'])
    watcher.remove('a')
    expect(watcher.watched).toBe(0)
    watcher[Symbol.dispose]()
  })

  test('after the loop was blocked what this device placed itself raises no suspicion, until it is very much', () => {
    const virtual = createVirtualClock()
    let lateMs = 0
    const clock = { ...virtual, monotonicMs: () => virtual.monotonicMs() + lateMs }
    const disk = steered()
    const options = { burstEvents: 20, blockedBurstEvents: 5 }
    const { watcher, note } = watching(disk.filesystem, createSystemEnv({ clock }), options, ['mine'])
    watcher.add('a', one)
    lateMs = 500
    virtual.advance(250)
    for (let index = 0; index < 19; index++) disk.emit('a', { kind: 'changed', name: 'mine' })
    expect(note.suspects).toBe(0)
    disk.emit('a', { kind: 'changed', name: 'mine' })
    expect(note.suspects).toBe(1)
    watcher[Symbol.dispose]()
  })

  test('after the loop was blocked few events of others are enough', () => {
    const virtual = createVirtualClock()
    let lateMs = 0
    const clock = { ...virtual, monotonicMs: () => virtual.monotonicMs() + lateMs }
    const disk = steered()
    const { watcher, note } = watching(disk.filesystem, createSystemEnv({ clock }), { blockedBurstEvents: 5 })
    watcher.add('a', one)
    lateMs = 500
    virtual.advance(250)
    for (let index = 0; index < 4; index++) disk.emit('a')
    expect(note.suspects).toBe(0)
    disk.emit('a')
    expect(note.suspects).toBe(1)
    watcher[Symbol.dispose]()
  })

  test('a burst makes everything suspect once; a smaller one does after the loop was blocked', () => {
    const clock = createVirtualClock()
    const disk = steered()
    const { watcher, note } = watching(disk.filesystem, createSystemEnv({ clock }))
    watcher.add('a', one)
    for (let count = 0; count < 8_191; count++) disk.emit('a')
    expect(note.suspects).toBe(0)
    for (let count = 0; count < 100; count++) disk.emit('a')
    expect(note.suspects).toBe(1)
    clock.advance(5_000)
    for (let count = 0; count < 2_000; count++) disk.emit('a')
    expect(note.suspects).toBe(1)
    watcher[Symbol.dispose]()
  })

  test('without watches left, directories are polled, and watched again as soon as that works', () => {
    const clock = createVirtualClock()
    const disk = steered()
    disk.refuse = true
    const { watcher, dirty } = watching(disk.filesystem, createSystemEnv({ clock }), { pollMs: 1_000 })
    watcher.add('a', one)
    expect([watcher.polled, watcher.watched]).toEqual([1, 0])
    clock.advance(1_100)
    expect(dirty).toContain('a')
    disk.refuse = false
    watcher.add('a', one)
    expect([watcher.polled, watcher.watched]).toEqual([0, 1])
    watcher[Symbol.dispose]()
  })
})

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a real disk in a storm', () => {
  test('40,000 creations while the event loop is blocked: none is missed', async () => {
    const root = mkdtempSync(join(tmpdir(), 'skein-storm-'))
    const { createNodeFilesystem } = await import('../../src/files/node-filesystem.ts')
    const disk = createNodeFilesystem(root)
    const { watcher, dirty, note } = watching(disk, createSystemEnv())
    for (let directory = 0; directory < 4; directory++) {
      mkdirSync(join(root, `d${directory}`))
      const stat = await disk.lstat(`d${directory}`)
      if (stat !== undefined) watcher.add(`d${directory}`, stat)
    }
    await wait(300)
    for (let index = 0; index < 40_000; index++) writeFileSync(join(root, `d${index % 4}/f${index}`), '')
    await wait(300)
    // Every directory was hinted at after its last file, or all of them are suspect
    expect(note.suspects > 0 || new Set(dirty).size === 4).toBe(true)
    expect(note.suspects).toBeGreaterThan(0)
    watcher[Symbol.dispose]()
    rmSync(root, { recursive: true })
  }, 60_000)

  test('trees moved, filled and moved again while the loop is blocked end up equal on both sides', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    for (let round = 0; round < 3; round++) {
      for (let directory = 0; directory < 10; directory++) {
        const path = join(a.root, `r${round}-d${directory}`)
        mkdirSync(join(path, 'in/ner'), { recursive: true })
        for (let index = 0; index < 20; index++)
          writeFileSync(join(path, `in/ner/f${index}`), `${round} ${directory} ${index}`)
        if (directory % 2 === 0) renameSync(path, `${path}-moved`)
        if (directory % 2 === 0)
          writeFileSync(join(`${path}-moved`, 'in/ner/late'), `late ${round} ${directory}`)
      }
      // As a checkout does: files change and go while others come
      for (let index = 0; index < 10; index++)
        writeFileSync(join(a.root, `r${round}-d1/in/ner/f${index}`), `changed ${index}`)
      rmSync(join(a.root, `r${round}-d3/in`), { recursive: true })
      await wait(30)
    }
    const expected = await picture(a.root)
    await until(
      async () => JSON.stringify(await picture(b.root)) === JSON.stringify(expected),
      [a, b],
      15_000,
    )
    expect(Object.keys(expected).filter((path) => path.endsWith('late')).length).toBe(15)
  }, 40_000)
})
