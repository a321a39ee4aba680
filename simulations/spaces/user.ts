/**
 * What a person does to the files of one device: an act names its places by lots, so that it means something on any tree
 * and a shorter history stays a history. Tells which contents the person wrote and which she destroyed with her own hand.
 */
import { hasCode } from '../../src/base/errors.ts'
import type { Random } from '../../src/base/random.ts'
import { randomBelow } from '../../src/base/random.ts'
import { type Filesystem, joinPath, nameOf, parentOf } from '../../src/files/filesystem.ts'
import { isInternal } from '../../src/files/names.ts'
import { contentKeyOf, listTree, type TreeItem } from './picture.ts'

export const actKinds = [
  'create',
  'edit',
  'save',
  'line',
  'delete',
  'rename',
  'move-directory',
  'make-directory',
  'remove-directory',
  'copy',
  'mode',
  'symlink',
  'retype',
  'touch',
  'replace',
  'respell',
  'swap',
  'same',
] as const

export type ActKind = (typeof actKinds)[number]

export interface UserAct {
  readonly kind: ActKind
  /** Unique in the history: part of what it writes. */
  readonly label: string
  /** In [0, 1): which file, directory and name it is about. */
  readonly lots: readonly [number, number, number]
}

/** What an act did to contents, by key (picture.ts). */
export interface ActEffect {
  readonly written: readonly string[]
  readonly destroyed: readonly string[]
  /** Places that it changed. */
  readonly touched: readonly string[]
  /** For the history, as a person reads it; undefined when there was nothing to act on. */
  readonly told: string | undefined
}

const encoder = new TextEncoder()
const names = ['a', 'b', 'c', 'd', 'e'] as const
const spellings = ['a', 'A', 'b', 'B', 'e\u0301', '\u00e9', 'd'] as const
const endings = ['.txt', '.txt', '', '.bin', '.json'] as const
/** Longer than what travels in one piece. */
const largeBytes = 300_000

export function drawAct(random: Random, label: string, kinds: readonly ActKind[]): UserAct {
  return {
    kind: kinds[randomBelow(random, kinds.length)] ?? 'create',
    label,
    lots: [random.float(), random.float(), random.float()],
  }
}

export interface HandOptions {
  /** Names may be spelled in ways that some disks take for one. */
  readonly hasSpellings: boolean
  /** The device's wall clock. */
  readonly nowMs: number
}

export async function perform(disk: Filesystem, act: UserAct, options: HandOptions): Promise<ActEffect> {
  const hand = new Hand(disk, act, options)
  try {
    await hand.perform()
  } catch (error) {
    // The folder was faster at this very place; a person would see an error message and go on
    if (!hasCode(error, 'not.found', 'file.exists', 'file.changed', 'file.unsafe')) throw error
    hand.told = `${hand.told ?? act.kind} (in vain: ${String(error)})`
  }
  await disk.syncAll(hand.touched, [...new Set(hand.touched.map(parentOf))])
  return hand
}

class Hand implements ActEffect {
  readonly written: string[] = []
  readonly destroyed: string[] = []
  readonly touched: string[] = []
  told: string | undefined
  private readonly disk: Filesystem
  private readonly act: UserAct
  private readonly options: HandOptions
  private files: readonly TreeItem[] = []
  private directories: readonly string[] = []

  constructor(disk: Filesystem, act: UserAct, options: HandOptions) {
    this.disk = disk
    this.act = act
    this.options = options
  }

  async perform(): Promise<void> {
    // What is set aside for a moment in a ring of renames is nobody's to work on
    const items = (await listTree(this.disk)).filter(({ path }) => !path.split('/').some(isInternal))
    this.files = items.filter(({ stat }) => stat.kind !== 'directory')
    this.directories = items.filter(({ stat }) => stat.kind === 'directory').map(({ path }) => path)
    const [first, second] = this.act.lots
    const file = pick(this.files, first)?.path
    const directory = pick(this.directories, first)
    const place = joinPath(pick(['', ...this.directories], second) ?? '', this.name())
    switch (this.act.kind) {
      case 'create':
        return this.create(place)
      case 'make-directory':
        this.tell('mkdir', place)
        return this.makeDirectory(place)
      case 'symlink':
        this.tell('ln -s', place)
        await this.disk.makeSymlink(`to ${this.act.label}`, place)
        return void this.touched.push(place)
      case 'same':
        // Two devices that do this write the same bytes at the same place
        this.tell('write the same', `same${this.ending()}`)
        return this.write(`same${this.ending()}`, encoder.encode(`the same ${this.ending()}\n`))
      case 'move-directory':
      case 'remove-directory':
        return directory === undefined ? undefined : this.onDirectory(directory, place)
      case 'edit':
      case 'save':
      case 'line':
      case 'delete':
      case 'rename':
      case 'copy':
      case 'mode':
      case 'retype':
      case 'touch':
      case 'replace':
      case 'respell':
      case 'swap':
        return file === undefined ? undefined : this.onFile(file, place)
    }
  }

