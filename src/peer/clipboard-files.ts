/**
 * Copied files: a list of files on one machine becomes contents that travel, and on another machine files in a private
 * folder of the home, with the list rewritten to them. Names of others are one plain path component or they are not made.
 */
import type { FileHandle } from 'node:fs/promises'
import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { constants } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { formatSize } from '../base/quantities.ts'
import type { ClipboardFile, ClipboardPayload } from '../crdt/clipboard-item.ts'
import { leftOutText } from '../crdt/clipboard-item.ts'
import type { CopiedFormat } from '../media/clipboard/port.ts'
import type { ClipboardBlobs } from './clipboard-blobs.ts'
import { codeOf, withFile, writeAll } from './durable-file.ts'

export const uriList = 'text/uri-list'
export const gnomeList = 'x-special/gnome-copied-files'
export const isFileList = (mime: string): boolean => mime === uriList || mime === gnomeList

type LeftOut = ClipboardPayload['leftOut'][number]

/** The lines of a list that name something. */
function entriesOf(mime: string, text: string): readonly string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  const entries = mime === gnomeList ? lines.slice(1) : lines
  return entries.filter((line) => line !== '' && !line.startsWith('#'))
}

const isLocal = (entry: string): boolean => /^file:\/\/(localhost)?\//i.test(entry)

/** Paths of the files of this machine that a copy names, each once. */
export function copiedPaths(formats: readonly CopiedFormat[]): readonly string[] {
  const paths = new Set<string>()
  for (const { mime, content } of formats) {
    if (!isFileList(mime)) continue
    for (const entry of entriesOf(mime, new TextDecoder().decode(content))) {
      const path = isLocal(entry) ? pathOf(entry) : undefined
      if (path !== undefined) paths.add(path)
    }
  }
  return [...paths]
}

function pathOf(entry: string): string | undefined {
  try {
    return fileURLToPath(entry.replace(/^file:\/\/localhost/i, 'file://'))
  } catch {
    return undefined // because: a list may hold what is no path of this machine
  }
}

/** Takes the contents of these files along, as far as the bounds allow. */
export async function takeFiles(
  blobs: ClipboardBlobs,
  paths: readonly string[],
): Promise<{ readonly files: readonly ClipboardFile[]; readonly leftOut: readonly LeftOut[] }> {
  const files: ClipboardFile[] = []
  const leftOut: LeftOut[] = []
  let roomBytes: number = limits.clipboardFileBytes
  for (const path of paths) {
    const name = basename(path)
    const refuse = (reason: string): void => void leftOut.push({ what: name.slice(0, leftOutText), reason })
    if (files.length >= limits.clipboardFiles) {
      refuse(`more than ${limits.clipboardFiles} files`)
      continue
    }
    try {
      // A pipe must not hold us up
      const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
      try {
        const stat = await file.stat()
        if (stat.isDirectory()) refuse('a directory')
        else if (!stat.isFile()) refuse('not a file')
        else if (stat.size > roomBytes)
          refuse(`more than ${formatSize(limits.clipboardFileBytes)} in one copy`)
        else {
          files.push({ name, sizeBytes: stat.size, blob: await blobs.put(contentOf(file, stat.size)) })
          roomBytes -= stat.size
        }
      } finally {
        await file.close()
      }
    } catch (error) {
      if (hasCode(error, 'disk.full')) throw error
      refuse(codeOf(error) === 'ENOENT' ? 'not there any more' : 'cannot be read')
    }
  }
  return { files, leftOut }
}

function contentOf(file: FileHandle, sizeBytes: number): Parameters<ClipboardBlobs['put']>[0] {
  return {
    sizeBytes,
    async read(position, length) {
      const bytes = new Uint8Array(length)
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(bytes, done, length - done, position + done)
        if (bytesRead === 0) throw new SkeinError('file.changed', 'a copied file became shorter')
        done += bytesRead
      }
      return bytes
    },
  }
}

