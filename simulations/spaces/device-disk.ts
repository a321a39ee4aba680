/**
 * The disk as one run of a device sees it, around a disk in memory: calls that take their time, a crash at any change
 * (with half of a write made, or none), errors and a full disk for a while, lost watch events, an unmounted root. After
 * the crash nothing answers any more: what is left of the old process can do no harm.
 */
import type { Clock } from '../../src/base/clock.ts'
import { sleep } from '../../src/base/clock.ts'
import { SkeinError } from '../../src/base/errors.ts'
import type { Random } from '../../src/base/random.ts'
import type { Database } from '../../src/crdt/database.ts'
import type { FileStat, Filesystem, OpenFile } from '../../src/files/filesystem.ts'

/** What is wrong with the disk of a device right now; outlives its runs. */
export interface DiskHealth {
  /** Chance that a call takes a while, and how long at most. */
  readonly slowRate: number
  readonly slowMs: number
  /** Chance of a failing call, and how. */
  errorRate: number
  errorCode: 'disk.failed' | 'disk.full'
  isDeaf: boolean
  isUnmounted: boolean
  /** Changes until the crash; Infinity for none. */
  changesLeft: number
  /** Changes ever made. */
  changes: number
}

export interface DeviceDisk {
  readonly filesystem: Filesystem
  database(inner: Database): Database
  /** Nothing answers from now on. */
  die(): void
}

export interface DeviceDiskParts {
  readonly inner: Filesystem
  readonly health: DiskHealth
  readonly clock: Clock
  readonly random: Random
  /** The change with which the crash comes. */
  readonly onCrash: () => void
}

const never = (): Promise<never> => new Promise(() => undefined)

export function createDeviceDisk(parts: DeviceDiskParts): DeviceDisk {
  return new FaultyDisk(parts)
}

class FaultyDisk implements DeviceDisk {
  readonly filesystem: Filesystem
  private readonly parts: DeviceDiskParts
  private isDead = false

  constructor(parts: DeviceDiskParts) {
    this.parts = parts
    this.filesystem = this.wrap(parts.inner)
  }

  die(): void {
    this.isDead = true
  }

  database(inner: Database): Database {
    const alive = <T>(act: () => Promise<T>): Promise<T> => (this.isDead ? never() : act())
    const isDead = (): boolean => this.isDead
    return {
      hasLostRows: inner.hasLostRows,
      getMany: (keys) => alive(() => inner.getMany(keys)),
      // A batch is there whole or not at all
      batch: async (changes, options) => {
        const lot = this.parts.random.float()
        if (this.isLastChange() && lot < 0.5) await inner.batch(changes, options)
        return this.change(() => inner.batch(changes, options))
      },
      async *scan(range) {
        for await (const row of inner.scan(range)) {
          if (isDead()) await never()
          yield row
        }
      },
      async *keys(range) {
        for await (const key of inner.keys(range)) {
          if (isDead()) await never()
          yield key
        }
      },
      close: () => alive(() => inner.close()),
    }
  }

  private isLastChange(): boolean {
    return !this.isDead && this.parts.health.changesLeft <= 0
  }

  private async slowly<T>(act: () => Promise<T>): Promise<T> {
    const { health, random, clock } = this.parts
    if (health.slowRate > 0 && random.float() < health.slowRate)
      await sleep(clock, random.float() * health.slowMs)
    if (this.isDead) return await never()
    const result = await act()
    // because: it may have died meanwhile, in another call
    if (this.isDead as boolean) return await never()
    return result
  }

  private fails(): boolean {
    const { health, random } = this.parts
    return health.errorRate > 0 && random.float() < health.errorRate
  }

  private read<T>(act: () => Promise<T>): Promise<T> {
    return this.slowly(() => {
      if (this.parts.health.errorCode === 'disk.failed' && this.fails()) return Promise.reject(this.error())
      return act()
    })
  }

  private change<T>(act: () => Promise<T>): Promise<T> {
    return this.slowly(() => {
      const { health } = this.parts
      if (health.changesLeft-- <= 0) {
        health.changesLeft = Number.POSITIVE_INFINITY
        this.isDead = true
        this.parts.onCrash()
        return never()
      }
      health.changes++
      return act()
    })
  }

