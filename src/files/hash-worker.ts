/**
 * The thread behind hash-workers.ts: works through files with synchronous reads and one reusable buffer, contained in its
 * root. Hashes, lists blocks, copies, and puts a file together from an old one.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { SkeinError } from '../base/errors.ts'
import { createBlockListBuilder, decodeBlockList } from '../blobs/block-list.ts'
import { matchBlocks, type OldContent, type TakeBlock } from '../blobs/block-match.ts'
import { createBlobHasher } from '../blobs/hash.ts'
import type { Range } from '../blobs/ranges.ts'
import { createContainedRoot, type RootIdentity } from './contained-path.ts'
import { outlineDisk } from './disk-outline.ts'
import type { FileJob, FileJobResult, JobMessage } from './hash-workers.ts'
import { createNodeFilesystem } from './node-filesystem.ts'
import { createSmallFiles } from './small-files.ts'
import { packPlaced, packRead, unpackPlaced } from './small-files-wire.ts'
import { dataRuns } from './zero-blocks.ts'

assert(parentPort !== null, 'runs as a worker thread')
const answers = parentPort
// because: hash-workers.ts starts it with exactly this
const { root } = workerData as { readonly root: string }
let home: RootIdentity | undefined
let contained = createContainedRoot(root)
let disk = createNodeFilesystem(root)
let small = createSmallFiles(disk)
const noAbort = new AbortController().signal
/** Whole blocks of every length fit into it. */
const buffer = new Uint8Array(1024 * 1024)
/** What an old content is looked at through. */
const windowBytes = 4 * 1024 * 1024

const readFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
const createFlags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0)
/** What an earlier run left is written over with the same bytes. */
const goOnFlags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0)

function withFile<T>(path: string, flags: number, act: (handle: number) => T): T {
  const handle = contained.within(path, (absolute) => openSync(absolute, flags, 0o600))
  try {
    if (!fstatSync(handle).isFile()) throw new SkeinError('file.changed', `"${path}" is no regular file`)
    return act(handle)
  } finally {
    closeSync(handle)
  }
}

/** @returns bytes read; fewer than asked only at the end. */
function readFull(handle: number, into: Uint8Array, position: number): number {
  let done = 0
  while (done < into.byteLength) {
    const got = readSync(handle, into, done, into.byteLength - done, position + done)
    if (got === 0) break
    done += got
  }
  return done
}

function writeFull(handle: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.byteLength;)
    done += writeSync(handle, bytes, done, bytes.byteLength - done, position + done)
}

/** Into a file that reads as zeros there. */
function writeData(handle: number, bytes: Uint8Array, position: number): void {
  for (const { start, end } of dataRuns(bytes, position))
    writeFull(handle, bytes.subarray(start, end), position + start)
}

function hashFile(path: string, withList: boolean): FileJobResult {
  return withFile(path, readFlags, (handle) => {
    const hasher = createBlobHasher()
    const list = withList ? createBlockListBuilder(fstatSync(handle).size) : undefined
    for (let position = 0; ;) {
      const got = readFull(handle, buffer, position)
      const bytes = got === buffer.byteLength ? buffer : buffer.subarray(0, got)
      hasher.update(bytes)
      list?.update(bytes)
      position += got
      if (got < buffer.byteLength) return { hash: hasher.digest(), list: list?.finish() }
    }
  })
}

function copyFile(from: string, to: string): FileJobResult {
  const isSparse = withFile(from, readFlags, (handle) => {
    const { blocks, size } = fstatSync(handle)
    return blocks * 512 < size
  })
  if (isSparse) return pourFile(from, to)
  // Shares the blocks where the file system can, else the kernel copies
  const flags = constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL
  contained.within(to, (toAbsolute) =>
    contained.within(from, (fromAbsolute) => copyFileSync(fromAbsolute, toAbsolute, flags)),
  )
  return hashFile(to, false)
}

