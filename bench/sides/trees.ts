/** Trees of files for the `files` bench: sizes and names from a seed, watched from outside while they arrive, compared at the end. */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createSeededRandom, randomBelow, type Random } from '../../src/base/random.ts'

export interface TreePlan {
  readonly files: number
  readonly directories: number
  sizeBytes(random: Random): number
  /** Text that shrinks to about a third, instead of noise. */
  readonly isText?: boolean
}

const kibibyte = 1024
const words =
  'const function return export import from this null undefined string number => { } ( ) ; = .'.split(' ')
let wordBlock: Buffer | undefined

export const smallTree = (files: number): TreePlan => ({
  files,
  directories: Math.max(1, Math.floor(files / 100)),
  sizeBytes: (random) => kibibyte + randomBelow(random, 15 * kibibyte),
})

/** Sizes as in a real node_modules: half below 2 KiB, a long tail, 10 KiB on average. */
export const moduleTree = (files: number): TreePlan => ({
  files,
  directories: Math.max(1, Math.floor(files / 10)),
  sizeBytes: (random) => 100 + Math.floor(4000 * Math.log(1 - randomBelow(random, 1000) / 1001) ** 2),
  isText: true,
})

/** Writes the tree below `root`. @returns paths relative to it. */
export function makeTree(root: string, plan: TreePlan, seed: number): readonly string[] {
  const random = createSeededRandom(seed)
  const paths: string[] = []
  for (let index = 0; index < plan.files; index++) {
    const directory = index % plan.directories
    // Three levels, so that parents have to be made before children
    const path = `d${directory % 20}/e${directory}/f${index}.${plan.isText === true ? 'js' : 'bin'}`
    if (index < plan.directories) fs.mkdirSync(join(root, dirname(path)), { recursive: true })
    fs.writeFileSync(join(root, path), content(random, plan.sizeBytes(random), plan.isText ?? false))
    paths.push(path)
  }
  return paths
}

export function content(random: Random, sizeBytes: number, isText: boolean): Uint8Array {
  if (!isText) return randomBytes(sizeBytes)
  wordBlock ??= Buffer.from(
    Array.from(
      { length: 400_000 },
      () => `${words[randomBelow(random, words.length)]}${randomBelow(random, 50)}`,
    ).join(' '),
  )
  const start = randomBelow(random, wordBlock.byteLength - Math.min(sizeBytes, wordBlock.byteLength - 1))
  const text = Buffer.alloc(sizeBytes)
  for (let at = 0; at < sizeBytes;) at += wordBlock.copy(text, at, start)
  // No two files the same
  text.write(String(randomBelow(random, 2 ** 31)), 0)
  return text
}

export const noise = (sizeBytes: number): Uint8Array => randomBytes(sizeBytes)

/** Writes noise without holding it. */
export function makeBigFile(path: string, sizeBytes: number): void {
  const blockBytes = 16 * kibibyte ** 2
  const handle = fs.openSync(path, 'w')
  try {
    for (let at = 0; at < sizeBytes; at += blockBytes)
      fs.writeSync(handle, randomBytes(Math.min(blockBytes, sizeBytes - at)))
  } finally {
    fs.closeSync(handle)
  }
}

/** Names that begin so are what the programs keep there for themselves; no tree has any. */
const isOwn = (name: string): boolean => name.startsWith('.')

/** Files below a directory, by path, with their sizes; what the programs keep there for themselves is left out. */
export function listTree(root: string, prefix = '', into = new Map<string, number>()): Map<string, number> {
  for (const entry of fs.readdirSync(join(root, prefix), { withFileTypes: true })) {
    if (isOwn(entry.name)) continue
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`
    if (entry.isDirectory()) listTree(root, path, into)
    else into.set(path, fs.statSync(join(root, path)).size)
  }
  return into
}

export interface Waiting {
  readonly signal: AbortSignal
  readonly timeoutMs: number
  readonly everyMs: number
}

/** Polls until `check` says yes, a quarter of the time at most: who is watched needs the machine too. @throws when the time is over. */
export async function waitUntil(what: string, check: () => boolean, waiting: Waiting): Promise<void> {
  const endMs = performance.now() + waiting.timeoutMs
  for (;;) {
    const startMs = performance.now()
    try {
      if (check()) return
    } catch (error) {
      // because: while a tree is being written its directories come and go
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
    if (performance.now() > endMs) throw new Error(`not within ${waiting.timeoutMs / 1000} s: ${what}`)
    const tookMs = performance.now() - startMs
    await delay(Math.max(waiting.everyMs, 3 * tookMs), undefined, { signal: waiting.signal })
  }
}

/**
 * Until every file of the near tree is in the far one with its size. Each look goes on from the first file that was
 * missing, so that the watching costs next to nothing. Contents, and what is too much: `compareTrees`, after the clock.
 */
export async function waitForTree(near: string, far: string, waiting: Waiting): Promise<void> {
  const wanted = [...listTree(near)]
  let seen = 0
  const hasAll = (): boolean => {
    for (; seen < wanted.length; seen++) {
      const [path, sizeBytes] = wanted[seen] ?? ['', 0]
      if (fs.statSync(join(far, path), { throwIfNoEntry: false })?.size !== sizeBytes) return false
    }
    return true
  }
  try {
    await waitUntil(`${wanted.length} files`, hasAll, waiting)
  } catch (error) {
    if (waiting.signal.aborted) throw error
    throw new Error(
      `${seen} of ${wanted.length} files stood in order, then ${wanted[seen]?.[0]} was missing`,
      {
        cause: error,
      },
    )
  }
}

/** @throws when the trees differ in a name or a byte. */
export function compareTrees(near: string, far: string): void {
  const [a, b] = [listTree(near), listTree(far)]
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(path) !== b.get(path)) throw new Error(`${path} is on one side only, or of another size`)
    if (!hasSameBytes(join(near, path), join(far, path))) throw new Error(`${path} has another content`)
  }
}

const blocks = [Buffer.alloc(kibibyte ** 2), Buffer.alloc(kibibyte ** 2)] as const

function hasSameBytes(near: string, far: string): boolean {
  const handles = [fs.openSync(near, 'r'), fs.openSync(far, 'r')] as const
  try {
    for (;;) {
      const got = fs.readSync(handles[0], blocks[0])
      if (fs.readSync(handles[1], blocks[1]) !== got) return false
      if (got === 0) return true
      if (!blocks[0].subarray(0, got).equals(blocks[1].subarray(0, got))) return false
    }
  } finally {
    for (const handle of handles) fs.closeSync(handle)
  }
}