  private fileChange<T>(act: () => Promise<T>): Promise<T> {
    return this.change(() => {
      if (this.parts.health.isUnmounted)
        return Promise.reject(new SkeinError('disk.failed', 'the simulated disk is not mounted'))
      return this.fails() ? Promise.reject(this.error()) : act()
    })
  }

  private error(): SkeinError {
    return new SkeinError(this.parts.health.errorCode, 'a simulated disk error')
  }

  /** A crash in the middle of a write leaves a part of it. */
  private async tear(bytes: Uint8Array, write: (part: Uint8Array) => Promise<void>): Promise<void> {
    const lot = this.parts.random.float()
    if (this.isLastChange() && lot < 0.7) await write(bytes.subarray(0, Math.floor(bytes.byteLength * lot)))
  }

  private openFile(file: OpenFile): OpenFile {
    return {
      stat: () => this.read(() => file.stat()),
      read: (into, position) => this.read(() => file.read(into, position)),
      write: async (bytes, position) => {
        await this.tear(bytes, (part) => file.write(part, position))
        await this.fileChange(() => file.write(bytes, position))
      },
      truncate: (size) => this.fileChange(() => file.truncate(size)),
      setModified: (mtimeNs) => this.fileChange(() => file.setModified(mtimeNs)),
      setMode: (mode) => this.fileChange(() => file.setMode(mode)),
      sync: () => this.fileChange(() => file.sync()),
      close: () => file.close(),
      [Symbol.asyncDispose]: () => file.close(),
    }
  }

  private wrap(inner: Filesystem): Filesystem {
    const { health } = this.parts
    // An unmounted disk shows the empty directory that it was mounted on
    const mounted = <T>(act: () => Promise<T>, path: string, empty: T | undefined): Promise<T> => {
      if (!health.isUnmounted) return act()
      if (path === '' && empty !== undefined) return Promise.resolve(empty)
      return Promise.reject(new SkeinError('not.found', 'not mounted'))
    }
    const missing = (act: () => Promise<FileStat | undefined>, path: string): Promise<FileStat | undefined> =>
      health.isUnmounted && path !== '' ? Promise.resolve(undefined) : act()
    return {
      watchesTrees: inner.watchesTrees,
      foldsNames: inner.foldsNames,
      holdsModes: inner.holdsModes,
      lstat: (path) => this.read(() => missing(() => inner.lstat(path), path)),
      readDirectory: (path) => this.read(() => mounted(() => inner.readDirectory(path), path, [])),
      readLink: (path) => this.read(() => mounted(() => inner.readLink(path), path, undefined)),
      readSmall: (path, maxBytes) =>
        this.read(() => mounted(() => inner.readSmall(path, maxBytes), path, undefined)),
      open: async (path, mode) =>
        this.openFile(
          await (mode === 'create'
            ? this.fileChange(() => inner.open(path, mode))
            : this.read(() => mounted(() => inner.open(path, mode), path, undefined))),
        ),
      createSmall: async (path, bytes, file) => {
        await this.tear(bytes, async (part) => void (await inner.createSmall(path, part, file)))
        return await this.fileChange(() => inner.createSmall(path, bytes, file))
      },
      readAttributes: (path) => this.read(() => mounted(() => inner.readAttributes(path), path, undefined)),
      writeAttributes: (path, attributes) => this.fileChange(() => inner.writeAttributes(path, attributes)),
      syncAll: (files, directories) => this.fileChange(() => inner.syncAll(files, directories)),
      makeDirectory: (path) => this.fileChange(() => inner.makeDirectory(path)),
      makeSymlink: (target, path) => this.fileChange(() => inner.makeSymlink(target, path)),
      link: (from, to) => this.fileChange(() => inner.link(from, to)),
      renameIf: (from, to, expected) => this.fileChange(() => inner.renameIf(from, to, expected)),
      unlink: (path) => this.fileChange(() => inner.unlink(path)),
      removeDirectory: (path) => this.fileChange(() => inner.removeDirectory(path)),
      setMode: (path, mode) => this.fileChange(() => inner.setMode(path, mode)),
      syncDirectory: (path) => this.fileChange(() => inner.syncDirectory(path)),
      watch: (path, listener) =>
        inner.watch(path, (event) => {
          if (!this.isDead && !health.isDeaf) listener(event)
        }),
    }
  }
}
