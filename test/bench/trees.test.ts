/** How the `files` bench makes trees, waits for them and compares them: on a real disk. */
import { cpSync, mkdirSync, mkdtempDisposableSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compareTrees, listTree, makeTree, smallTree, waitForTree } from '../../bench/sides/trees.ts'

const waiting = { signal: new AbortController().signal, timeoutMs: 10_000, everyMs: 1 }

function twoTrees(): Disposable & {
  readonly near: string
  readonly far: string
  readonly paths: readonly string[]
} {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'skein-bench-trees-'))
  const [near, far] = [join(folder.path, 'near'), join(folder.path, 'far')]
  mkdirSync(near)
  const paths = makeTree(near, smallTree(300), 7)
  cpSync(near, far, { recursive: true })
  return { near, far, paths, [Symbol.dispose]: () => folder.remove() }
}

test('a tree is there when its last file is, whatever order they came in', async () => {
  using trees = twoTrees()
  const { near, far, paths } = trees
  const [missing = ''] = paths
  rmSync(join(far, missing))
  let isThere = false
  const waited = waitForTree(near, far, waiting).then(() => (isThere = true))
  await new Promise((resolve) => setImmediate(resolve))
  expect(isThere).toBe(false)
  cpSync(join(near, missing), join(far, missing))
  await waited
})

test('waiting in vain names the file that was missing', async () => {
  using trees = twoTrees()
  const missing = trees.paths.at(-1) ?? ''
  rmSync(join(trees.far, missing))
  await expect(waitForTree(trees.near, trees.far, { ...waiting, timeoutMs: 50 })).rejects.toThrow(missing)
})

test('a comparison finds another byte, another size and a file too much, and overlooks what programs keep there', () => {
  using trees = twoTrees()
  const { near, far, paths } = trees
  mkdirSync(join(far, '.stfolder'))
  writeFileSync(join(far, '.skein'), 'a marker')
  expect(() => compareTrees(near, far)).not.toThrow()
  const [first = '', second = ''] = paths
  const sizeBytes = listTree(near).get(first) ?? 0
  writeFileSync(join(far, first), Buffer.alloc(sizeBytes, 1))
  expect(() => compareTrees(near, far)).toThrow(`${first} has another content`)
  cpSync(join(near, first), join(far, first))
  writeFileSync(join(far, second), 'short')
  expect(() => compareTrees(near, far)).toThrow('of another size')
  cpSync(join(near, second), join(far, second))
  writeFileSync(join(far, 'too-much'), '')
  expect(() => compareTrees(near, far)).toThrow('too-much is on one side only')
})