  private async create(place: string): Promise<void> {
    this.tell('create', place)
    const lines = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', this.act.label]
    const isText = place.endsWith('.txt')
    const text = place.endsWith('.json')
      ? JSON.stringify({ made: this.act.label, a: 1, b: 2 }, null, 2)
      : isText
        ? lines.join('\n')
        : this.act.label
    const bytes = encoder.encode(`${text}\n`)
    if (place.endsWith('.bin') && this.act.lots[0] < 0.3) {
      const large = new Uint8Array(largeBytes)
      large.set(bytes)
      return this.write(place, large)
    }
    return this.write(place, bytes)
  }

  private async onDirectory(directory: string, place: string): Promise<void> {
    if (this.act.kind === 'move-directory') {
      this.tell('mv', directory, place)
      await this.disk.renameIf(directory, place, undefined)
      return void this.touched.push(directory, place)
    }
    this.tell('rm -r', directory)
    return this.removeAll(directory)
  }

  private async onFile(file: string, place: string): Promise<void> {
    const isFile = (await this.disk.lstat(file))?.kind === 'file'
    switch (this.act.kind) {
      case 'edit':
        this.tell('write over', file)
        return isFile ? this.write(file, encoder.encode(`${this.act.label}\n`)) : undefined
      case 'save':
        this.tell('save by rename', file)
        return isFile ? this.saveByRename(file) : undefined
      case 'line':
        this.tell('change a line of', file)
        return isFile ? this.changeLine(file) : undefined
      case 'delete':
        this.tell('rm', file)
        return this.remove(file)
      case 'rename':
        this.tell('mv', file, place)
        await this.disk.renameIf(file, place, undefined)
        return void this.touched.push(file, place)
      case 'copy':
        this.tell('cp', file, place)
        return isFile ? this.copy(file, place) : undefined
      case 'mode':
        this.tell('chmod', file)
        return isFile ? this.changeMode(file) : undefined
      case 'touch':
        this.tell('touch', file)
        return isFile ? this.changeTime(file) : undefined
      case 'retype':
        this.tell('make a directory of', file)
        await this.remove(file)
        return this.makeDirectory(file)
      case 'replace':
        return this.moveOver(file)
      case 'respell':
        return this.respell(file)
      default:
        return this.swap(file)
    }
  }

  private name(): string {
    const known = this.options.hasSpellings ? spellings : names
    const stem = pick(known, this.act.lots[2]) ?? 'a'
    return `${stem}${this.ending()}`
  }

  private ending(): string {
    return pick(endings, (this.act.lots[2] * 7) % 1) ?? ''
  }

  private tell(what: string, ...paths: readonly string[]): void {
    this.told = `${what} ${paths.map((path) => JSON.stringify(path)).join(' ')}`
  }

  private async makeDirectory(path: string): Promise<void> {
    await this.disk.makeDirectory(path)
    this.touched.push(path)
  }

  /** In place, as most programs do. */
  private async write(path: string, bytes: Uint8Array): Promise<void> {
    const there = await this.disk.lstat(path)
    if (there !== undefined && there.kind !== 'file') return
    await using file = await this.disk.open(path, there === undefined ? 'create' : 'write')
    const old = new Uint8Array((await file.stat()).size)
    await file.read(old, 0)
    if (there !== undefined) this.destroyed.push(contentKeyOf(old))
    // One step each, as a program's system calls; the folder may look in between
    if (there !== undefined) await file.truncate(0)
    await file.write(bytes, 0)
    await file.sync()
    this.written.push(contentKeyOf(bytes))
    this.touched.push(path)
  }

  private async read(path: string): Promise<Uint8Array> {
    return (await this.disk.readSmall(path, Number.MAX_SAFE_INTEGER))?.bytes ?? new Uint8Array()
  }