/** What the kernel copies has no holes any more. */
function pourFile(from: string, to: string): FileJobResult {
  return withFile(from, readFlags, (source) =>
    withFile(to, createFlags, (target) => {
      const hasher = createBlobHasher()
      for (let position = 0; ;) {
        const got = readFull(source, buffer, position)
        const bytes = buffer.subarray(0, got)
        hasher.update(bytes)
        writeData(target, bytes, position)
        position += got
        if (got < buffer.byteLength) {
          ftruncateSync(target, position)
          return { hash: hasher.digest() }
        }
      }
    }),
  )
}

function assemble({ path, to, list, sizeBytes }: Extract<FileJob, { kind: 'assemble' }>): FileJobResult {
  const blocks = decodeBlockList(list, sizeBytes)
  return withFile(path, readFlags, (old) => {
    const fill = (handle: number): readonly Range[] => {
      const isNew = fstatSync(handle).size === 0
      ftruncateSync(handle, sizeBytes)
      const writer = createRunWriter((bytes, position) =>
        isNew ? writeData(handle, bytes, position) : writeFull(handle, bytes, position),
      )
      const missing = matchBlocks(blocks, openOld(old, writer.flush), writer.take)
      writer.flush()
      return missing
    }
    return { missing: withFile(to, goOnFlags, fill) }
  })
}

/** @param beforeMove is called before views that were handed out become others. */
function openOld(handle: number, beforeMove: () => void): OldContent {
  const window = new Uint8Array(windowBytes)
  const sizeBytes = fstatSync(handle).size
  let start = 0
  let end = 0
  return {
    sizeBytes,
    view(position, lengthBytes) {
      if (position < start || position + lengthBytes > end) {
        beforeMove()
        start = position
        end = position + readFull(handle, window, position)
      }
      if (position + lengthBytes > end) return undefined
      return window.subarray(position - start, position - start + lengthBytes)
    },
  }
}

/** Blocks that follow each other in both contents are written as one. */
function createRunWriter(write: (bytes: Uint8Array, position: number) => void): {
  readonly take: TakeBlock
  readonly flush: () => void
} {
  let run: { readonly position: number; readonly bytes: Uint8Array } | undefined
  const flush = (): void => {
    if (run !== undefined) write(run.bytes, run.position)
    run = undefined
  }
  return {
    flush,
    take(position, bytes) {
      if (run !== undefined) {
        const { byteLength, byteOffset } = run.bytes
        const follows = position === run.position + byteLength && bytes.byteOffset === byteOffset + byteLength
        if (follows && byteLength < buffer.byteLength) {
          const longer = new Uint8Array(bytes.buffer, byteOffset, byteLength + bytes.byteLength)
          run = { position: run.position, bytes: longer }
          return
        }
      }
      flush()
      run = { position, bytes }
    },
  }
}

async function work(job: FileJob): Promise<FileJobResult> {
  switch (job.kind) {
    case 'hash':
      return hashFile(job.path, job.withList)
    case 'copy':
      return copyFile(job.path, job.to)
    case 'assemble':
      return assemble(job)
    case 'read':
      return { read: packRead(await small.read(job.paths, job.maxBytes, noAbort)) }
    case 'outline':
      return { outline: await outlineDisk(disk, job.ignoreText, noAbort) }
    case 'place':
      return { placed: packPlaced(await small.place(unpackPlaced(job.files), noAbort)) }
  }
}

/** The directory that the folder means: another one in its place is neither read nor written. */
function workIn(next: RootIdentity): void {
  if (home?.dev === next.dev && home.ino === next.ino) return
  home = next
  contained = createContainedRoot(root, next)
  disk = createNodeFilesystem(root, next)
  small = createSmallFiles(disk)
}

async function answer({ id, job, root: meant }: JobMessage): Promise<void> {
  try {
    workIn(meant)
    const result = await work(job)
    const moved = [result.list?.buffer, result.read?.contents.buffer].filter((one) => one !== undefined)
    answers.postMessage({ id, result }, moved)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    answers.postMessage({ id, code, text: error instanceof Error ? error.message : String(error) })
  }
}

answers.on('message', (message: JobMessage) => void answer(message))
answers.postMessage({ id: 0 })
