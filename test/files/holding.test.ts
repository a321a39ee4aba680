/** Who says that it holds a content lets others let go of theirs: never for what is about to go from here as well. */
import { expect, test } from 'vitest'
import { hashOf } from '../../src/blobs/hash.ts'
import { createDirectories } from '../../src/files/directories.ts'
import { createNewlyGone } from '../../src/files/directory-rows.ts'
import type { SyncedRow, TreeEntry } from '../../src/files/folder-tree.ts'
import { holdsContent } from '../../src/files/holding.ts'
import { createMemoryFilesystem } from '../../src/files/memory-filesystem.ts'
import { createSelection } from '../../src/files/selection.ts'

const rootId = 'root'
const bytes = new TextEncoder().encode('precious')
const hash = hashOf(bytes)
const data = { kind: 'file', hash, size: bytes.byteLength, executable: false, target: '' } as const

/** One file `kept/file`, on a device that keeps `kept/` alone. */
async function holds(shown: readonly Partial<TreeEntry>[]): Promise<boolean> {
  const filesystem = createMemoryFilesystem()
  await filesystem.makeDirectory('kept')
  await filesystem.createSmall('kept/file', bytes, { mode: 0o644, mtimeNs: 5n })
  const stat = await filesystem.lstat('kept/file')
  if (stat === undefined) throw new Error('it was just made')
  const place = { nodeId: 'file', parentId: 'kept', name: 'file', version: `a:1#${hash}` }
  const { dev, ino, mtimeNs, ctimeNs } = stat
  const signature = { dev, ino, mtimeNs, ctimeNs, diskName: 'file', isRacy: false, isLeftover: false }
  const row: SyncedRow = { ...data, ...place, ...signature }
  const directories = createDirectories(rootId)
  const kept = { nodeId: 'kept', parentId: rootId, name: 'kept', diskName: 'kept', isLeftover: false }
  directories.put(kept)
  const shape = { ...data, ...place, mtimeNs, nodes: ['file'], isConflictCopy: false }
  const entryOf = (entry: Partial<TreeEntry>): TreeEntry => ({ ...shape, ...entry })
  const entries = new Map([
    ['file', shown.map(entryOf)],
    ['kept', [entryOf({ ...kept, kind: 'directory', hash: undefined })]],
  ])
  return holdsContent(
    {
      stored: {
        rootId,
        rowsWithHash: () => Promise.resolve([row]),
        entries: (id) => Promise.resolve(entries.get(id) ?? []),
      },
      filesystem,
      directories,
      selection: createSelection({ only: ['kept/'], except: [] }),
      isDamaged: () => false,
    },
    hash,
  )
}

test('what stands where the document has it, at a place that is selected, is held', async () => {
  expect(await holds([{}])).toBe(true)
  // One of several versions that stand side by side
  expect(
    await holds([{ hash: hashOf(new Uint8Array()), version: 'b:1' }, { name: 'file (conflict b)' }]),
  ).toBe(true)
})

test('what others moved to where this device keeps nothing, replaced or deleted is not', async () => {
  expect(await holds([{ parentId: rootId, name: 'elsewhere' }])).toBe(false)
  expect(await holds([{ hash: hashOf(new Uint8Array()), version: 'a:1,b:1' }])).toBe(false)
  expect(await holds([])).toBe(false)
})

test('a directory that is gone is told once, though it is looked into each time, and again when it was back', () => {
  const newlyGone = createNewlyGone({ pathOf: () => 'dir' })
  expect(newlyGone({ gone: ['dir'], scanned: new Set() })).toEqual(['dir'])
  expect(newlyGone({ gone: ['dir'], scanned: new Set(['dir']) })).toEqual([])
  expect(newlyGone({ gone: ['dir'], scanned: new Set(['dir']) })).toEqual([])
  expect(newlyGone({ gone: [], scanned: new Set(['dir']) })).toEqual([])
  expect(newlyGone({ gone: ['dir'], scanned: new Set() })).toEqual(['dir'])
})