/** Files of others, made when somebody pastes them. The last two lists stay, for a paste under way. */
export interface PastedFiles {
  /** @returns the paths, in order. @throws `blob.missing`, `disk.*`. */
  make(id: string, payload: ClipboardPayload, pieces: PiecesOf): Promise<readonly string[]>
  /** Removes those of an item. */
  forget(id: string): Promise<void>
  /** Removes all of them. */
  clear(): Promise<void>
}

export type PiecesOf = (file: ClipboardFile) => AsyncIterable<Uint8Array>

const listsKept = 2

/** @param directory existing, of these files alone, readable by the owner only. */
export function createPastedFiles(directory: string): PastedFiles {
  const made = new Map<string, Promise<readonly string[]>>()
  const makeNow = async (
    id: string,
    payload: ClipboardPayload,
    pieces: PiecesOf,
  ): Promise<readonly string[]> => {
    const sizeBytes = payload.files.reduce((sum, file) => sum + file.sizeBytes, 0)
    if (sizeBytes > limits.clipboardFileBytes)
      throw new SkeinError('limit.exceeded', 'more files in one copy than a device sends')
    const folder = join(directory, id)
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { mode: 0o700 })
    const names = distinctNames(payload.files.map((file) => file.name))
    const paths: string[] = []
    for (const [index, file] of payload.files.entries()) {
      const path = join(folder, names[index] ?? String(index))
      await withFile(path, 'wx', async (handle) => {
        let position = 0
        for await (const piece of pieces(file)) {
          await writeAll(handle, piece, position)
          position += piece.byteLength
        }
      })
      paths.push(path)
    }
    return paths
  }
  return {
    async make(id, payload, pieces) {
      const known = made.get(id)
      if (known !== undefined) return await known
      const making = makeNow(id, payload, pieces)
      made.set(id, making)
      try {
        const paths = await making
        for (const old of [...made.keys()].slice(0, -listsKept)) {
          made.delete(old)
          await rm(join(directory, old), { recursive: true, force: true })
        }
        return paths
      } catch (error) {
        made.delete(id)
        await rm(join(directory, id), { recursive: true, force: true })
        throw error
      }
    },
    async forget(id) {
      const making = made.get(id)
      if (making === undefined) return
      made.delete(id)
      // because: whoever pastes it is told
      await making.catch(() => undefined)
      await rm(join(directory, id), { recursive: true, force: true })
    },
    async clear() {
      made.clear()
      for (const name of await readdir(directory))
        await rm(join(directory, name), { recursive: true, force: true })
    },
  }
}

/** Names that can stand in one directory: plain, and each once whatever the case. */
export function distinctNames(names: readonly string[]): readonly string[] {
  const taken = new Set<string>()
  return names.map((name, index) => {
    const plain = name.replaceAll(/[/\\:*?"<>|\p{Cc}]/gu, '_').replace(/[. ]+$/, '')
    const wanted = plain === '' || /^\.+$/.test(plain) ? `file-${index + 1}` : plain
    let free = wanted
    for (let count = 2; taken.has(free.toLowerCase()); count++) free = `${count}-${wanted}`
    taken.add(free.toLowerCase())
    return free
  })
}

/** A list of another machine with its files at these paths; links to elsewhere stay. */
export function rewriteList(mime: string, text: string, paths: readonly string[]): string {
  const links = entriesOf(mime, text).filter((entry) => !/^file:/i.test(entry))
  const entries = [...paths.map((path) => pathToFileURL(path).href), ...links]
  // Always a copy: what was cut there is not removed from here
  return mime === gnomeList ? ['copy', ...entries].join('\n') : `${entries.join('\r\n')}\r\n`
}

/** True when something of a list of another machine can be pasted here. */
export const hasEntries = (mime: string, text: string, fileCount: number): boolean =>
  fileCount > 0 || entriesOf(mime, text).some((entry) => !/^file:/i.test(entry))