  /** A new file takes the old one's name, as editors do. */
  private async saveByRename(path: string): Promise<void> {
    const temporary = `${path}~${this.act.label}`
    const bytes = encoder.encode(`${this.act.label}\n`)
    await this.disk.createSmall(temporary, bytes, { mode: 0o644, mtimeNs: this.nowNs() })
    const old = await this.read(path)
    const stat = await this.disk.lstat(path)
    this.touched.push(path, temporary)
    if (stat !== undefined && (await this.disk.renameIf(temporary, path, stat)))
      this.destroyed.push(contentKeyOf(old))
    this.written.push(contentKeyOf(bytes))
  }

  private async changeLine(path: string): Promise<void> {
    const text = new TextDecoder().decode(await this.read(path))
    const lines = text.split('\n')
    const index = Math.floor(this.act.lots[1] * Math.max(1, lines.length - 1))
    const changed = path.endsWith('.json')
      ? text.replace(/"([ab])": \d+/, `"$1": ${Math.floor(this.act.lots[2] * 1e9)}`)
      : lines.map((line, at) => (at === index ? `${line.split(' ')[0]} ${this.act.label}` : line)).join('\n')
    if (changed !== text) await this.write(path, encoder.encode(changed))
  }

  private async remove(path: string): Promise<void> {
    const kind = (await this.disk.lstat(path))?.kind
    const bytes = kind === 'file' ? this.read(path) : undefined
    // Looked at and removed in one step
    await this.disk.unlink(path)
    this.touched.push(path)
    if (bytes !== undefined) this.destroyed.push(contentKeyOf(await bytes))
  }

  private async removeAll(directory: string): Promise<void> {
    for (const { name, stat } of await this.disk.readDirectory(directory)) {
      const path = joinPath(directory, name)
      if (stat?.kind === 'directory') await this.removeAll(path)
      else await this.remove(path)
    }
    await this.disk.removeDirectory(directory)
    this.touched.push(directory)
  }

  private async copy(from: string, to: string): Promise<void> {
    if ((await this.disk.lstat(to)) === undefined) await this.write(to, await this.read(from))
  }

  private async changeMode(path: string): Promise<void> {
    const mode = (await this.disk.lstat(path))?.mode ?? 0o644
    await this.disk.setMode(path, (mode & 0o100) === 0 ? 0o755 : 0o644)
    // Now and then there were none, now and then others: whoever drew the last one
    const value = Buffer.from(this.act.label).toString('base64url')
    await this.disk.writeAttributes(path, this.act.label.endsWith('3') ? '' : `user.mode=${value}`)
    this.touched.push(path)
  }

  private async changeTime(path: string): Promise<void> {
    await using file = await this.disk.open(path, 'write')
    await file.setModified(this.nowNs())
    this.touched.push(path)
  }

  /** Moves another file over this one. */
  private async moveOver(path: string): Promise<void> {
    const from = pick(this.files, this.act.lots[1])?.path
    const target = await this.disk.lstat(path)
    if (from === undefined || from === path || target === undefined) return
    this.tell('mv over', from, path)
    const old = target.kind === 'file' ? await this.read(path) : undefined
    if (!(await this.disk.renameIf(from, path, target))) return
    this.touched.push(from, path)
    if (old !== undefined) this.destroyed.push(contentKeyOf(old))
  }

  private async respell(path: string): Promise<void> {
    const name = nameOf(path)
    const other = name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase()
    const to = joinPath(parentOf(path), this.options.hasSpellings ? other : `${name}s`)
    this.tell('mv', path, to)
    await this.disk.renameIf(path, to, undefined)
    this.touched.push(path, to)
  }

  /** A ring of renames. */
  private async swap(path: string): Promise<void> {
    const other = pick(this.files, this.act.lots[1])?.path
    if (other === undefined || other === path) return
    this.tell('swap', path, other)
    const aside = `${path}~${this.act.label}`
    await this.disk.renameIf(path, aside, undefined)
    await this.disk.renameIf(other, path, undefined)
    await this.disk.renameIf(aside, other, undefined)
    this.touched.push(path, other, aside)
  }

  private nowNs(): bigint {
    return BigInt(Math.round(this.options.nowMs * 1e6))
  }
}

function pick<T>(from: readonly T[], lot: number): T | undefined {
  return from[Math.min(from.length - 1, Math.floor(lot * from.length))]
}
